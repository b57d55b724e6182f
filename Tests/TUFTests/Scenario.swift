import Foundation
import StrictJSON
import Testing

@testable import TUF

/// One of the repositories that `Tests/TUFRepository` makes, phase by phase.
struct Scenario: Sendable, CustomTestStringConvertible {
    struct Phase: Sendable {
        /// The repository's files by their paths.
        let files: [String: [UInt8]]
        let time: Date
        /// What must come: a content, or an error.
        let content: String?
        let step: String?
        let role: String?
        let problem: String?
        /// What the reference client answered.
        let referenceContent: String?
        let referenceError: String?
    }

    let name: String
    let root: [UInt8]
    let target: String
    let limits: TUFLimits
    /// Why the reference client answers differently.
    let differs: String?
    let phases: [Phase]

    var testDescription: String { name }

    private init(_ value: JSONValue, below directory: String) throws {
        name = try #require(value["name"]?.string)
        let directory = "\(directory)/\(name)"
        root = Array(try Data(contentsOf: URL(filePath: "\(directory)/root.json")))
        target = try #require(value["target"]?.string)
        var limits = TUFLimits()
        if let newRoots = value["limits"]?["newRoots"]?.integer { limits.newRoots = Int(newRoots) }
        self.limits = limits
        differs = value["differs"]?.string
        phases = try #require(value["phases"]?.array).map { phase in
            Phase(
                files: try Self.files("\(directory)/\(try #require(phase["repository"]?.string))"),
                time: Date(timeIntervalSince1970: try #require(phase["time"]?.double)),
                content: phase["content"]?.string, step: phase["step"]?.string, role: phase["role"]?.string,
                problem: phase["problem"]?.string, referenceContent: phase["referenceContent"]?.string,
                referenceError: phase["referenceError"]?.string)
        }
    }

    private static func files(_ directory: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: directory) {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(directory)/\(path)", isDirectory: &isDirectory),
                !isDirectory.boolValue
            else { continue }
            files[path] = Array(try Data(contentsOf: URL(filePath: "\(directory)/\(path)")))
        }
        return files
    }

    /// All of them. They are made once for a run of the tests; none when that failed, which a test tells.
    static let all: [Scenario] = (try? made.get()) ?? []

    /// All of them, or why there are none. The directory goes when they have been read into memory.
    static let made: Result<[Scenario], any Error> = Result {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let python = tests.appending(path: "TUFRepository/.venv/bin/python").path()
        try #require(
            FileManager.default.isExecutableFile(atPath: python),
            "the reference implementation is not installed: run Tests/TUFRepository/setup, or make setup-tests")
        let directory = FileManager.default.temporaryDirectory.appending(path: "countersign-tuf-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = [tests.appending(path: "TUFRepository/make.py").path(), directory.path()]
        process.environment = ["PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "make.py failed; its output says why")
        let bytes = try Data(contentsOf: directory.appending(path: "scenarios.json"))
        let list = try #require(try StrictJSON.parse(bytes).array)
        return try list.map { try Scenario($0, below: directory.path()) }
    }
}
