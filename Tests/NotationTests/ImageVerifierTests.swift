import Foundation
import Notation
import OCI
import StrictJSON
import TestSupport
import Testing

@Suite struct ImageVerifierTests {
    let fixture: SigningFixture
    let store = MemoryStore()
    let reference: ImageReference

    init() throws {
        fixture = try SigningFixture()
        reference = try ImageReference(parsing: "registry.example/app@\(SigningFixture.image.digest)")
    }

    private func sign(with fixture: SigningFixture? = nil, format: EnvelopeFormat = .jws) async throws
        -> ImageSigner.Signed
    {
        try await ImageSigner(signer: (fixture ?? self.fixture).signer, destination: store).sign(
            SigningFixture.image, in: reference, SigningOptions(format: format), now: SigningFixture.now,
            deadline: .now + .seconds(5))
    }

    private func verify(
        level: String = "strict", scopes: String = "*", maximumSignatures: Int? = nil
    ) async throws -> ImageOutcome {
        let trust = level == "skip" ? "" : #","trustStores":["ca:main"],"trustedIdentities":["*"]"#
        let policy = try TrustPolicyDocument(
            json: Array(
                #"{"version":"1.0","trustPolicies":[{"name":"p","registryScopes":["\#(scopes)"],"signatureVerification":{"level":"\#(level)"}\#(trust)}]}"#
                    .utf8))
        return await ImageVerifier(
            store: store, policy: policy, verifier: SignatureVerifier(trustStore: fixture.trustStore)
        ).verify(
            reference, subject: SigningFixture.image, maximumSignatures: maximumSignatures, now: SigningFixture.now,
            deadline: .now + .seconds(5))
    }

    private func reason(_ outcome: ImageOutcome) -> String {
        switch outcome.verdict {
        case .verified: "verified"
        case .skipped: "skipped"
        case .notVerified(let failure): "not verified: \(failure)"
        case .undetermined(let failure): "undetermined: \(failure)"
        }
    }

    @Test func oneGoodSignatureSuffices() async throws {
        let stranger = try SigningFixture()
        _ = try await sign(with: stranger)
        store.addReferrer(Array("{}".utf8), to: SigningFixture.image)
        _ = try await sign(format: .cose)
        _ = try await sign(with: stranger, format: .cose)
        let outcome = try await verify()
        #expect(outcome.isAccepted, "\(reason(outcome))")
        #expect(outcome.signatures.map(\.isVerified) == [false, false, true])
        #expect(outcome.signatureCount == 4)
        #expect(outcome.signatures.allSatisfy { $0.manifest != nil })
    }

    @Test func nothingGood() async throws {
        #expect(reason(try await verify()).contains("has no signature"))
        _ = try await sign(with: SigningFixture())
        #expect(reason(try await verify()).contains("not verified: no certificate of the signature's chain is trusted"))
        #expect(try await verify(level: "audit").isAccepted)
        #expect(reason(try await verify(scopes: "registry.example/other")).contains("no statement"))
    }

    @Test func skipAsksNobody() async throws {
        let outcome = try await verify(level: "skip", scopes: "registry.example/app")
        #expect(outcome.isAccepted)
        #expect(store.requests == 0)
    }

    /// Two statements, and an image that only the laxer one would take: no spelling of its registry leads there.
    @Test(arguments: ["registry.example", "registry.example:443", "REGISTRY.Example", "Registry.example:443"])
    func noSpellingChoosesAnotherStatement(_ registry: String) async throws {
        let policy = try TrustPolicyDocument(
            json: Array(
                """
                {"version":"1.0","trustPolicies":[
                {"name":"prod","registryScopes":["registry.example/app"],"signatureVerification":{"level":"strict"},
                "trustStores":["ca:main"],"trustedIdentities":["*"]},
                {"name":"rest","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}
                """.utf8))
        let image = try ImageReference(parsing: "\(registry)/app@\(SigningFixture.image.digest)")
        let outcome = await ImageVerifier(
            store: store, policy: policy, verifier: SignatureVerifier(trustStore: fixture.trustStore)
        ).verify(image, subject: SigningFixture.image, now: SigningFixture.now, deadline: .now + .seconds(5))
        #expect(!outcome.isAccepted && outcome.statement?.name == "prod")
        #expect(reason(outcome).contains("registry.example/app@\(SigningFixture.image.digest) has no signature"))
    }

    @Test func limit() async throws {
        let stranger = try SigningFixture()
        for _ in 0..<3 { _ = try await sign(with: stranger) }
        _ = try await sign()
        let outcome = try await verify(maximumSignatures: 3)
        #expect(!outcome.isAccepted)
        #expect(reason(outcome).contains("none of the first 3 of 4"))
        #expect(try await verify(maximumSignatures: 4).isAccepted)
        #expect(try await !verify(maximumSignatures: 0).isAccepted)
    }

    @Test(arguments: [RegistryError.Kind.throttled, .unavailable, .timeout])
    func transientFaultsAreNoVerdict(_ kind: RegistryError.Kind) async throws {
        let stranger = try SigningFixture()
        _ = try await sign(with: stranger)
        let good = try await sign()
        store.fail(good.envelope.digest, with: kind)
        #expect(reason(try await verify()).hasPrefix("undetermined"))
        _ = try await sign(format: .cose)
        #expect(try await verify().isAccepted)
        store.fail(SigningFixture.image.digest, with: kind)
        #expect(reason(try await verify()).hasPrefix("undetermined"))
    }

    @Test func definiteFaultsAreVerdicts() async throws {
        let good = try await sign()
        store.fail(good.manifest.digest, with: .digestMismatch)
        #expect(reason(try await verify()).hasPrefix("not verified"))
    }

    @Test func manifestMustBeASignatureOfTheSubject() async throws {
        let good = try await sign()
        let content = try await store.manifest(good.manifest, in: reference, deadline: .now)
        let text = String(decoding: content, as: UTF8.self)
        let other = Digest(of: [1, 2, 3])
        for (old, new) in [
            (SigningFixture.image.digest.description, other.description),
            ("application/vnd.cncf.notary.signature", "application/vnd.example"), ("\"subject\"", "\"subjekt\""),
            ("\"layers\":[", "\"layers\":[],\"other\":["), ("application/jose+json", "application/jose+json; v=1"),
        ] {
            let fresh = MemoryStore()
            let changed = text.replacing(old, with: new)
            #expect(changed != text)
            let manifest = try await fresh.pushReferrer(
                Array(changed.utf8), mediaType: MediaType.ociManifest, subject: SigningFixture.image,
                artifactType: MediaType.notationSignature, annotations: [:], to: reference, deadline: .now)
            _ = try await fresh.pushBlob(
                try await store.blob(good.envelope, in: reference, maximumBytes: 1 << 20, deadline: .now),
                mediaType: "", to: reference, deadline: .now)
            let policy = try TrustPolicyDocument(statements: [fixture.statement(VerificationLevel(.audit))])
            let outcome = await ImageVerifier(
                store: fresh, policy: policy, verifier: SignatureVerifier(trustStore: fixture.trustStore)
            ).verify(
                signature: manifest, of: SigningFixture.image, in: reference, statement: policy.statements[0],
                now: SigningFixture.now, deadline: .now + .seconds(5))
            #expect(!outcome.isVerified, "\(new)")
            #expect(!outcome.isUndetermined)
        }
    }
}
