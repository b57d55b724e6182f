import FoundationEssentials
import KeyManagement
import OCI
import PKI
import Sigstore
import SigstoreTestSupport
import SigstoreTrust
import StrictJSON
import Synchronization
import TestSupport
import Verification

@testable import CosignVerifier

/// A trusted root that a test gives.
final class FixedRoot: TrustedRootSource {
    let name: String
    let type = "sigstore"
    let verifier: BundleVerifier?
    let generation: UInt64 = 1
    let fingerprintParts: [[UInt8]] = []
    var status: ProviderStatus { .notRead }

    init(_ name: String, _ root: TrustedRoot?) {
        self.name = name
        verifier = root.map { BundleVerifier(root: $0) }
    }

    func current() -> CertificateSet? { nil }
    func refresh() async {}
    func run() async {}
    func changes() -> AsyncStream<UInt64> { AsyncStream { $0.finish() } }
}

/// Public keys as a vault has them: with names and versions.
final class FixedKeys: CertificateProvider {
    let name: String
    let type: String
    let keys: [TrustedKey]
    let offersCertificates = false
    let generation: UInt64 = 1
    var status: ProviderStatus { .notRead }

    init(_ name: String, type: String = "inline", _ keys: [TrustedKey]) {
        self.name = name
        self.type = type
        self.keys = keys
    }

    func current() -> CertificateSet? { nil }
    func refresh() async {}
    func run() async {}
    func changes() -> AsyncStream<UInt64> { AsyncStream { $0.finish() } }
}

/// A repository with an image, in a directory, and what a registry may do wrong.
final class TestImage: ReferrerStore {
    let name = "test"
    let directory: TemporaryDirectory
    let layout: ImageLayout
    let reference: ImageReference
    let subject: Descriptor
    /// What is asked for fails in this way, by its digest.
    let faults = Mutex<[Digest: RegistryError]>([:])

    var digest: ArtifactDigest { ArtifactDigest(parsing: subject.digest.description) ?? TestInstance.image }

    init(_ reference: String = "registry.example/team/app:v1", content: String = "the image") async throws {
        directory = try TemporaryDirectory()
        layout = try ImageLayout(directory: directory.path, create: true)
        self.reference = try ImageReference(parsing: reference)
        let blob = try await layout.pushBlob(
            Array(content.utf8), mediaType: MediaType.octetStream, to: self.reference, deadline: TestImage.soon)
        let manifest = Manifest(config: blob, layers: [])
        subject = try await layout.pushManifest(
            manifest.json.bytes, mediaType: MediaType.ociManifest, tag: nil, to: self.reference,
            deadline: TestImage.soon)
    }

    deinit { directory.remove() }

    static var soon: ContinuousClock.Instant { .now + .seconds(30) }

    // MARK: Signatures

    /// Pushes layers as cosign does before version 3.
    func push(_ layers: [TestInstance.Layer], mediaType: String = CosignMediaType.simpleSigning) async throws
        -> Descriptor
    {
        var descriptors: [Descriptor] = []
        for layer in layers {
            var descriptor = try await layout.pushBlob(
                layer.payload, mediaType: mediaType, to: reference, deadline: TestImage.soon)
            descriptor.annotations = layer.annotations
            descriptors.append(descriptor)
        }
        let config = try await layout.pushBlob(
            Array("{}".utf8), mediaType: "application/vnd.oci.image.config.v1+json", to: reference,
            deadline: TestImage.soon)
        var manifest = try await layout.pushManifest(
            Manifest(config: config, layers: descriptors).json.bytes, mediaType: MediaType.ociManifest,
            tag: subject.digest.cosignSignatureTag, to: reference, deadline: TestImage.soon)
        manifest.artifactType = CosignMediaType.signatureArtifact
        return manifest
    }

    /// Pushes a bundle as cosign 3 does.
    func push(
        bundle: [UInt8], annotations: [String: String] = [:], layers count: Int = 1,
        mediaType: String = CosignMediaType.bundle
    ) async throws -> Descriptor {
        let layer = try await layout.pushBlob(bundle, mediaType: mediaType, to: reference, deadline: TestImage.soon)
        let config = try await layout.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: TestImage.soon)
        let manifest = Manifest(
            artifactType: CosignMediaType.bundle, config: config, layers: Array(repeating: layer, count: count),
            subject: subject, annotations: annotations)
        return try await layout.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: subject,
            artifactType: CosignMediaType.bundle, annotations: annotations, to: reference, deadline: TestImage.soon)
    }

    // MARK: ReferrerStore

    private func faulty(_ digest: Digest) throws(RegistryError) {
        if let fault = faults.withLock({ $0[digest] }) { throw fault }
    }

    func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor { subject }

    func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        try await layout.referrers(of: subject, in: reference, artifactType: artifactType, deadline: deadline)
    }

    func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try faulty(descriptor.digest)
        return try await layout.manifest(descriptor, in: reference, deadline: deadline)
    }

    func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try faulty(descriptor.digest)
        return try await layout.blob(descriptor, in: reference, maximumBytes: maximumBytes, deadline: deadline)
    }
}

/// A verifier of a test's policies, and what it makes of images.
struct TestVerifier {
    let definition: CosignVerifierDefinition
    let trusted: TrustedCertificates
    let verifier: any ArtifactVerifier

    /// A verifier that trusts an instance's root, as "root", and some keys, as "keys".
    init(
        _ policies: [CosignTrustPolicy], root: TrustedRoot? = nil, keys: [PublicKey] = [],
        others: [any CertificateProvider] = [], awaited: Bool = false, keepsDetails: Bool = false
    ) throws {
        definition = try CosignVerifierDefinition(
            name: "verifier-cosign", type: "cosign", policies: try CosignTrustPolicies(policies),
            keepsDetails: keepsDetails)
        var providers: [any CertificateProvider] = others
        if let root { providers.append(FixedRoot("root", root)) }
        if !keys.isEmpty { providers.append(FixedKeys("keys", keys.map { TrustedKey(key: $0) })) }
        trusted = TrustedCertificates(providers)
        verifier = definition.verifier(trusting: trusted, areProvidersAwaited: awaited)
    }

    func outcome(_ artifact: Descriptor, _ image: TestImage) async -> ArtifactOutcome {
        await verifier.verify(
            artifact: artifact, subject: image.subject, reference: image.reference, store: image,
            deadline: TestImage.soon)
    }

    func report(_ artifact: Descriptor, _ image: TestImage) async throws -> VerifierReport {
        switch await outcome(artifact, image) {
        case .judged(let report, let validUntil):
            guard validUntil == nil else { throw Unexpected(text: "a time of validity") }
            return report
        case .notJudged: throw Unexpected(text: "not judged")
        case .fault(let fault): throw Unexpected(text: "fault: \(fault)")
        }
    }

    func fault(_ artifact: Descriptor, _ image: TestImage) async throws -> TransientFault {
        guard case .fault(let fault) = await outcome(artifact, image) else { throw Unexpected(text: "no fault") }
        return fault
    }
}

struct Unexpected: Error { let text: String }

extension CosignTrustPolicy {
    /// A policy for all images by keys of "keys", that asks for no log unless told.
    static func keys(
        _ sources: [CosignKeySource] = [.provider("keys", name: nil, version: nil)], scopes: [String] = [],
        logs: Int = 0, signatures: Int = 1, annotations: [String: String] = [:], name: String = "default"
    ) throws -> CosignTrustPolicy {
        var thresholds = Thresholds()
        thresholds.logs = logs
        thresholds.signatures = signatures
        return try CosignTrustPolicy(
            name: name, scopes: try scopes.map { try CosignScope(parsing: $0) }, signers: .keys(sources),
            trustedRoot: logs > 0 ? "root" : nil, annotations: annotations, thresholds: thresholds)
    }

    /// A policy for all images by identities, with the trusted root "root".
    static func keyless(
        _ identities: [CertificateIdentity] = [TestInstance.identity], scopes: [String] = [], logURL: String? = nil,
        thresholds: Thresholds = Thresholds(), annotations: [String: String] = [:], name: String = "default"
    ) throws -> CosignTrustPolicy {
        try CosignTrustPolicy(
            name: name, scopes: try scopes.map { try CosignScope(parsing: $0) }, signers: .identities(identities),
            trustedRoot: "root", logURL: logURL, annotations: annotations, thresholds: thresholds)
    }
}

extension VerifierReport {
    /// What was found of one of the signatures.
    func verification(_ index: Int = 0) -> JSONValue {
        guard let signatures = extensions["signatures"]?.array, signatures.indices.contains(index) else { return .null }
        return signatures[index]["verifications"]?.array?.first ?? .null
    }
}
