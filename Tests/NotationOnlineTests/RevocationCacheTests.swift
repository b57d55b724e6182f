import Foundation
import HTTP
import Notation
import NotationOnline
import PKI
import TestSupport
import Testing

/// Answers are kept to their own end, fetched once for all who ask, and again before they end.
@Suite(.timeLimit(.minutes(5))) struct RevocationCacheTests {
    private static let list = RevocationFixture.listURL

    @Test func keptUntilNextUpdate() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        var template = OCSPResponseTemplate(.good)
        template.nextUpdate = fixture.now.addingTimeInterval(100)
        try fixture.answer(template)
        for _ in 0..<3 { #expect(await fixture.refusal() == "") }
        #expect(fixture.http.requests.count == 1)
        #expect(try await fixture.check(now: fixture.now.addingTimeInterval(98)).get() != nil)
        #expect(fixture.http.requests.count == 1)
        guard case .failure(let late) = await fixture.check(now: fixture.now.addingTimeInterval(101)) else {
            Issue.record("an answer was used after its end")
            return
        }
        #expect(late.description.contains("ended at"))
        #expect(fixture.http.requests.count == 2)
    }

    /// An end in ten years does not keep an answer for ten years: its source is asked again, and what it says then
    /// counts.
    @Test(arguments: [86_400, 1_000])
    func askedAgainWhateverItsEnd(maximumAge: Double) async throws {
        var fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL], lists: [Self.list])
        if maximumAge != 86_400 { fixture.options.maximumAge = maximumAge }
        let end = fixture.now.addingTimeInterval(10 * 365 * 86_400)
        var list = RevocationListTemplate()
        list.nextUpdate = end
        try fixture.publish(list)
        var answer = OCSPResponseTemplate(.good)
        answer.nextUpdate = end
        for isList in [true, false] {
            if !isList { try fixture.answer(answer) }
            let asked = fixture.http.requests.count
            let until = try #require(try await fixture.check().get())
            #expect(abs(until.timeIntervalSince(fixture.now) - maximumAge) < 1, "\(until)")
            #expect(try await fixture.check(now: fixture.now.addingTimeInterval(maximumAge - 1)).get() == until)
            let once = fixture.http.requests.count
            #expect(once - asked == (isList ? 3 : 1))
            #expect(
                try await fixture.check(now: fixture.now.addingTimeInterval(maximumAge + 1)).get()
                    == fixture.now.addingTimeInterval(2 * maximumAge + 1))
            #expect(fixture.http.requests.count > once)
        }
        // What is not to be had any more is not known any more.
        fixture.http[RevocationFixture.ocspURL] = .failure(.connect)
        fixture.http[Self.list] = .failure(.connect)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(3 * maximumAge)).hasPrefix("passing: "))
    }

    /// Verifiers share answers, each to the age that it accepts.
    @Test func theYoungestCounts() async throws {
        var fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(RevocationListTemplate())
        #expect(await fixture.refusal() == "")
        fixture.options.maximumAge = 100
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(99)) == "")
        #expect(fixture.http.requests.count == 1)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(101)) == "")
        #expect(fixture.http.requests.count == 2)
    }

    /// How old an answer is cannot be known once the clock has been set back.
    @Test func notWhenTheClockIsSetBack() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        try fixture.publish(RevocationListTemplate())
        #expect(await fixture.refusal() == "")
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(-200)) == "")
        #expect(fixture.http.requests.count == 1)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(-600)) == "")
        #expect(fixture.http.requests.count == 2)
    }

    /// A newer list is taken though it ends before the kept one does; an older one is not though it ends later.
    @Test(arguments: [true, false])
    func theNewerAnswerIsKept(isNewer: Bool) async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        func publish(of time: Double, until end: Double, revoking: Bool) throws {
            var template = RevocationListTemplate(revoking ? [.init(fixture.leaf.certificate)] : [])
            template.thisUpdate = fixture.now.addingTimeInterval(time)
            template.nextUpdate = fixture.now.addingTimeInterval(end)
            try fixture.publish(template)
        }
        try publish(of: -100, until: 100, revoking: !isNewer)
        #expect(await fixture.refusal().isEmpty == isNewer)
        if isNewer {
            try publish(of: -50, until: 90, revoking: true)
        } else {
            try publish(of: -200, until: 1_000, revoking: false)
        }
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(80))
        #expect(fixture.http.requests.count == 2)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(81)).contains("was revoked"))
        #expect(fixture.http.requests.count == 2)
    }

    /// A responder that no longer knows a certificate is not hidden by what it said before.
    @Test func unknownEndsAKeptAnswer() async throws {
        let fixture = try RevocationFixture(ocsp: [RevocationFixture.ocspURL])
        var template = OCSPResponseTemplate(.good)
        template.nextUpdate = fixture.now.addingTimeInterval(100)
        try fixture.answer(template)
        #expect(await fixture.refusal() == "")
        try fixture.answer(OCSPResponseTemplate(.unknown))
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(80))
        #expect(fixture.cache.counts.entries == 0)
        #expect(await fixture.refusal(now: fixture.now.addingTimeInterval(81)).contains("does not know"))
    }

    @Test func fetchedOnceForAll() async throws {
        let fixture = try RevocationFixture(lists: [Self.list], delay: .milliseconds(100))
        try fixture.publish(RevocationListTemplate())
        await withTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { await fixture.refusal() } }
            for await refusal in group { #expect(refusal == "") }
        }
        #expect(fixture.http.requests.count == 1)
    }

    /// A list that is slower than one request may wait is there for the next.
    @Test func workOutlivesItsCaller() async throws {
        let fixture = try RevocationFixture(lists: [Self.list], meeting: 2)
        try fixture.publish(RevocationListTemplate())
        let first = Task { await fixture.refusal() }
        while fixture.http.requests.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        first.cancel()
        #expect(await first.value.contains("did not answer in time"))
        // The answer comes when there is a second request.
        _ = try? await fixture.http.send(HTTPRequest(.get, "http://other.test", deadline: .now))
        while fixture.cache.counts.entries == 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(await fixture.refusal(deadline: .zero) == "")
        #expect(fixture.http.requests.count == 2)
    }

    @Test func failuresAreNotKept() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        #expect(await fixture.refusal() != "")
        try fixture.publish(RevocationListTemplate())
        #expect(await fixture.refusal() == "")
    }

    @Test func refreshedAheadOfTheEndWhenUsed() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        var template = RevocationListTemplate()
        template.nextUpdate = fixture.now.addingTimeInterval(100)
        try fixture.publish(template)
        #expect(await fixture.refusal() == "")
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(70))
        #expect(fixture.http.requests.count == 1)
        // The responder is down: the kept answer stays good to its end, and it is left in peace for a while.
        fixture.http[Self.list] = .failure(.connect)
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(76))
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(80))
        #expect(fixture.http.requests.count == 2)
        #expect(await fixture.refusal() == "")

        let other = try RevocationFixture(lists: [Self.list])
        try other.publish(template)
        #expect(await other.refusal() == "")
        template.nextUpdate = other.now.addingTimeInterval(1_000)
        try other.publish(template)
        await other.cache.refresh(now: other.now.addingTimeInterval(76))
        #expect(other.http.requests.count == 2)
        #expect(try await other.check(now: other.now.addingTimeInterval(500)).get() != nil)
        #expect(other.http.requests.count == 2)
        // Nobody used it since: it is let go.
        let unused = try RevocationFixture(lists: [Self.list])
        template.nextUpdate = unused.now.addingTimeInterval(100)
        try unused.publish(template)
        #expect(await unused.refusal() == "")
        template.nextUpdate = unused.now.addingTimeInterval(200)
        try unused.publish(template)
        await unused.cache.refresh(now: unused.now.addingTimeInterval(76))
        await unused.cache.refresh(now: unused.now.addingTimeInterval(190))
        #expect(unused.http.requests.count == 2)
    }

    @Test func boundedInBytes() async throws {
        let cache = RevocationCache(maximumBytes: 4_000)
        let http = TableHTTP()
        let root = try CertificateAuthority(name: "root")
        let checker = RevocationChecker(http: http, cache: cache)
        for number in 0..<12 {
            let url = "http://crl.test/\(number).crl"
            var template = CertificateTemplate.codeSigning("leaf \(number)")
            template.extensions.append(.crlDistributionPoints([url]))
            let leaf = try root.issue(template)
            http[url] = .content(try RevocationListTemplate().sign(by: root))
            _ = try await checker.check(
                leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(), deadline: .now + .seconds(600))
            #expect(cache.counts.cost <= 4_000)
        }
        #expect((1...11).contains(cache.counts.entries))
        #expect(cache.counts.evictions == 12 - cache.counts.entries && cache.counts.misses == 12)
        // A smaller bound holds at once.
        cache.maximumBytes = 1
        #expect(cache.counts.entries == 0 && cache.counts.cost == 0)
    }

    /// What has ended takes no memory until somebody asks for it again.
    @Test func expiredAnswersAreDropped() async throws {
        let fixture = try RevocationFixture(lists: [Self.list])
        var template = RevocationListTemplate()
        template.nextUpdate = fixture.now.addingTimeInterval(100)
        try fixture.publish(template)
        #expect(await fixture.refusal() == "")
        fixture.http[Self.list] = .failure(.connect)
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(99))
        #expect(fixture.cache.counts.entries == 1)
        await fixture.cache.refresh(now: fixture.now.addingTimeInterval(101))
        #expect(fixture.cache.counts.entries == 0 && fixture.cache.counts.cost == 0)
    }

    /// The certificates of a chain are checked side by side, and the answers of all of them count.
    @Test func sideBySide() async throws {
        let http = TableHTTP(meeting: 2)
        let root = try CertificateAuthority(name: "root")
        var template = CertificateTemplate.authority("issuing")
        template.extensions.append(.crlDistributionPoints(["http://crl.test/root.crl"]))
        let issuing = CertificateAuthority(try root.issue(template))
        template = .codeSigning("leaf")
        template.extensions.append(.crlDistributionPoints(["http://crl.test/issuing.crl"]))
        let leaf = try issuing.issue(template)
        http["http://crl.test/root.crl"] = .content(
            try RevocationListTemplate([.init(issuing.certificate)]).sign(by: root))
        http["http://crl.test/issuing.crl"] = .content(try RevocationListTemplate().sign(by: issuing))
        await #expect(throws: ValidationFailure.self) {
            _ = try await RevocationChecker(http: http).check(
                leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(), deadline: .now + .seconds(600))
        }
        #expect(http.requests.count == 2)
    }
}
