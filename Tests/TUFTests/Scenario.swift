import Foundation
import StrictJSON
import TestSupport
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

    var testDescription: String { Self.published[name].map { "\($0): \(name)" } ?? name }

    /// Under which names attacks of these kinds were published for other clients.
    static let published: [String: String] = [
        "rollback_of_the_timestamp": "go-tuf CVE-2022-29173", "rollback_of_the_snapshot": "go-tuf CVE-2022-29173",
        "rollback_of_the_targets": "go-tuf CVE-2022-29173", "rollback_of_a_delegated_role": "go-tuf CVE-2022-29173",
        "delegation_after_a_terminating_one": "go-tuf CVE-2024-47534",
        "delegation_outside_the_paths_of_its_delegator": "go-tuf CVE-2024-47534",
        "not_json": "go-tuf CVE-2026-23991", "deep_json": "go-tuf CVE-2026-23991",
        "version_as_a_text": "go-tuf CVE-2026-23991", "threshold_zero": "go-tuf CVE-2026-23992",
        "threshold_of_a_delegation_not_met": "go-tuf CVE-2026-23992",
        "target_above_the_repository": "go-tuf CVE-2026-24686",
        "target_at_the_top_of_the_file_system": "go-tuf CVE-2026-24686",
    ]

    private init(_ value: JSONValue, _ files: [String: [UInt8]]) throws {
        name = try #require(value["name"]?.string)
        let directory = name
        root = try #require(files["\(directory)/root.json"])
        target = try #require(value["target"]?.string)
        var limits = TUFLimits()
        if let newRoots = value["limits"]?["newRoots"]?.integer { limits.newRoots = Int(newRoots) }
        self.limits = limits
        differs = value["differs"]?.string
        phases = try #require(value["phases"]?.array).map { phase in
            let prefix = "\(directory)/\(try #require(phase["repository"]?.string))/"
            return Phase(
                files: Dictionary(
                    uniqueKeysWithValues: files.filter { $0.key.hasPrefix(prefix) }.map {
                        (String($0.key.dropFirst(prefix.count)), $0.value)
                    }),
                time: Date(timeIntervalSince1970: try #require(phase["time"]?.double)),
                content: phase["content"]?.string, step: phase["step"]?.string, role: phase["role"]?.string,
                problem: phase["problem"]?.string, referenceContent: phase["referenceContent"]?.string,
                referenceError: phase["referenceError"]?.string)
        }
    }

    /// All of them. They are made once for a run of the tests; none when that failed, which a test tells.
    static let all: [Scenario] = (try? made.get()) ?? []

    /// All of them, or why there are none.
    static let made: Result<[Scenario], any Error> = Result {
        let files = try TUFScript.run("make.py")
        let list = try #require(try StrictJSON.parse(files["scenarios.json"] ?? []).array)
        return try list.map { try Scenario($0, files) }
    }
}
