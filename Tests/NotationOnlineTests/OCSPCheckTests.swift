import Foundation
import Notation
import NotationOnline
import PKI
import TestSupport
import Testing

/// Revocation by OCSP.
@Suite struct OCSPCheckTests {
    private static let first = "http://first.test"
    private static let second = "http://second.test/ocsp/"

    private func responder(
        _ fixture: RevocationFixture, purposes: [String] = [ExtendedKeyUsage.ocspSigning],
        extensions: [TestExtension] = [], notAfter: Date = Date(timeIntervalSinceNow: 86_400)
    ) throws -> Identity {
        try fixture.root.issue(
            CertificateTemplate(
                subject: CertificateTemplate.name("responder"),
                extensions: [.keyUsage([.digitalSignature]), .extendedKeyUsage(purposes)] + extensions,
                notAfter: notAfter))
    }

    private static let noCheck = TestExtension(
        oid: CertificateExtension.Identifier.ocspNoCheck, isCritical: false, value: [5, 0])

    @Test func statuses() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        let end = fixture.now.addingTimeInterval(500)
        var good = OCSPResponseTemplate(.good)
        good.nextUpdate = end
        try fixture.answer(good)
        let until = try await fixture.check().get()
        #expect(abs((until ?? .distantPast).timeIntervalSince(end)) < 1)
        #expect(fixture.http.requests.map(\.method) == [.get])
        #expect(fixture.http.requests[0].url.hasPrefix(RevocationFixture.ocspURL + "/M"))

        let revoked = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        try revoked.answer(OCSPResponseTemplate(.revoked(revoked.now, reason: .keyCompromise)))
        let reason = await revoked.refusal()
        #expect(reason.contains("CN=leaf") && reason.contains("was revoked") && reason.contains("ocsp.test"))
        #expect(reason.contains("keyCompromise") && !reason.hasPrefix("passing"))

        let unknown = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        try unknown.answer(OCSPResponseTemplate(.unknown))
        #expect(await unknown.refusal().contains("does not know the certificate"))
        // An answer that may change with the next certificate is not kept.
        #expect(unknown.cache.counts.entries == 0)
    }

    @Test func theFirstAnswerDecides() async throws {
        let fixture = try RevocationFixture(ocsp: [Self.first, Self.second])
        fixture.http[Self.first] = .status(503)
        try fixture.answer(OCSPResponseTemplate(.good), at: Self.second)
        #expect(await fixture.refusal() == "")
        #expect(fixture.http.requests[1].url.hasPrefix(Self.second + "M"))

        let unknown = try RevocationFixture(ocsp: [Self.first, Self.second])
        try unknown.answer(OCSPResponseTemplate(.unknown), at: Self.first)
        try unknown.answer(OCSPResponseTemplate(.good), at: Self.second)
        #expect(await unknown.refusal().contains("does not know"))
    }

    @Test func timesOfAnswers() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        var template = OCSPResponseTemplate(.good)
        template.nextUpdate = nil
        try fixture.answer(template)
        #expect(await fixture.refusal().contains("nextUpdate"))
        template.nextUpdate = fixture.now.addingTimeInterval(-2)
        try fixture.answer(template)
        #expect(await fixture.refusal().contains("ended at"))
        template.nextUpdate = fixture.now.addingTimeInterval(86_400)
        template.thisUpdate = fixture.now.addingTimeInterval(3_600)
        try fixture.answer(template)
        #expect(await fixture.refusal().contains("a time to come"))
        template.thisUpdate = fixture.now.addingTimeInterval(60)
        try fixture.answer(template)
        #expect(await fixture.refusal() == "")
    }

    /// Several answers about one certificate: the worst counts, wherever it stands.
    @Test func severalAnswers() async throws {
        func outcome(_ templates: [OCSPResponseTemplate], now: Date? = nil) async throws -> String {
            let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
            var first = templates[0]
            first.others = Array(templates.dropFirst())
            try fixture.answer(first)
            return await fixture.refusal(now: now)
        }
        let now = Date()
        let good = OCSPResponseTemplate(.good)
        let revoked = OCSPResponseTemplate(.revoked(now, reason: .keyCompromise))
        let unknown = OCSPResponseTemplate(.unknown)
        var ended = good
        ended.nextUpdate = now.addingTimeInterval(-2)
        var endless = good
        endless.nextUpdate = nil
        var early = good
        early.thisUpdate = now.addingTimeInterval(3_600)
        var older = revoked
        (older.thisUpdate, older.nextUpdate) = (now.addingTimeInterval(-7_200), now.addingTimeInterval(-3_600))
        var strange = good
        strange.extensions = [TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])]
        for pair in [
            [good, revoked], [revoked, good], [unknown, revoked], [good, unknown, revoked], [good, older],
        ] {
            #expect(try await outcome(pair).contains("was revoked"))
        }
        #expect(try await outcome([good, unknown]).contains("does not know"))
        #expect(try await outcome([good, ended]).contains("ended at"))
        #expect(try await outcome([good, endless]).contains("nextUpdate"))
        #expect(try await outcome([good, early]).contains("a time to come"))
        #expect(try await outcome([good, strange]).contains("1.2.3.4"))
        #expect(try await outcome([good, good]) == "")
        // One that ends sooner ends them all.
        var short = good
        short.nextUpdate = now.addingTimeInterval(100)
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        var both = good
        both.others = [short]
        try fixture.answer(both)
        let end = try await fixture.check().get() ?? .distantFuture
        #expect(end <= now.addingTimeInterval(101))
    }

    @Test func weakSignatures() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [RevocationFixture.listURL])
        var answer = OCSPResponseTemplate(.good)
        answer.scheme = .ecdsa(.sha1)
        try fixture.answer(answer)
        var list = RevocationListTemplate()
        list.scheme = .ecdsa(.sha1)
        try fixture.publish(list)
        let reason = await fixture.refusal()
        #expect(reason.contains("not secure") && reason.contains("which is not accepted"), "\(reason)")
    }

    @Test func signedInATimeToCome() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        var template = OCSPResponseTemplate(.good)
        template.producedAt = fixture.now.addingTimeInterval(3_600)
        try fixture.answer(template)
        #expect(await fixture.refusal().contains("a time to come"))
    }

    @Test func whatIsPassing() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        for answer: TableHTTP.Answer in [
            .failure(.connect), .failure(.dns), .failure(.timeout), .failure(.throttled), .failure(.status(500)),
            .status(408), .content([0x30, 3, 0x0A, 1, 3]), .content([0x30, 3, 0x0A, 1, 2]),
        ] {
            fixture.http[RevocationFixture.ocspURL] = answer
            #expect(await fixture.refusal().hasPrefix("passing: "), "\(answer)")
        }
        for answer: TableHTTP.Answer in [
            .status(404), .content([]), .content(Array("garbage".utf8)), .content([0x30, 3, 0x0A, 1, 6]),
            .content([UInt8](repeating: 0, count: 20_481)),
        ] {
            fixture.http[RevocationFixture.ocspURL] = answer
            let reason = await fixture.refusal()
            #expect(!reason.isEmpty && !reason.hasPrefix("passing: "), "\(answer)")
        }
        #expect(fixture.cache.counts.entries == 0)
    }

    @Test(arguments: ["https://ocsp.test", "ldap://ocsp.test/o=x", "ftp://ocsp.test"])
    func onlyHTTP(url: String) async throws {
        let fixture = try RevocationFixture(ocsp: [url])
        let reason = await fixture.refusal()
        #expect(reason.contains("http URLs only") && reason.contains(url) && reason.contains("CN=leaf"))
        #expect(fixture.http.requests.isEmpty)
    }

    /// A responder that is named by something else than a URL, and a list of none: not the same as no source.
    @Test func sourcesThatCannotBeAsked() async throws {
        let root = try CertificateAuthority(name: "root")
        var template = CertificateTemplate.codeSigning("leaf")
        let name = DERWriter.explicit(4, root.certificate.subject.der)
        template.extensions.append(
            TestExtension(
                oid: CertificateExtension.Identifier.authorityInformationAccess, isCritical: false,
                value: DERWriter.sequence([
                    DERWriter.sequence([DERWriter.objectIdentifier("1.3.6.1.5.5.7.48.1"), name])
                ])))
        let leaf = try root.issue(template)
        for checker: any RevocationChecking in [RevocationChecker(http: TableHTTP()), OfflineRevocation()] {
            await #expect(throws: ValidationFailure.self) {
                _ = try await checker.check(
                    leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(), deadline: .now + .seconds(600))
            }
        }
        var empty = CertificateTemplate.codeSigning("leaf")
        empty.extensions.append(.crlDistributionPoints([]))
        #expect(throws: PKIError.self) { _ = try root.issue(empty) }
    }

    /// Each limit has its own error, and nobody is asked.
    @Test func urlsAreBounded() async throws {
        let long = "http://ocsp.test/" + String(repeating: "a", count: 2_048 - 17)
        let fixture = try RevocationFixture(ocsp: [long + "b"])
        let reason = await fixture.refusal()
        #expect(reason.contains("the URL has 2049 bytes; at most 2048 are accepted") && reason.contains("CN=leaf"))
        #expect(!reason.contains("http URLs only") && !reason.hasPrefix("passing") && reason.utf8.count < 1_000)
        #expect(fixture.http.requests.isEmpty)
        let just = try RevocationFixture(ocsp: [long])
        try just.answer(OCSPResponseTemplate(.good), at: long)
        #expect(await just.refusal() == "")

        let many = (0..<17).map { "http://ocsp\($0).test" }
        let tooMany = try RevocationFixture(ocsp: many)
        try tooMany.answer(OCSPResponseTemplate(.good), at: many[0])
        let refusal = await tooMany.refusal()
        #expect(refusal.contains("it names more than 16 responders") && refusal.contains("CN=leaf"), "\(refusal)")
        #expect(tooMany.http.requests.isEmpty)
        let sixteen = try RevocationFixture(ocsp: Array(many.prefix(16)))
        try sixteen.answer(OCSPResponseTemplate(.good), at: many[15])
        #expect(await sixteen.refusal() == "")
    }

    @Test func silenceEndsWithTheDeadline() async throws {
        var fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        fixture.options.ocspTimeout = .seconds(60)
        fixture.http[RevocationFixture.ocspURL] = .silence
        let reason = await fixture.refusal(deadline: .milliseconds(100))
        #expect(reason.hasPrefix("passing: ") && reason.contains("did not answer in time"))

        var options = RevocationOptions(crlTimeout: .seconds(600))
        options.ocspTimeout = .milliseconds(50)
        var quick = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [RevocationFixture.listURL])
        quick.options = options
        quick.http[RevocationFixture.ocspURL] = .silence
        try quick.publish(RevocationListTemplate())
        #expect(await quick.refusal() == "")
    }

    @Test func delegatedResponders() async throws {
        func outcome(_ responder: (RevocationFixture) throws -> Identity) async throws -> String {
            let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
            let identity = try responder(fixture)
            var template = OCSPResponseTemplate(.good)
            template.certificates = [identity.certificate]
            try fixture.answer(template, by: identity)
            return await fixture.refusal()
        }
        #expect(try await outcome { try responder($0, extensions: [Self.noCheck]) } == "")
        // No source of revocation information of its own.
        #expect(try await outcome { try responder($0) } == "")
        // The issuer itself, with its certificate: what `openssl ocsp` does.
        #expect(try await outcome { $0.root.identity } == "")
        #expect(try await outcome { try responder($0, purposes: [ExtendedKeyUsage.codeSigning]) } != "")
        #expect(
            try await outcome { try responder($0, extensions: [Self.noCheck], notAfter: $0.now.addingTimeInterval(-9)) }
                != "")
        #expect(try await outcome { _ in try CertificateAuthority(name: "other").identity } != "")
    }

    @Test func aResponderMayBeRevokedItself() async throws {
        let list = "http://crl.test/responder.crl"
        for (extensions, isRevoked, isGood) in [
            ([], false, true), ([], true, false), ([Self.noCheck], true, true),
        ] as [([TestExtension], Bool, Bool)] {
            let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
            let identity = try responder(fixture, extensions: extensions + [.crlDistributionPoints([list])])
            var template = OCSPResponseTemplate(.good)
            template.certificates = [identity.certificate]
            try fixture.answer(template, by: identity)
            try fixture.publish(RevocationListTemplate(isRevoked ? [.init(identity.certificate)] : []), at: list)
            #expect(await (fixture.refusal() == "") == isGood)
        }
    }

    @Test func answersAboutOthersAreNone() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        // The same serial number of another issuer, in an answer that the right issuer signed.
        let other = try CertificateAuthority(name: "other")
        fixture.http[RevocationFixture.ocspURL] = .content(
            try OCSPResponseTemplate(.good).sign(
                fixture.leaf.certificate, issuer: other.certificate, by: fixture.root.identity))
        #expect(await fixture.refusal().contains("no answer for the certificate"))
    }

    @Test func invalidityDateAgainstTheAuthenticTime() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        let invalid = Date(timeIntervalSince1970: fixture.now.timeIntervalSince1970.rounded(.down) - 1_000)
        var template = OCSPResponseTemplate(.revoked(fixture.now, reason: nil))
        template.extensions = [
            TestExtension(
                oid: CertificateExtension.Identifier.invalidityDate, isCritical: false,
                value: DERWriter.generalizedTime(invalid))
        ]
        try fixture.answer(template)
        #expect(await fixture.refusal() != "")
        #expect(await fixture.refusal(signingTime: invalid.addingTimeInterval(-1)) == "")
        #expect(await fixture.refusal(signingTime: invalid) != "")
        #expect(await fixture.refusal(signingTime: invalid.addingTimeInterval(1)) != "")
    }

    @Test func longRequestsArePosted() async throws {
        let url = "http://ocsp.test/path?tenant=1"
        let fixture = try RevocationFixture(ocsp: [url])
        try fixture.answer(OCSPResponseTemplate(.good), at: url)
        #expect(await fixture.refusal() == "")
        let request = try #require(fixture.http.requests.first)
        #expect(request.method == .post && request.url == url)
        #expect(request.headers["Content-Type"] == "application/ocsp-request")
        let expected = try OCSPRequest(for: fixture.leaf.certificate, issuer: fixture.root.certificate).der
        #expect(request.body == expected)
    }

    @Test func listsWhereOCSPCannotTell() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [RevocationFixture.listURL])
        #expect(await fixture.refusal().hasPrefix("passing: "))
        try fixture.publish(RevocationListTemplate())
        #expect(await fixture.refusal() == "")
        try fixture.answer(OCSPResponseTemplate(.good))
        let asked = fixture.http.requests.count
        #expect(await fixture.refusal() == "")
        #expect(fixture.http.requests.count == asked + 1)

        let revoked = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [RevocationFixture.listURL])
        try revoked.answer(OCSPResponseTemplate(.unknown))
        try revoked.publish(RevocationListTemplate([.init(revoked.leaf.certificate)]))
        #expect(await revoked.refusal().contains("was revoked"))
    }
}
