import Foundation
import Notation
import OCI
import PKI
import TestSupport
import Testing

/// Levels, trust, times and the two seams, with envelopes that are signed in the test.
@Suite struct SignatureVerifierTests {
    @Test(
        arguments: [
            PublicKey.Kind.rsa(bits: 2048), .rsa(bits: 3072), .rsa(bits: 4096), .ec(.p256), .ec(.p384), .ec(.p521),
        ], EnvelopeFormat.allCases)
    func everyAlgorithmInBothFormats(_ key: PublicKey.Kind, _ format: EnvelopeFormat) async throws {
        let fixture = try SigningFixture(key: key)
        let options = SigningOptions(
            format: format, expiry: SigningFixture.now.addingTimeInterval(3600), userMetadata: ["build": "42"],
            signingAgent: "countersign/test")
        let outcome = try await fixture.verify(
            try fixture.sign(options), format: format, userMetadata: ["build": "42"])
        #expect(outcome.isVerified, "\(outcome.refusal?.description ?? "")")
        #expect(outcome.results.map(\.status) == Array(repeating: .passed, count: 5))
        let content = try #require(outcome.content)
        #expect(content.envelope.signingAgent == "countersign/test")
        #expect(content.envelope.attributes.signingTime == SigningFixture.now)
        #expect(content.envelope.attributes.expiry == SigningFixture.now.addingTimeInterval(3600))
        #expect(content.userMetadata == ["build": "42"])
        #expect(content.signer == fixture.identity.certificate)
    }

    @Test func trust() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign()
        let other = try InMemoryTrustStore([
            TrustStoreName(.ca, "main"): [CertificateAuthority(name: "stranger").certificate]
        ])
        let stranger = try await fixture.verify(envelope, trustStore: other)
        #expect(!stranger.isVerified)
        #expect(stranger[.authenticity]?.status == .failed)
        #expect(stranger[.expiry]?.status == .notRun)
        let audited = try await fixture.verify(
            envelope, statement: try fixture.statement(VerificationLevel(.audit)), trustStore: other)
        #expect(audited.isVerified)
        #expect(audited[.authenticity]?.status == .failed)
        let authority = try await fixture.verify(
            envelope, statement: try fixture.statement(stores: ["signingAuthority:main"]))
        #expect(authority.refusal?.description.contains("no trust store of type ca") == true)
        let missing = try await fixture.verify(
            envelope, statement: try fixture.statement(stores: ["ca:main", "ca:missing"]))
        #expect(!missing.isVerified)
    }

    /// A store of which a part is missing.
    private struct PartialStore: TrustStore {
        var parts: [TrustStoreType: [Certificate]]

        func certificates(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> [Certificate] {
            throw TrustStoreError("provider \"gone\" is missing", isTransient: true)
        }

        func content(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> TrustStoreContent {
            TrustStoreContent(certificates: parts[type] ?? [], missing: ["provider \"gone\" is missing"])
        }
    }

    /// What is there goes on to admit; of everything else nothing is known, and it is no verdict.
    @Test func aPartOfAStoreThatIsMissing() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign()
        let authority = fixture.root.root
        let stranger = try CertificateAuthority(name: "stranger").certificate
        let good = try await fixture.verify(envelope, trustStore: PartialStore(parts: [.ca: [stranger, authority]]))
        #expect(good.isVerified, "\(good.refusal?.description ?? "")")
        for parts: [TrustStoreType: [Certificate]] in [[:], [.ca: [stranger]], [.signingAuthority: [authority]]] {
            let unknown = try await fixture.verify(envelope, trustStore: PartialStore(parts: parts))
            #expect(!unknown.isVerified && unknown.isUndetermined)
            #expect(unknown.refusal?.description.contains("provider \"gone\" is missing") == true)
        }
        // What is wrong whoever else is trusted stays a verdict.
        let identity = try await fixture.verify(
            envelope, statement: try fixture.statement(identities: ["x509.subject:C=XX,ST=YY,O=ZZ"]),
            trustStore: PartialStore(parts: [.ca: [authority]]))
        #expect(!identity.isVerified && !identity.isUndetermined)
        var broken = envelope
        broken[broken.count / 2] ^= 1
        let spoiled = try await fixture.verify(broken, trustStore: PartialStore(parts: [.ca: [authority]]))
        #expect(!spoiled.isVerified && !spoiled.isUndetermined)
    }

    @Test func identities() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign()
        let subject = fixture.identity.certificate.subject.rfc2253
        let matching = try await fixture.verify(
            envelope, statement: try fixture.statement(identities: ["x509.subject:\(subject)"]))
        let other = try await fixture.verify(
            envelope, statement: try fixture.statement(identities: ["x509.subject:C=XX,ST=YY,O=ZZ"]))
        #expect(matching.isVerified, "\(subject): \(matching.refusal?.description ?? "")")
        #expect(!other.isVerified)
        #expect(other[.authenticity]?.message?.contains("matches none") == true)
    }

    @Test func expiry() async throws {
        let fixture = try SigningFixture()
        let expiry = SigningFixture.now.addingTimeInterval(100)
        let envelope = try fixture.sign(SigningOptions(expiry: expiry))
        #expect(try await fixture.verify(envelope, now: expiry.addingTimeInterval(-1)).isVerified)
        // "expired when the current time is greater than or equal to expiry time"
        #expect(try await !fixture.verify(envelope, now: expiry).isVerified)
        let permissive = try fixture.statement(VerificationLevel(.permissive))
        let logged = try await fixture.verify(envelope, statement: permissive, now: expiry)
        #expect(logged.isVerified)
        #expect(logged[.expiry]?.status == .failed)
        let custom = try fixture.statement(VerificationLevel(.permissive, overrides: [.expiry: .enforce]))
        #expect(try await !fixture.verify(envelope, statement: custom, now: expiry).isVerified)
    }

    @Test func certificateValidity() async throws {
        let fixture = try SigningFixture()
        let leaf = fixture.identity.certificate
        let envelope = try fixture.sign()
        #expect(try await fixture.verify(envelope, now: leaf.notAfter).isVerified)
        let late = try await fixture.verify(envelope, now: leaf.notAfter.addingTimeInterval(1))
        #expect(late[.authenticTimestamp]?.status == .failed)
        #expect(!late.isVerified)
    }

    @Test func anotherArtifactFailsAtEveryLevel() async throws {
        let fixture = try SigningFixture()
        let image = SigningFixture.image
        for (mediaType, digest, size) in [
            (image.mediaType, Digest(of: [1]), image.size), (image.mediaType, image.digest, image.size + 1),
            (MediaType.dockerManifest, image.digest, image.size),
        ] {
            let envelope = try fixture.sign(image: Descriptor(mediaType: mediaType, digest: digest, size: size))
            let outcome = try await fixture.verify(
                envelope, statement: try fixture.statement(VerificationLevel(.audit)))
            #expect(!outcome.isVerified)
            #expect(outcome.refusal?.description.contains("another artifact") == true)
        }
    }

    @Test func userMetadata() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign(SigningOptions(userMetadata: ["a": "1", "b": "2"]))
        #expect(try await fixture.verify(envelope, userMetadata: ["a": "1"]).isVerified)
        #expect(try await !fixture.verify(envelope, userMetadata: ["a": "2"]).isVerified)
        #expect(try await !fixture.verify(envelope, userMetadata: ["c": "1"]).isVerified)
    }

    @Test func revocationIsNeverPassedOver() async throws {
        var template = CertificateTemplate.codeSigning("signer")
        template.extensions.append(.ocsp(["http://ocsp.example/"]))
        let fixture = try SigningFixture(template: template)
        let envelope = try fixture.sign()
        let strict = try await fixture.verify(envelope)
        #expect(!strict.isVerified)
        #expect(strict[.revocation]?.message?.contains("works offline") == true)
        let permissive = try await fixture.verify(
            envelope, statement: try fixture.statement(VerificationLevel(.permissive)))
        #expect(permissive.isVerified)
        #expect(permissive[.revocation]?.status == .failed)
        let skipping = try await fixture.verify(
            envelope, statement: try fixture.statement(VerificationLevel(.strict, overrides: [.revocation: .skip])))
        #expect(skipping.isVerified)
        #expect(skipping[.revocation]?.status == .skipped)

        struct Unreachable: RevocationChecking {
            func check(
                _ chain: [Certificate], isTrusted: Bool, authenticSigningTime: Date?, now: Date,
                deadline: ContinuousClock.Instant
            ) async throws(ValidationFailure) -> Date? { throw ValidationFailure("no answer", isTransient: true) }
        }
        let passing = try await fixture.verify(envelope, revocation: Unreachable())
        #expect(!passing.isVerified)
        #expect(passing.isUndetermined)
        let logged = try await fixture.verify(
            envelope, statement: try fixture.statement(VerificationLevel(.audit)), revocation: Unreachable())
        #expect(logged.isVerified)
        #expect(!logged.isUndetermined)
    }

    @Test func timestamps() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign()
        let trustStore = try InMemoryTrustStore([
            TrustStoreName(.ca, "main"): [fixture.root.root],
            TrustStoreName(.tsa, "times"): [CertificateAuthority(name: "tsa").certificate],
        ])
        let stores = ["ca:main", "tsa:times"]
        let always = try fixture.statement(stores: stores)
        let missing = try await fixture.verify(envelope, statement: always, trustStore: trustStore)
        #expect(missing[.authenticTimestamp]?.message?.contains("the signature has none") == true)
        // Only once a certificate has expired: it has not.
        let after = try fixture.statement(stores: stores, verifyTimestamp: .afterCertExpiry)
        #expect(try await fixture.verify(envelope, statement: after, trustStore: trustStore).isVerified)

        // A token that is there is never taken for good without being verified.
        let text = String(decoding: envelope, as: UTF8.self)
            .replacing("\"header\":{", with: "\"header\":{\"io.cncf.notary.timestampSignature\":\"AAAA\",")
        let stamped = Array(text.utf8)
        let garbage = try await fixture.verify(stamped, statement: always, trustStore: trustStore)
        #expect(garbage[.authenticTimestamp]?.message?.contains("not a timestamp token") == true)
        #expect(!garbage.isVerified)

        struct Fixed: TimestampVerifying {
            let range: ClosedRange<Date>
            func verify(
                token: [UInt8], over signature: [UInt8], roots: [Certificate]
            ) throws(ValidationFailure) -> VerifiedTimestamp {
                VerifiedTimestamp(time: range.lowerBound, range: range, chain: roots)
            }
        }
        let leaf = fixture.identity.certificate
        let expired = leaf.notAfter.addingTimeInterval(1_000_000)
        for (range, isGood) in [
            (SigningFixture.now...SigningFixture.now, true), (leaf.notAfter...leaf.notAfter, true),
            (leaf.notAfter...leaf.notAfter.addingTimeInterval(1), false),
            (leaf.notBefore.addingTimeInterval(-1)...leaf.notBefore, false),
        ] {
            let outcome = try await fixture.verify(
                stamped, statement: after, now: expired, timestamps: Fixed(range: range), trustStore: trustStore)
            #expect(outcome.isVerified == isGood, "\(range)")
        }
    }

    @Test func skipVerifiesNothing() async throws {
        let fixture = try SigningFixture()
        let statement = try TrustPolicyStatement(
            name: "skip", registryScopes: ["*"], level: VerificationLevel(.skip), trustStores: [], trustedIdentities: []
        )
        let outcome = try await fixture.verify(fixture.sign(), statement: statement)
        #expect(!outcome.isVerified)
        #expect(outcome.results.allSatisfy { $0.status == .skipped })
    }

    /// What to do depends on what is wrong, not on how far the verification came.
    @Test func adviceByCause() async throws {
        let fixture = try SigningFixture()
        let envelope = try fixture.sign(SigningOptions(userMetadata: ["build": "1"]))
        let store = try await fixture.verify(
            envelope, statement: try fixture.statement(stores: ["ca:main", "ca:missing"]))
        #expect(store.refusal?.advice?.contains("Mend the trust store ca:missing") == true)
        let times = try await fixture.verify(
            fixture.sign(), statement: try fixture.statement(stores: ["ca:main", "tsa:missing"]))
        #expect(times.refusal?.description.contains("the signature has none") == true)
        let type = try await fixture.verify(
            envelope, statement: try fixture.statement(stores: ["signingAuthority:main"]))
        #expect(type.refusal?.advice?.contains("type ca") == true)
        let metadata = try await fixture.verify(envelope, userMetadata: ["build": "2"])
        #expect(metadata.refusal?.advice?.contains("metadata that was signed") == true)
        #expect(metadata.refusal?.description.contains("what was signed is \"build=1\"") == true)
        let none = try await fixture.verify(fixture.sign(), userMetadata: ["build": "2"])
        #expect(none.refusal?.description.contains("no metadata was signed") == true)
        let identity = try await fixture.verify(
            envelope, statement: try fixture.statement(identities: ["x509.subject:C=XX,ST=YY,O=ZZ"]))
        #expect(identity.refusal?.advice?.contains("trustedIdentities") == true)
        let stranger = try await fixture.verify(
            envelope,
            trustStore: InMemoryTrustStore([
                TrustStoreName(.ca, "main"): [CertificateAuthority(name: "other").certificate]
            ]))
        #expect(stranger.refusal?.description.contains("no certificate of the signature's chain is trusted") == true)
        #expect(stranger.refusal?.advice == nil)
    }

    @Test func certificatesInTheWrongOrder() throws {
        let fixture = try SigningFixture()
        let chain = fixture.identity.chain
        func reason(_ chain: [Certificate], _ key: PrivateKey) -> String {
            do throws(SigningError) {
                _ = try EnvelopeSigner(key: key, chain: chain)
                return ""
            } catch { return error.description }
        }
        let reversed = reason(chain.reversed(), fixture.identity.key)
        #expect(reversed.contains("in the wrong order") && reversed.contains("number 3 of 3"), "\(reversed)")
        #expect(reversed.contains("put it first, then the certificate of its issuer"), "\(reversed)")
        #expect(reason([chain[0], chain[2], chain[1]], fixture.identity.key).contains("leaf first"))
        let other = try SigningFixture()
        #expect(reason(chain, other.identity.key).contains("not that of any certificate of the chain"))
    }

    @Test func signerRefusesWhatWouldNotVerify() throws {
        let fixture = try SigningFixture()
        let other = try SigningFixture()
        #expect(throws: SigningError.self) {
            try EnvelopeSigner(key: other.identity.key, chain: fixture.identity.chain)
        }
        #expect(throws: SigningError.self) {
            try EnvelopeSigner(key: fixture.identity.key, chain: [fixture.identity.certificate])
        }
        #expect(throws: SigningError.self) {
            try fixture.sign(SigningOptions(userMetadata: ["io.cncf.notary.x": "1"]))
        }
        #expect(throws: SigningError.self) { try fixture.sign(SigningOptions(expiry: SigningFixture.now)) }
        #expect(throws: SigningError.self) {
            try fixture.signer.sign(
                SigningFixture.image, SigningOptions(),
                now: fixture.identity.certificate.notAfter.addingTimeInterval(1))
        }
    }
}
