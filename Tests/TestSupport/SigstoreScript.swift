import Foundation

/// The scripts of `Tests/SigstoreInstance`: whole Sigstore instances by Python and OpenSSL, and what PyPI `sigstore` says.
package enum SigstoreScript {
    /// Why a script made nothing.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// What `make.py` makes, by its path: made once for all tests of the process.
    package static let made: Result<[String: [UInt8]], any Error> = Result { try make() }

    private static let scripts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "SigstoreInstance")

    private static func make() throws -> [String: [UInt8]] {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        try run("/usr/bin/env", ["python3", scripts.appending(path: "make.py").path(), directory.path])
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

    /// What PyPI `sigstore` says of bundles.
    ///
    /// - Parameters:
    ///   - files: artifacts and trusted roots, by the paths that the cases name them by.
    ///   - cases: JSON, one case a line; `oracle.py` says what is in one.
    ///   - seconds: how long it may take. What is not asked by then is not asked.
    /// - Returns: JSON, an answer a line.
    package static func askReference(
        _ files: [String: [UInt8]], _ cases: [UInt8], seconds: Int
    ) throws -> [UInt8] {
        let python = scripts.appending(path: ".venv/bin/python").path()
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Fault(
                description: "PyPI sigstore is not installed: run Tests/SigstoreInstance/setup, or make setup-tests")
        }
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        for (path, content) in files { directory.write(content, to: path) }
        let (asked, answers) = (directory.write(cases, to: "cases"), directory.path("answers"))
        try run(python, [scripts.appending(path: "oracle.py").path(), directory.path, asked, answers, String(seconds)])
        return Array(try Data(contentsOf: URL(filePath: answers)))
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ["PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Fault(description: "\(arguments.joined(separator: " ")) failed; its output says why")
        }
    }
}
