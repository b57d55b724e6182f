import Foundation

/// The scripts of `Tests/TUFRepository`, which make repositories with the reference implementation of TUF.
package enum TUFScript {
    /// Why a script made nothing.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs a script with a directory as its first argument, and gives the files that it wrote there by their paths.
    package static func run(_ name: String, _ arguments: [String] = []) throws -> [String: [UInt8]] {
        let scripts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "TUFRepository")
        let python = scripts.appending(path: ".venv/bin/python").path()
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Fault(
                description: "the reference implementation of TUF is not installed: run Tests/TUFRepository/setup, or "
                    + "make setup-tests")
        }
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = [scripts.appending(path: name).path(), directory.path] + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Fault(description: "\(name) failed; its output says why")
        }
        var files: [String: [UInt8]] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: directory.path) {
            var isDirectory: ObjCBool = false
            let file = directory.path(path)
            if FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory), !isDirectory.boolValue {
                files[path] = Array(try Data(contentsOf: URL(filePath: file)))
            }
        }
        return files
    }
}
