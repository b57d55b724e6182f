import Foundation
import Notation
import NotationOnline
import PKI
import TestSupport
import Testing

/// RFC 3161 timestamps: the chain of the authority, and the range of time.
@Suite struct TimestampVerifierTests {
    private let message = Array("a signature".utf8)
    private let root: CertificateAuthority

    init() throws { root = try CertificateAuthority(name: "tsa root") }

    private func outcome(
        _ authority: TimestampAuthority, roots: [Certificate]? = nil, over: [UInt8]? = nil
    ) throws -> (timestamp: VerifiedTimestamp?, reason: String) {
        let token = try authority.token(over: message)
        do throws(ValidationFailure) {
            return (
                try TimestampVerifier().verify(
                    token: token, over: over ?? message, roots: roots ?? [root.certificate]), ""
            )
        } catch { return (nil, error.description) }
    }

    private func authority(
        _ change: (inout CertificateTemplate) -> Void = { _ in }, key: PublicKey.Kind = .ec(.p256),
        of issuer: CertificateAuthority? = nil
    ) throws -> TimestampAuthority {
        var template = CertificateTemplate.timestamping("tsa")
        change(&template)
        return TimestampAuthority(try (issuer ?? root).issue(template, key: key))
    }

    @Test func goodTokens() throws {
        for key: PublicKey.Kind in [.ec(.p256), .ec(.p384), .rsa(bits: 2048)] {
            var authority = try authority(key: key)
            if key == .ec(.p384) { authority.digest = .sha384 }
            let (timestamp, reason) = try outcome(authority)
            #expect(timestamp?.chain.count == 2, "\(reason)")
        }
        var deep = try authority(of: root.intermediate("tsa issuing"))
        #expect(try outcome(deep).timestamp?.chain.count == 3)
        // The root may come from the store, what is between may not.
        deep.certificates = Array(deep.signer.chain.prefix(2))
        #expect(try outcome(deep).timestamp?.chain.count == 3)
        deep.certificates = [deep.signer.certificate]
        #expect(try outcome(deep).reason.contains("no chain leads"))
    }

    @Test func refusedTokens() throws {
        let good = try authority()
        #expect(try outcome(good, over: Array("other".utf8)).reason.contains("imprint differs"))
        #expect(try outcome(good, roots: []).reason.contains("no tsa trust store"))
        #expect(
            try outcome(good, roots: [CertificateAuthority(name: "tsa root").certificate]).reason
                .contains("no chain leads"))
        var versionOne = good
        versionOne.namingAttribute = "1.2.840.113549.1.9.16.2.12"
        #expect(try outcome(versionOne).timestamp == nil)
        var sha1 = good
        sha1.imprintHash = .sha1
        #expect(try outcome(sha1).timestamp == nil)
        var late = good
        late.time = good.signer.certificate.notAfter.addingTimeInterval(10)
        #expect(try outcome(late).reason.contains("was not valid at the time of the timestamp"))
    }

    @Test func rulesOfTheChain() throws {
        func reason(_ extensions: [TestExtension], key: PublicKey.Kind = .ec(.p256)) throws -> String {
            try outcome(authority({ $0.extensions = extensions }, key: key)).reason
        }
        let purpose = TestExtension.extendedKeyUsage([ExtendedKeyUsage.timeStamping], isCritical: true)
        let usage = TestExtension.keyUsage([.digitalSignature])
        #expect(try reason([usage, purpose]) == "")
        #expect(try reason([.keyUsage([.digitalSignature], isCritical: false), purpose]) == "")
        #expect(try reason([.keyUsage([.digitalSignature, .contentCommitment]), purpose]) == "")
        #expect(try reason([purpose]).contains("no key usage"))
        #expect(try reason([.keyUsage([.digitalSignature, .keyEncipherment]), purpose]).contains("keyEncipherment"))
        #expect(try reason([usage]) != "")
        #expect(try reason([usage, .extendedKeyUsage([ExtendedKeyUsage.timeStamping])]) != "")
        #expect(
            try reason([
                usage,
                .extendedKeyUsage([ExtendedKeyUsage.timeStamping, ExtendedKeyUsage.codeSigning], isCritical: true),
            ]) != "")
        #expect(try reason([usage, purpose, .basicConstraints(isCA: true)]).contains("certificate authority"))
        #expect(
            try reason([usage, purpose, TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])])
                .contains("1.2.3.4"))
        #expect(try reason([usage, purpose], key: .rsa(bits: 1024)).contains("RSA-1024"))
    }

    @Test func rulesOfTheAuthoritiesAbove() throws {
        func reason(_ change: (inout CertificateTemplate) -> Void) throws -> String {
            var template = CertificateTemplate.authority("tsa issuing")
            change(&template)
            return try outcome(authority(of: CertificateAuthority(root.issue(template)))).reason
        }
        #expect(try reason { _ in } == "")
        #expect(
            try reason { $0.extensions.append(.extendedKeyUsage([ExtendedKeyUsage.codeSigning])) }
                .contains("does not allow timeStamping"))
        #expect(try reason { $0.extensions.append(.extendedKeyUsage([ExtendedKeyUsage.timeStamping])) } == "")
        #expect(try reason { $0.notAfter = Date(timeIntervalSinceNow: -60) }.contains("no chain leads"))
    }

    @Test func rangesOfTime() throws {
        var authority = try authority()
        let time = authority.time
        #expect(try outcome(authority).timestamp?.range == time...time)
        authority.policy = "0.4.0.2023.1.1"
        #expect(try outcome(authority).timestamp?.range == time.addingTimeInterval(-1)...time.addingTimeInterval(1))
        authority.accuracy = (60, 500, 0)
        #expect(
            try outcome(authority).timestamp?.range
                == time.addingTimeInterval(-60.5)...time.addingTimeInterval(60.5))
        authority.accuracy = (4_000_000_000, 0, 0)
        #expect(try outcome(authority).reason.contains("accuracy"))
    }

    /// A time to come proves nothing, neither to who verifies nor to who signs.
    @Test func timesToCome() async throws {
        let fixture = try SigningFixture()
        let trustStore = try InMemoryTrustStore([
            TrustStoreName(.ca, "main"): [fixture.root.root], TrustStoreName(.tsa, "times"): [root.certificate],
        ])
        for (ahead, isGood) in [(60.0, true), (3_600, false)] {
            var tsa = try authority()
            tsa.time = SigningFixture.now.addingTimeInterval(ahead)
            tsa.accuracy = (7_200, 0, 0)
            let client = TimestampClient(
                url: "http://tsa.test", roots: [root.certificate], http: StampingHTTP(tsa),
                revocation: OfflineRevocation())
            func sign(now: Date) async throws -> [UInt8] {
                try await fixture.signer.sign(
                    SigningFixture.image, SigningOptions(), now: now, timestamps: client, deadline: .now + .seconds(600)
                )
            }
            if !isGood { await #expect(throws: SigningError.self) { _ = try await sign(now: SigningFixture.now) } }
            let envelope = try await sign(now: SigningFixture.now.addingTimeInterval(ahead))
            let outcome = try await fixture.verify(
                envelope, statement: fixture.statement(stores: ["ca:main", "tsa:times"]), now: SigningFixture.now,
                trustStore: trustStore)
            #expect(outcome.isVerified == isGood, "\(outcome.refusal?.description ?? "")")
            let reason = outcome[.authenticTimestamp]?.message ?? ""
            #expect(isGood || reason.contains("a time to come"), "\(reason)")
        }
    }

    /// The whole way through an envelope: accepted after the expiry of the signer, and the authority's revocation
    /// counts.
    @Test(arguments: EnvelopeFormat.allCases)
    func envelopes(format: EnvelopeFormat) async throws {
        let fixture = try SigningFixture()
        let list = "http://crl.test/tsa.crl"
        var tsa = try authority({ $0.extensions.append(.crlDistributionPoints([list])) })
        // The fixture's time, however long ago that was.
        tsa.time = SigningFixture.now
        let http = TableHTTP()
        let stamping = StampingHTTP(tsa)
        let client = TimestampClient(
            url: "http://tsa.test", roots: [root.certificate], http: stamping, revocation: RevocationChecker(http: http)
        )
        http[list] = .content(try RevocationListTemplate().sign(by: root))
        let envelope = try await fixture.signer.sign(
            SigningFixture.image, SigningOptions(format: format), now: SigningFixture.now, timestamps: client,
            deadline: .now + .seconds(600))
        let trustStore = try InMemoryTrustStore([
            TrustStoreName(.ca, "main"): [fixture.root.root], TrustStoreName(.tsa, "times"): [root.certificate],
        ])
        func outcome(_ http: TableHTTP, now: Date = SigningFixture.now) async throws -> SignatureOutcome {
            try await fixture.verify(
                envelope, format: format, statement: fixture.statement(stores: ["ca:main", "tsa:times"]), now: now,
                revocation: RevocationChecker(http: http), trustStore: trustStore)
        }
        let good = try await outcome(http)
        #expect(good.isVerified, "\(good.refusal?.description ?? "")")
        #expect(good.validUntil != nil)
        #expect(try await outcome(http, now: SigningFixture.now.addingTimeInterval(60)).isVerified)
        let unknown = try await outcome(TableHTTP())
        #expect(unknown.isUndetermined && unknown[.authenticTimestamp]?.status == .failed)
        let revoking = TableHTTP()
        revoking[list] = .content(try RevocationListTemplate([.init(tsa.signer.certificate)]).sign(by: root))
        let revoked = try await outcome(revoking)
        #expect(revoked[.authenticTimestamp]?.message?.contains("was revoked") == true)

        // Of two roots one is missing: those that are there go on to vouch, and what they do not vouch for is no
        // verdict.
        for (roots, isGood) in [([root.certificate], true), ([fixture.root.root], false), ([], false)] {
            let partial = try await fixture.verify(
                envelope, format: format, statement: fixture.statement(stores: ["ca:main", "tsa:times"]),
                now: SigningFixture.now, revocation: RevocationChecker(http: http),
                trustStore: GappedRoots(authority: fixture.root.root, roots: roots))
            #expect(partial.isVerified == isGood, "\(partial.refusal?.description ?? "")")
            if !isGood { #expect(partial.isUndetermined) }
        }

        // What would not verify is not embedded.
        for (roots, table) in [([fixture.root.root], http), ([root.certificate], revoking)] {
            let client = TimestampClient(
                url: "http://tsa.test", roots: roots, http: stamping, revocation: RevocationChecker(http: table))
            await #expect(throws: SigningError.self) {
                _ = try await fixture.signer.sign(
                    SigningFixture.image, SigningOptions(format: format), now: SigningFixture.now, timestamps: client,
                    deadline: .now + .seconds(600))
            }
        }
    }
}

/// A `tsa` store of which a part is missing.
private struct GappedRoots: TrustStore {
    let authority: Certificate
    let roots: [Certificate]

    func certificates(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> [Certificate] {
        [authority]
    }

    func content(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> TrustStoreContent {
        type == .tsa
            ? TrustStoreContent(certificates: roots, missing: ["a provider is missing"])
            : TrustStoreContent(certificates: [authority])
    }
}
