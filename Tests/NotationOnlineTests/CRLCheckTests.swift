import Foundation
import Notation
import NotationOnline
import PKI
import TestSupport
import Testing

/// Revocation by certificate revocation lists.
@Suite struct CRLCheckTests {
    private static let list = RevocationFixture.listURL
    private static let delta = "http://crl.test/delta.crl"

    private func scope(_ fields: [[UInt8]]) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.issuingDistributionPoint, isCritical: true,
            value: DERWriter.sequence(fields))
    }

    private func flag(_ number: UInt8) -> [UInt8] { DERWriter.element(DER.context(number), [0xFF]) }

    private func name(_ url: String) -> [UInt8] {
        DERWriter.explicit(0, DERWriter.explicit(0, DERWriter.element(DER.context(6), Array(url.utf8))))
    }

    private func freshest(_ url: String) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.freshestCRL, isCritical: false,
            value: TestExtension.crlDistributionPoints([url]).value)
    }

    private func base(_ number: Int) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.deltaCRLIndicator, isCritical: true, value: DERWriter.integer(number))
    }

    /// The outcome with one list.
    private func outcome(
        _ template: (RevocationFixture) -> RevocationListTemplate, by authority: CertificateAuthority? = nil
    ) async throws -> String {
        let fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(template(fixture), by: authority)
        return await fixture.refusal()
    }

    @Test func entries() async throws {
        func outcome(_ reasons: RevocationList.Entry.Reason?...) async throws -> String {
            try await self.outcome { fixture in
                RevocationListTemplate(
                    reasons.enumerated().map { number, reason in
                        var entry = RevocationListTemplate.Entry(fixture.leaf.certificate, reason: reason)
                        entry.date = fixture.now.addingTimeInterval(-1_000 + Double(number) * 10)
                        return entry
                    })
            }
        }
        #expect(try await outcome() == "")
        let reason = try await outcome(.keyCompromise)
        #expect(reason.contains("CN=leaf") && reason.contains(Self.list) && reason.contains("keyCompromise"))
        #expect(try await outcome(nil) != "")
        #expect(try await outcome(.certificateHold) != "")
        #expect(try await outcome(.certificateHold, .removeFromCRL) == "")
        #expect(try await outcome(.certificateHold, .removeFromCRL, .certificateHold) != "")
        #expect(try await outcome(.keyCompromise, .removeFromCRL) != "")
        let other = try CertificateAuthority(name: "root").issue(.codeSigning("leaf")).certificate
        #expect(try await self.outcome { _ in RevocationListTemplate([.init(other)]) } == "")
    }

    @Test func validity() async throws {
        func outcome(_ change: (inout RevocationListTemplate, RevocationFixture) -> Void) async throws -> String {
            try await self.outcome { fixture in
                var template = RevocationListTemplate()
                change(&template, fixture)
                return template
            }
        }
        #expect(try await outcome { $0.nextUpdate = $1.now.addingTimeInterval(-2) }.contains("ended at"))
        #expect(try await outcome { list, _ in list.nextUpdate = nil }.contains("nextUpdate"))
        let unknown = TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])
        #expect(try await outcome { list, _ in list.extensions.append(unknown) }.contains("1.2.3.4"))
        #expect(
            try await outcome { $0.entries = [.init($1.leaf.certificate, extensions: [unknown])] }.contains("1.2.3.4"))
        #expect(
            try await self.outcome({ _ in RevocationListTemplate() }, by: CertificateAuthority(name: "root"))
                .contains("signature is not by"))
        #expect(
            try await self.outcome({ _ in RevocationListTemplate() }, by: CertificateAuthority(name: "other"))
                .contains("not by the certificate's issuer"))
    }

    /// RFC 5280, section 5.3: whoever's entry it is. And a list of a time to come would outlast every newer one.
    @Test func listsThatCannotBeUsed() async throws {
        func outcome(_ change: (inout RevocationListTemplate, RevocationFixture) throws -> Void) async throws -> String
        {
            let fixture = try RevocationFixture(lists: [Self.list])
            var template = RevocationListTemplate()
            try change(&template, fixture)
            try fixture.publish(template)
            return await fixture.refusal()
        }
        let other = try CertificateAuthority(name: "root").issue(.codeSigning("leaf")).certificate
        let unknown = TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])
        #expect(
            try await outcome { list, _ in list.entries = [.init(other, extensions: [unknown])] }.contains("1.2.3.4"))
        #expect(try await outcome { $0.thisUpdate = $1.now.addingTimeInterval(3_600) }.contains("a time to come"))
        #expect(try await outcome { $0.thisUpdate = $1.now.addingTimeInterval(60) } == "")
        // The entry after it would be about another issuer's certificate.
        let names = DERWriter.sequence([
            DERWriter.explicit(4, try CertificateAuthority(name: "elsewhere").certificate.subject.der)
        ])
        let issuer = TestExtension(
            oid: CertificateExtension.Identifier.certificateIssuer, isCritical: true, value: names)
        #expect(
            try await outcome { $0.entries = [.init(other, extensions: [issuer]), .init($1.leaf.certificate)] }
                .contains("certificateIssuer"))
        let long = TestExtension(
            oid: CertificateExtension.Identifier.crlNumber, isCritical: false,
            value: DERWriter.integer(magnitude: [UInt8](repeating: 1, count: 21)))
        #expect(try await outcome { list, _ in list.extensions = [long] }.contains("longer than 20 bytes"))
    }

    /// What a certificate says of its distribution points beside their URLs (RFC 5280, sections 4.2.1.13 and 6.3.3).
    @Test(arguments: [(1, "some reasons"), (2, "another issuer")])
    func placesWithLimits(number: Int, expected: String) async throws {
        let limit: [UInt8] =
            number == 1
            ? DERWriter.element(DER.context(1), [6, 0x40])
            : DERWriter.explicit(
                2, DERWriter.explicit(4, try CertificateAuthority(name: "elsewhere").certificate.subject.der))
        let root = try CertificateAuthority(name: "root")
        var template = CertificateTemplate.codeSigning("leaf")
        template.extensions.append(
            TestExtension(
                oid: CertificateExtension.Identifier.crlDistributionPoints, isCritical: false,
                value: DERWriter.sequence([DERWriter.sequence([name(Self.list), limit])])))
        let leaf = try root.issue(template)
        let http = TableHTTP()
        http[Self.list] = .content(try RevocationListTemplate().sign(by: root))
        do throws(ValidationFailure) {
            _ = try await RevocationChecker(http: http).check(
                leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(), deadline: .now + .seconds(600))
            Issue.record("a list that does not suffice was taken")
        } catch { #expect(error.description.contains(expected), "\(error)") }
    }

    /// A list for other certificates says nothing about this one (RFC 5280, section 6.3.3 (b)(2)).
    @Test func scopes() async throws {
        func outcome(_ fields: [[UInt8]]) async throws -> String {
            try await self.outcome { _ in RevocationListTemplate(extensions: [scope(fields)]) }
        }
        #expect(try await outcome([flag(1)]) == "")
        #expect(try await outcome([flag(2)]).contains("another kind"))
        #expect(try await outcome([flag(5)]).contains("another kind"))
        #expect(try await outcome([flag(4)]).contains("indirect"))
        #expect(try await outcome([name(Self.list)]) == "")
        #expect(try await outcome([name("http://crl.test/other.crl")]).contains("another distribution point"))
        // A name that is no URL is another one all the same.
        let directory = try CertificateAuthority(name: "elsewhere").certificate.subject.der
        #expect(
            try await outcome([DERWriter.explicit(0, DERWriter.explicit(0, DERWriter.explicit(4, directory)))])
                .contains("another distribution point"))
        #expect(
            try await outcome([DERWriter.explicit(0, DERWriter.explicit(1, directory))])
                .contains("another distribution point"))
        #expect(try await outcome([DERWriter.element(DER.context(3), [6, 0x40])]).contains("some reasons"))
        #expect(try await self.outcome { _ in RevocationListTemplate(extensions: [base(1)]) }.contains("delta list"))
    }

    @Test func everyListMustBeGood() async throws {
        let other = "http://crl.test/other.crl"
        let fixture = try RevocationFixture(lists: [Self.list, other])
        try fixture.publish(RevocationListTemplate())
        #expect(await fixture.refusal().hasPrefix("passing: "))
        fixture.http[other] = .status(404)
        #expect(await fixture.refusal().contains("404"))
        try fixture.publish(RevocationListTemplate([.init(fixture.leaf.certificate)]), at: other)
        #expect(await fixture.refusal().contains("was revoked"))
        let good = try RevocationFixture(lists: [Self.list, other])
        try good.publish(RevocationListTemplate())
        try good.publish(RevocationListTemplate(), at: other)
        #expect(await good.refusal() == "")
        #expect(try await RevocationFixture(lists: ["ldap://directory.test/cn=x"]).refusal().contains("http URLs only"))
    }

    /// Each limit has its own error, and nobody is asked.
    @Test func urlsAreBounded() async throws {
        let long = "http://crl.test/" + String(repeating: "a", count: 2_048 - 16)
        let fixture = try RevocationFixture(lists: [long + "b"])
        let reason = await fixture.refusal()
        #expect(reason.contains("the URL has 2049 bytes; at most 2048 are accepted"), "\(reason)")
        #expect(!reason.contains("http URLs only") && !reason.hasPrefix("passing") && reason.utf8.count < 1_000)
        let many = (0..<17).map { "http://crl.test/\($0)" }
        let tooMany = try RevocationFixture(lists: many)
        for url in many { try tooMany.publish(RevocationListTemplate(), at: url) }
        let refusal = await tooMany.refusal()
        #expect(refusal.contains("it names more than 16 lists") && refusal.contains("CN=leaf"), "\(refusal)")
        #expect(fixture.http.requests.isEmpty && tooMany.http.requests.isEmpty)
        for lists in [[long], Array(many.prefix(16))] {
            let accepted = try RevocationFixture(lists: lists)
            for url in lists { try accepted.publish(RevocationListTemplate(), at: url) }
            #expect(await accepted.refusal() == "")
            #expect(accepted.http.requests.count == lists.count)
        }
    }

    @Test func deltaLists() async throws {
        func outcome(
            base baseEntries: [RevocationList.Entry.Reason] = [],
            delta deltaEntries: [RevocationList.Entry.Reason] = [],
            number: Int = 3, start: Int? = 2, isThere: Bool = true
        ) async throws -> String {
            let fixture = try RevocationFixture(lists: [Self.list])
            func entries(_ reasons: [RevocationList.Entry.Reason], _ age: Double) -> [RevocationListTemplate.Entry] {
                reasons.map { reason in
                    var entry = RevocationListTemplate.Entry(fixture.leaf.certificate, reason: reason)
                    entry.date = fixture.now.addingTimeInterval(-age)
                    return entry
                }
            }
            try fixture.publish(
                RevocationListTemplate(entries(baseEntries, 500), number: 2, extensions: [freshest(Self.delta)]))
            if isThere {
                try fixture.publish(
                    RevocationListTemplate(
                        entries(deltaEntries, 100), number: number, extensions: start.map { [base($0)] } ?? []),
                    at: Self.delta)
            }
            return await fixture.refusal()
        }
        #expect(try await outcome() == "")
        #expect(try await outcome(delta: [.keyCompromise]).contains("was revoked"))
        #expect(try await outcome(base: [.certificateHold], delta: [.removeFromCRL]) == "")
        #expect(try await outcome(base: [.certificateHold]).contains("was revoked"))
        #expect(try await outcome(isThere: false).hasPrefix("passing: "))
        #expect(try await outcome(base: [.keyCompromise], isThere: false).contains("was revoked"))
        #expect(try await outcome(number: 2).contains("numbers"))
        #expect(try await outcome(start: 3).contains("numbers"))
        #expect(try await outcome(start: nil).contains("numbers"))
        #expect(try await outcome(number: 256, start: 1) == "")
    }

    @Test func invalidityDateAgainstTheAuthenticTime() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        let invalid = Date(timeIntervalSince1970: fixture.now.timeIntervalSince1970.rounded(.down) - 1_000)
        try fixture.publish(
            RevocationListTemplate([.init(fixture.leaf.certificate, reason: .keyCompromise, invalidityDate: invalid)]))
        #expect(await fixture.refusal() != "")
        #expect(await fixture.refusal(signingTime: invalid.addingTimeInterval(-1)) == "")
        #expect(await fixture.refusal(signingTime: invalid) != "")
    }
}
