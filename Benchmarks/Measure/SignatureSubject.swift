import FoundationEssentials
import Notation
import OCI
import PKI
import TestSupport

/// One signed image in memory, with all that its verification needs.
struct SignatureSubject: Sendable {
    /// The arithmetic of its signature alone.
    let bare: BareSignature

    private let envelope: [UInt8]
    private let format: EnvelopeFormat
    private let image: Descriptor
    private let trustStore: InMemoryTrustStore
    private let statement: TrustPolicyStatement
    private let warmVerifier: SignatureVerifier

    /// Signs an image with a key of a kind; all three certificates of its chain have keys of that kind.
    init(_ kind: PublicKey.Kind, _ format: EnvelopeFormat) async throws {
        let signer = try CertificateAuthority(name: "root", key: kind).intermediate("issuing", key: kind)
            .issue(.codeSigning("signer"), key: kind)
        image = Descriptor(of: Array("an image".utf8), mediaType: MediaType.ociManifest)
        envelope = try EnvelopeSigner(key: signer.key, chain: signer.chain)
            .sign(image, SigningOptions(format: format), now: Date())
        self.format = format
        bare = try BareSignature(envelope: envelope, format: format, key: signer.key.publicKey)
        trustStore = try InMemoryTrustStore([
            TrustStoreName(.ca, "release"): [signer.chain[signer.chain.count - 1]]
        ])
        statement = try TrustPolicyDocument(json: [
            "version": "1.0",
            "trustPolicies": [
                [
                    "name": "release", "registryScopes": ["*"], "signatureVerification": ["level": "strict"],
                    "trustStores": ["ca:release"],
                    "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Countersign Tests"],
                ]
            ],
        ]).statement(forScope: "registry.example.com/app")
        warmVerifier = SignatureVerifier(trustStore: trustStore)
        let outcome = await verify(warmVerifier)
        guard outcome.isVerified else {
            throw BenchmarkError("a signature of ours does not verify: \(outcome.refusal?.description ?? "no reason")")
        }
    }

    /// The whole verification, its chain seen before.
    func verifyWarm() async -> Bool { await verify(warmVerifier).isVerified }

    /// The whole verification, its chain never seen: all certificates parsed, and every rule checked.
    func verifyCold() async -> Bool {
        await verify(SignatureVerifier(trustStore: trustStore, chains: CertificateChainCache())).isVerified
    }

    private func verify(_ verifier: SignatureVerifier) async -> SignatureOutcome {
        await verifier.verify(
            envelope: envelope, mediaType: format.mediaType, subject: image, statement: statement, now: Date(),
            deadline: .now + .seconds(10))
    }
}
