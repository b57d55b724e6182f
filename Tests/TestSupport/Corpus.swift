import Foundation
import Notation
import OCI
import StrictJSON
import Synchronization

/// The signed-artifact corpus, unpacked once for all tests (`Tests/Corpus/README.md`).
package struct Corpus: Sendable {
    /// The directory that it was unpacked to.
    package let directory: String
    /// The cases of `index.json`.
    package let cases: [Case]
    /// The image layout with all cases.
    package let layout: ListedOnce
    /// The trust stores.
    package let trustStore: DirectoryTrustStore

    /// The day on which the corpus was made, so that no verdict depends on the day of the test.
    package static let now = Date(timeIntervalSince1970: 1_795_262_400)  // 2026-11-21T12:00:00Z

    /// The corpus.
    package static let shared = Result { try Corpus() }

    /// One image with what the reference verifier answered.
    package struct Case: Sendable {
        package let id: String
        package let category: String
        package let image: Descriptor
        package let signatures: [JSONValue]
        package let observed: [Observation]
    }

    /// One answer.
    package struct Observation: Sendable {
        package let json: JSONValue
        package let policy: String
        package let level: String
        package let pass: Bool

        package var userMetadata: [String: String] {
            var metadata: [String: String] = [:]
            for member in json["userMetadata"]?.object?.members ?? [] { metadata[member.name] = member.value.string }
            return metadata
        }
        package var maximumSignatures: Int? { json["maxSignatures"]?.integer.map(Int.init) }
        /// Whether the reference gave the other verdict on another run, or with a registry.
        package var isAmbiguous: Bool {
            let others = json["otherOutcomesOnRepeat"]?.strings ?? []
            let registries = json["registryOutcome"]?.object?.members.compactMap(\.value.string) ?? []
            return (others + registries).contains { $0.hasPrefix("pass") != pass }
        }
    }

    private init() throws {
        let base = try UnpackedArchive.directory(of: "Tests/Corpus/corpus.tar.xz", name: "corpus")
        // The archive may have one directory at its top.
        let hasTop = FileManager.default.fileExists(atPath: base.path() + "/corpus/index.json")
        directory = base.path() + (hasTop ? "/corpus" : "")
        layout = ListedOnce(try ImageLayout(directory: directory + "/layout"))
        trustStore = DirectoryTrustStore(directory: directory + "/truststore")
        let index = try StrictJSON.parse(Data(contentsOf: URL(filePath: directory + "/index.json")))
        cases = try (index["cases"]?.array ?? []).map { entry in
            Case(
                id: entry["id"]?.string ?? "", category: entry["category"]?.string ?? "",
                image: try Descriptor(json: entry["image"] ?? .null), signatures: entry["signatures"]?.array ?? [],
                observed: (entry["observed"]?.array ?? []).map { observation in
                    Observation(
                        json: observation, policy: observation["policy"]?.string ?? "",
                        level: observation["level"]?.string ?? "", pass: observation["pass"]?.bool ?? false)
                })
        }
    }

    /// A file's bytes.
    package func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: directory + "/" + name)))
    }

    /// The content of a blob in the layout.
    package func blob(_ descriptor: JSONValue?) throws -> [UInt8] {
        try bytes("layout/blobs/sha256/" + (descriptor?["digest"]?.string ?? "").dropFirst(7))
    }

    /// The policy of an observation.
    package func policy(_ observation: Observation) throws -> TrustPolicyDocument {
        let name = observation.level == "skip" ? "skip.json" : "\(observation.policy).\(observation.level).json"
        return try TrustPolicyDocument(json: bytes("policies/" + name))
    }

    /// A case's first envelope with its media type.
    package func envelope(of id: String) throws -> (bytes: [UInt8], mediaType: String, image: Descriptor) {
        guard let entry = cases.first(where: { $0.id == id }), let signature = entry.signatures.first else {
            throw CocoaError(.fileNoSuchFile)
        }
        let descriptor = signature["envelope"]
        return (try blob(descriptor), descriptor?["mediaType"]?.string ?? "", entry.image)
    }
}

/// A store that lists the referrers of each subject once: the corpus asks for the same ones with many policies.
package final class ListedOnce: ReferrerStore {
    private let layout: ImageLayout
    private let lists = Mutex<[Descriptor: [Descriptor]]>([:])

    init(_ layout: ImageLayout) { self.layout = layout }

    package var name: String { layout.name }

    package func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        try await layout.resolve(reference, deadline: deadline)
    }

    package func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        if let list = lists.withLock({ $0[subject] }) { return list }
        let list = try await layout.referrers(
            of: subject, in: reference, artifactType: artifactType, deadline: deadline)
        lists.withLock { $0[subject] = list }
        return list
    }

    package func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await layout.manifest(descriptor, in: reference, deadline: deadline)
    }

    package func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await layout.blob(descriptor, in: reference, maximumBytes: maximumBytes, deadline: deadline)
    }
}
