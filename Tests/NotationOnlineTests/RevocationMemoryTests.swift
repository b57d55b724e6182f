import Foundation
import PKI
import TestSupport
import Testing

@testable import Notation
@testable import NotationOnline

/// What was learned of revocation is not taken back by something older, for which everybody who can answer in the place
/// of the authority would do: it is signed and in date.
@Suite struct RevocationMemoryTests {
    private static let list = RevocationFixture.listURL

    /// A list with its time and end, in seconds from the fixture's.
    private func list(
        _ fixture: RevocationFixture, _ number: Int?, of time: Double, until end: Double, revoking: Bool = false
    ) -> RevocationListTemplate {
        var template = RevocationListTemplate(
            revoking ? [.init(fixture.leaf.certificate, reason: .keyCompromise)] : [], number: number ?? 0)
        if number == nil { template.extensions = [] }
        template.thisUpdate = fixture.now.addingTimeInterval(time)
        template.nextUpdate = fixture.now.addingTimeInterval(end)
        return template
    }

    /// List 6 revokes, its end comes, and list 5 is served, which is signed and in date.
    @Test func anOlderListIsRefusedAfterTheEndOfTheNewer() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(list(fixture, 6, of: -100, until: 100, revoking: true))
        #expect(await fixture.refusal().contains("was revoked"))
        try fixture.publish(list(fixture, 5, of: -200, until: 100_000))
        let late = fixture.now.addingTimeInterval(200)
        await fixture.cache.refresh(now: late)
        #expect(fixture.cache.counts.entries == 0)
        let reason = await fixture.refusal(now: late)
        #expect(reason.contains("older than one that was seen") && reason.contains(Self.list), "\(reason)")
        #expect(!reason.hasPrefix("passing"))
        // Again and again, until there is a newer one.
        #expect(await fixture.refusal(now: late.addingTimeInterval(3_600)).contains("older than one"))
        try fixture.publish(list(fixture, 7, of: 150, until: 100_000))
        #expect(await fixture.refusal(now: late) == "")
    }

    @Test func numbersAndTimesEach() async throws {
        func outcome(_ number: Int?, of time: Double) async throws -> String {
            let fixture = try RevocationFixture(lists: [Self.list])
            try fixture.publish(list(fixture, 300, of: -100, until: 100))
            #expect(await fixture.refusal() == "")
            try fixture.publish(list(fixture, number, of: time, until: 1_000))
            return await fixture.refusal(now: fixture.now.addingTimeInterval(200))
        }
        #expect(try await outcome(300, of: -100) == "")
        #expect(try await outcome(301, of: 150) == "")
        #expect(try await outcome(65_536, of: 150) == "")
        #expect(try await outcome(299, of: 150).contains("number 299 after number 300"))
        #expect(try await outcome(3, of: 150).contains("number 3 after"))
        #expect(try await outcome(301, of: -101).contains("older than one"))
        // That a number is missing is not a way around it.
        #expect(try await outcome(nil, of: 150).contains("without a number"))
    }

    /// A list that was kept for one request is not used for another that knows a newer one.
    @Test func oneKeyOneMemory() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(list(fixture, 5, of: -200, until: 100_000))
        #expect(await fixture.refusal() == "")
        // The authority's certificate is issued anew, for the same key: its answers are kept apart, what is known is
        // not.
        let again = CertificateAuthority(
            Identity(
                certificate: try fixture.root.issue(.authority("root"), for: fixture.root.key).certificate,
                key: fixture.root.key, chain: []))
        #expect(again.certificate != fixture.root.certificate)
        try fixture.publish(list(fixture, 6, of: -100, until: 100_000, revoking: true))
        let chain = [fixture.leaf.certificate, again.certificate]
        let checker = RevocationChecker(http: fixture.http, cache: fixture.cache, options: fixture.options)
        await #expect(throws: ValidationFailure.self) {
            _ = try await checker.check(
                chain, isTrusted: true, authenticSigningTime: nil, now: fixture.now, deadline: .now + .seconds(600))
        }
        #expect(await fixture.refusal().contains("was revoked"))
    }

    /// What strangers' chains lead to teaches nothing, so that they cannot fill the memory.
    @Test func strangersTeachNothing() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(list(fixture, 6, of: -100, until: 100, revoking: true))
        #expect(await fixture.refusal(isTrusted: false).contains("was revoked"))
        #expect(fixture.cache.memory.count == 0)
        // The kept answer teaches when a trusted chain uses it.
        #expect(await fixture.refusal().contains("was revoked"))
        #expect(fixture.cache.memory.count == 2)
        // And what is known holds for strangers too.
        try fixture.publish(list(fixture, 5, of: -200, until: 1_000))
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(200), isTrusted: false).contains("older"))
    }

    /// A list of another scope, or of another place, is none that was seen here.
    @Test func placesAreApart() async throws {
        let other = "http://crl.test/other.crl"
        let fixture = try RevocationFixture(lists: [Self.list, other])
        try fixture.publish(list(fixture, 6, of: -100, until: 1_000))
        try fixture.publish(list(fixture, 5, of: -200, until: 1_000), at: other)
        #expect(await fixture.refusal() == "")
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(500)) == "")
    }

    @Test func deltaListsToo() async throws {
        let delta = "http://crl.test/delta.crl"
        let fixture = try RevocationFixture(lists: [Self.list])
        var base = list(fixture, 2, of: -300, until: 100_000)
        base.extensions.append(
            TestExtension(
                oid: CertificateExtension.Identifier.freshestCRL, isCritical: false,
                value: TestExtension.crlDistributionPoints([delta]).value))
        try fixture.publish(base)
        func publish(_ number: Int, of time: Double, until end: Double, revoking: Bool) throws {
            var template = list(fixture, number, of: time, until: end, revoking: revoking)
            template.extensions.append(
                TestExtension(
                    oid: CertificateExtension.Identifier.deltaCRLIndicator, isCritical: true,
                    value: DERWriter.integer(2)))
            try fixture.publish(template, at: delta)
        }
        try publish(4, of: -100, until: 100, revoking: true)
        #expect(await fixture.refusal().contains("was revoked"))
        try publish(3, of: -200, until: 100_000, revoking: false)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(200)).contains("older than one"))
        try publish(5, of: 150, until: 100_000, revoking: false)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(200)) == "")
    }

    // MARK: OCSP

    private func answer(
        _ fixture: RevocationFixture, _ status: OCSPResponse.Single.Status, of time: Double, until end: Double
    ) throws {
        var template = OCSPResponseTemplate(status)
        template.thisUpdate = fixture.now.addingTimeInterval(time)
        template.nextUpdate = fixture.now.addingTimeInterval(end)
        try fixture.answer(template)
    }

    @Test func anOlderGoodAnswerTakesNothingBack() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        try answer(fixture, .revoked(fixture.now, reason: .keyCompromise), of: -100, until: 100)
        #expect(await fixture.refusal().contains("was revoked"))
        let late = fixture.now.addingTimeInterval(200)
        try answer(fixture, .good, of: -200, until: 100_000)
        let reason = await fixture.refusal(now: late)
        #expect(reason.contains("was revoked") && reason.contains("takes nothing back"), "\(reason)")
        // Of one time, the revocation counts.
        let other = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        try answer(other, .revoked(other.now, reason: .certificateHold), of: -100, until: 100)
        #expect(await other.refusal().contains("was revoked"))
        try answer(other, .good, of: -100, until: 100_000)
        #expect(await other.refusal(now: late).contains("was revoked"))
        // A hold that was lifted since.
        try answer(other, .good, of: 150, until: 200_000)
        #expect(await other.refusal(now: other.now.addingTimeInterval(150_000)) == "")
    }

    /// The responder says revoked, is kept from answering, and the authority's list is older than that.
    @Test func anOlderListTakesNoAnswerBack() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [Self.list])
        try answer(fixture, .revoked(fixture.now, reason: .keyCompromise), of: -100, until: 100)
        try fixture.publish(list(fixture, 1, of: -3_600, until: 100_000))
        #expect(await fixture.refusal().contains("was revoked"))
        fixture.http[RevocationFixture.ocspURL] = .failure(.connect)
        let late = fixture.now.addingTimeInterval(200)
        let reason = await fixture.refusal(now: late)
        #expect(reason.contains("was revoked") && reason.contains("ocsp.test"), "\(reason)")
        // A newer list says what is so.
        fixture.cache.maximumBytes = 0
        try fixture.publish(list(fixture, 2, of: 150, until: 100_000))
        #expect(await fixture.refusal(now: late) == "")
    }

    /// An invalidity date after the time that a signing authority states keeps its meaning.
    @Test func rememberedInvalidityDates() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        let invalid = Date(timeIntervalSince1970: fixture.now.timeIntervalSince1970.rounded(.down) - 1_000)
        var template = OCSPResponseTemplate(.revoked(fixture.now, reason: nil))
        template.nextUpdate = fixture.now.addingTimeInterval(100)
        template.extensions = [
            TestExtension(
                oid: CertificateExtension.Identifier.invalidityDate, isCritical: false,
                value: DERWriter.generalizedTime(invalid))
        ]
        try fixture.answer(template)
        #expect(await fixture.refusal(signingTime: invalid.addingTimeInterval(-1)) == "")
        try answer(fixture, .good, of: -7_200, until: 100_000)
        let late = fixture.now.addingTimeInterval(200)
        #expect(await fixture.refusal(signingTime: invalid.addingTimeInterval(-1), now: late) == "")
        #expect(await fixture.refusal(signingTime: invalid, now: late).contains("was revoked"))
        #expect(await fixture.refusal(now: late).contains("was revoked"))
    }

    // MARK: Bounds

    /// Whoever fills the memory pushes out what is his own.
    @Test func aTenantForgetsItsOwn() throws {
        let memory = RevocationMemory(maximumCount: 64)
        let root = try CertificateAuthority(name: "root")
        let list = try RevocationList(der: RevocationListTemplate(number: 6).sign(by: root))
        let old = try RevocationList(der: RevocationListTemplate(number: 5).sign(by: root))
        func key(_ number: Int) throws -> RevocationMemory.Key {
            .lists(of: root.certificate, at: try RevocationURL("http://crl.test/\(number)"), isDelta: false)
        }
        for number in 0..<10 { memory.note(list, try key(number), tenant: "") }
        for number in 0..<1_000 {
            memory.note(list, try key(number), tenant: "greedy")
            #expect(memory.count <= 64)
        }
        for number in 0..<10 { #expect(memory.refusal(of: old, try key(number), tenant: "") != nil) }
        #expect(memory.refusal(of: old, try key(0), tenant: "greedy") == nil)
        #expect(memory.refusal(of: old, try key(999), tenant: "greedy") != nil)
        // Many tenants with one entry each are bounded too.
        for number in 0..<200 { memory.note(list, try key(0), tenant: "tenant \(number)") }
        #expect(memory.count <= 64)
    }
}
