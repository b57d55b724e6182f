import FoundationEssentials
import OCI
import Synchronization
import TestSupport
import Testing

@testable import ConfigurationModel
@testable import ServiceMetrics
@testable import Verification

/// A repository in an image layout, with an image for two platforms as BuildKit writes one.
final class PlatformImage: Sendable {
    /// What may be signed of it.
    enum Part: CaseIterable {
        case index, amd64, arm64
    }

    private let directory: TemporaryDirectory
    let layout: ImageLayout
    let reference: ImageReference
    let amd64: Descriptor
    let arm64: Descriptor
    let attestation: Descriptor
    let index: Descriptor

    static let attestationAnnotations = ["vnd.docker.reference.type": "attestation-manifest"]
    static let unknown = Platform(os: "unknown", architecture: "unknown")
    private static var deadline: ContinuousClock.Instant { .now + .seconds(60) }

    /// - Parameter signed: what of it has a good signature.
    init(signed: Set<Part> = []) async throws {
        directory = try TemporaryDirectory()
        layout = try ImageLayout(directory: directory.path("layout"), create: true)
        reference = try ImageReference(parsing: "r.example/app:v1")
        amd64 = try await PlatformImage.push("amd64", to: layout, reference)
        arm64 = try await PlatformImage.push("arm64", to: layout, reference)
        attestation = try await PlatformImage.push("attestation", to: layout, reference)
        var entries = [amd64, arm64, attestation]
        entries[0].platform = Platform(os: "linux", architecture: "amd64")
        entries[1].platform = Platform(os: "linux", architecture: "arm64", variant: "v8")
        entries[2].platform = Self.unknown
        entries[2].annotations = Self.attestationAnnotations
        index = try await layout.pushManifest(
            Index(manifests: entries).json.bytes, mediaType: MediaType.ociIndex, tag: "v1", to: reference,
            deadline: Self.deadline)
        for part in signed { try await sign(self[part]) }
    }

    deinit { directory.remove() }

    subscript(part: Part) -> Descriptor {
        switch part {
        case .index: index
        case .amd64: amd64
        case .arm64: arm64
        }
    }

    private static func push(
        _ content: String, to layout: ImageLayout, _ reference: ImageReference
    ) async throws -> Descriptor {
        let config = try await layout.pushBlob(
            Array(content.utf8), mediaType: "application/vnd.oci.image.config.v1+json", to: reference,
            deadline: deadline)
        return try await layout.pushManifest(
            Manifest(config: config, layers: []).json.bytes, mediaType: MediaType.ociManifest, tag: nil, to: reference,
            deadline: deadline)
    }

    /// Pushes another image; each content is another one.
    func push(_ content: String) async throws -> Descriptor {
        try await Self.push(content, to: layout, reference)
    }

    /// Pushes an index under a tag.
    @discardableResult
    func push(_ index: Index, tag: String) async throws -> Descriptor {
        try await layout.pushManifest(
            index.json.bytes, mediaType: index.mediaType, tag: tag, to: reference, deadline: Self.deadline)
    }

    /// Points a tag to a manifest that is there.
    func tag(_ descriptor: Descriptor, _ tag: String) async throws {
        let content = try await layout.manifest(descriptor, in: reference, deadline: Self.deadline)
        _ = try await layout.pushManifest(
            content, mediaType: descriptor.mediaType, tag: tag, to: reference, deadline: Self.deadline)
    }

    /// Attaches a signature, good or bad.
    @discardableResult
    func sign(_ subject: Descriptor, _ signature: String = "good") async throws -> Descriptor {
        let config = try await layout.pushBlob(
            Array("{}".utf8), mediaType: ScriptedStore.signatureType, to: reference, deadline: Self.deadline)
        let manifest = Manifest(
            config: config, layers: [], subject: subject, annotations: ["signature": signature])
        return try await layout.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: subject,
            artifactType: ScriptedStore.signatureType, annotations: [:], to: reference, deadline: Self.deadline)
    }

    func snapshot(
        _ selection: SubjectSelection?, rule: ConfigPolicy.Rule = .any, verifiers: [any ArtifactVerifier] = [],
        store: (any ReferrerStore)? = nil, settings: ServiceSettings = ServiceSettings(), maximumArtifacts: Int = 100
    ) -> ConfigurationSnapshot {
        ConfigurationSnapshot(
            generation: 1, stores: [store ?? layout],
            verifiers: verifiers.isEmpty ? [AnnotationVerifier()] : verifiers,
            policy: ConfigPolicy(defaultRule: rule, signedBy: selection), settings: settings,
            maximumArtifacts: maximumArtifacts)
    }

    /// The result on `app` and what is behind it: `:v1`, `@sha256:…`.
    func run(_ name: String, _ snapshot: ConfigurationSnapshot) async throws -> PipelineResult {
        await Pipeline(snapshot: snapshot, metrics: MetricsRegistry())
            .run(try ImageReference(parsing: "r.example/app\(name)"), deadline: .now + .seconds(30))
    }

    func decision(
        _ name: String, _ snapshot: ConfigurationSnapshot, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Decision {
        let result = try await run(name, snapshot)
        guard case .decided(let decision, _) = result else {
            Issue.record("not decided: \(result)", sourceLocation: sourceLocation)
            throw CancellationError()
        }
        return decision
    }
}

/// Reads the signature from the store, as a real verifier does: it must name the subject, and be good.
struct AnnotationVerifier: ArtifactVerifier {
    var name = "annotation"
    let type = "annotation"
    let artifactTypes = [ScriptedStore.signatureType]
    /// When a good signature of a digest ends.
    var ends: [Digest: Date] = [:]

    func waiver(for reference: ImageReference) -> VerifierReport? { nil }

    func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        let manifest: Manifest
        do {
            let content = try await store.manifest(artifact, in: reference, deadline: deadline)
            manifest = try Manifest(parsing: content, mediaType: artifact.mediaType)
        } catch { return .fault(TransientFault(stage: .fetch, host: nil, cause: "\(error)")) }
        let isGood = manifest.subject == subject && manifest.annotations["signature"]?.hasPrefix("good") == true
        return .judged(
            VerifierReport(
                subject: reference.description, isSuccess: isGood, verifierName: name, verifierType: type,
                referenceDigest: artifact.digest.description, message: isGood ? "good" : "bad",
                errorReason: isGood ? nil : "the signature is bad"), validUntil: ends[subject.digest])
    }
}

/// A store with faults: of what a tag means, and of the referrers or the manifest of a digest.
struct FaultyStore: ReferrerStore {
    let store: ImageLayout
    var tag: RegistryError?
    var referrers: [Digest: RegistryError] = [:]
    /// Lists the referrers of these when the deadline is over, as a registry that hangs.
    var hanging: Set<Digest> = []

    var name: String { store.name }

    func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        if let tag, reference.digest == nil { throw tag }
        return try await store.resolve(reference, deadline: deadline)
    }

    func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        if hanging.contains(subject.digest) {
            try? await Task.sleep(until: deadline)
            throw RegistryError(.timeout, host: "r.example", detail: "no answer within the time allowed")
        }
        if let error = referrers[subject.digest] { throw error }
        return try await store.referrers(of: subject, in: reference, artifactType: artifactType, deadline: deadline)
    }

    func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await store.manifest(descriptor, in: reference, deadline: deadline)
    }

    func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await store.blob(descriptor, in: reference, maximumBytes: maximumBytes, deadline: deadline)
    }
}
