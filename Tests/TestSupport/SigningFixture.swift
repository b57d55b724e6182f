import Foundation
import Notation
import OCI
import PKI
import Synchronization

/// A signer with its chain and a policy that trusts it.
package struct SigningFixture: Sendable {
    /// The time of the test, in whole seconds: certificates are made to be valid around it.
    package static let now = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
    package static let image = Descriptor(of: Array("an image".utf8), mediaType: MediaType.ociManifest)

    package let root: CertificateAuthority
    package let identity: Identity
    package let signer: EnvelopeSigner
    package let trustStore: InMemoryTrustStore

    package init(
        key: PublicKey.Kind = .ec(.p256), authorityKey: PublicKey.Kind = .ec(.p256),
        template: CertificateTemplate = .codeSigning("signer")
    ) throws {
        root = try CertificateAuthority(name: "root", key: authorityKey)
        identity = try root.intermediate("issuing", key: authorityKey).issue(template, key: key)
        signer = try EnvelopeSigner(key: identity.key, chain: identity.chain)
        trustStore = try InMemoryTrustStore([TrustStoreName(.ca, "main"): [root.root]])
    }

    package func statement(
        _ level: VerificationLevel = VerificationLevel(.strict), stores: [String] = ["ca:main"],
        identities: [String] = ["*"], verifyTimestamp: TrustPolicyStatement.VerifyTimestamp = .always
    ) throws -> TrustPolicyStatement {
        try TrustPolicyStatement(
            name: "test", registryScopes: ["*"], level: level, verifyTimestamp: verifyTimestamp, trustStores: stores,
            trustedIdentities: identities)
    }

    package func sign(_ options: SigningOptions = SigningOptions(), image: Descriptor = image) throws -> [UInt8] {
        try signer.sign(image, options, now: Self.now)
    }

    package func verify(
        _ envelope: [UInt8], format: EnvelopeFormat = .jws, statement: TrustPolicyStatement? = nil,
        userMetadata: [String: String] = [:], now: Date = now.addingTimeInterval(60),
        revocation: any RevocationChecking = OfflineRevocation(),
        timestamps: any TimestampVerifying = TimestampVerifier(), trustStore: (any TrustStore)? = nil
    ) async throws -> SignatureOutcome {
        await SignatureVerifier(
            trustStore: trustStore ?? self.trustStore, revocation: revocation, timestamps: timestamps
        )
        .verify(
            envelope: envelope, mediaType: format.mediaType, subject: Self.image,
            statement: try statement ?? self.statement(), userMetadata: userMetadata, now: now,
            deadline: .now + .seconds(5))
    }
}

/// A store of one repository in memory, whose answers can be made to fail.
package final class MemoryStore: ReferrerStore, ArtifactPushing {
    private struct State {
        var contents: [Digest: [UInt8]] = [:]
        var referrers: [Digest: [Descriptor]] = [:]
        var faults: [Digest: RegistryError] = [:]
        var requests = 0
    }

    private let state = Mutex(State())
    package let name = "memory"

    package init() {}

    /// How often anything was asked.
    package var requests: Int { state.withLock { $0.requests } }

    /// Makes a request for some content, or the listing for a subject, fail.
    package func fail(_ digest: Digest, with kind: RegistryError.Kind) {
        state.withLock { $0.faults[digest] = RegistryError(kind, host: "memory", detail: "made to fail") }
    }

    /// Adds a referrer that need not be what it says.
    package func addReferrer(_ content: [UInt8], to subject: Descriptor) {
        let descriptor = Descriptor(
            of: content, mediaType: MediaType.ociManifest, artifactType: MediaType.notationSignature)
        state.withLock {
            $0.contents[descriptor.digest] = content
            $0.referrers[subject.digest, default: []].append(descriptor)
        }
    }

    private func get(_ digest: Digest) throws(RegistryError) -> [UInt8] {
        let (content, fault) = state.withLock { state in
            state.requests += 1
            return (state.contents[digest], state.faults[digest])
        }
        if let fault { throw fault }
        guard let content else { throw RegistryError(.notFound, host: "memory", detail: "there is no \(digest)") }
        return content
    }

    package func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        let content = try get(reference.digest ?? Digest(of: []))
        return Descriptor(of: content, mediaType: MediaType.ociManifest)
    }

    package func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        let (list, fault) = state.withLock { state in
            state.requests += 1
            return (state.referrers[subject.digest] ?? [], state.faults[subject.digest])
        }
        if let fault { throw fault }
        return list.filter { artifactType == nil || $0.artifactType == artifactType }
    }

    package func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] { try get(descriptor.digest) }

    package func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] { try get(descriptor.digest) }

    package func pushBlob(
        _ content: [UInt8], mediaType: String, to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        let descriptor = Descriptor(of: content, mediaType: mediaType)
        state.withLock { $0.contents[descriptor.digest] = content }
        return descriptor
    }

    package func pushManifest(
        _ content: [UInt8], mediaType: String, tag: String?, to reference: ImageReference,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        try await pushBlob(content, mediaType: mediaType, to: reference, deadline: deadline)
    }

    package func pushReferrer(
        _ content: [UInt8], mediaType: String, subject: Descriptor, artifactType: String,
        annotations: [String: String], to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        let descriptor = Descriptor(
            of: content, mediaType: mediaType, artifactType: artifactType, annotations: annotations)
        state.withLock {
            $0.contents[descriptor.digest] = content
            $0.referrers[subject.digest, default: []].append(descriptor)
        }
        return descriptor
    }
}
