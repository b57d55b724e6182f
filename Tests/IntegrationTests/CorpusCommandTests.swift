import Foundation
import StrictJSON
import TestSupport
import Testing

/// Images that the reference command signed, verified by ours as a process: the same exit status as the reference
/// verifier was observed to have (`Tests/Corpus/README.md`).
@Suite struct CorpusCommandTests {
    private static let sample = [
        "unsigned", "cli-jws-rsa2048", "cli-cose-rsa3072", "cli-jws-rsa4096", "cli-cose-p256", "cli-jws-p384",
        "cli-cose-p521", "cli-jws-expired", "cli-cose-untrusted", "cli-jws-selfsigned", "cli-cose-subject-index",
        "cli-jws-subject-docker",
    ]

    @Test func agreesWithTheReferenceCommand() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let archive = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Corpus/corpus.tar.xz").path()
        let tar = try Process.run(
            URL(filePath: "/usr/bin/env"), arguments: ["tar", "-xJf", archive, "-C", directory.path])
        tar.waitUntilExit()
        let root = FileManager.default.fileExists(atPath: directory.path("index.json")) ? "" : "corpus/"
        func json(_ name: String) throws -> JSONValue {
            try StrictJSON.parse(Array(try Data(contentsOf: URL(filePath: directory.path(root + name)))))
        }
        var images: [String: String] = [:]
        for entry in try json("index.json")["cases"]?.array ?? [] {
            guard let id = entry["id"]?.string else { continue }
            images[id] = entry["image"]?["digest"]?.string
        }
        let observations = (try json("cli-output.json").array ?? []).filter {
            Self.sample.contains($0["case"]?.string ?? "")
        }
        #expect(observations.count >= Self.sample.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for observation in observations {
                let (id, policy, level) = (
                    observation["case"]?.string ?? "", observation["policy"]?.string ?? "",
                    observation["level"]?.string ?? ""
                )
                let image = try #require(images[id])
                group.addTask {
                    let run = try await Command.run(
                        "verify", "local/corpus@\(image)", "--oci-layout", directory.path(root + "layout"),
                        "--trust-policy", directory.path("\(root)policies/\(policy).\(level).json"), "--trust-store",
                        directory.path(root + "truststore"), "--output", "json")
                    #expect(
                        Int64(run.status) == observation["exit"]?.integer, "\(id), \(policy), \(level): \(run)")
                    #expect(run.json["verified"]?.bool == (run.status == 0))
                }
            }
            try await group.waitForAll()
        }
    }
}
