import Foundation
import Testing

@testable import HTTP

@Suite struct RetryPolicyTests {
    @Test func waitsGrowAndAreBounded() {
        let policy = RetryPolicy(maximumAttempts: 9, baseBackoff: .milliseconds(100), maximumBackoff: .seconds(1))
        var generator = SystemRandomNumberGenerator()
        for (attempt, ceiling) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (60, 1000)] {
            for _ in 0..<50 {
                let wait = policy.backoff(afterAttempt: attempt, using: &generator)
                #expect(wait >= .milliseconds(ceiling) / 2 && wait <= .milliseconds(ceiling))
            }
        }
    }

    @Test func coversIdempotentMethodsUnlessTold() {
        #expect(RetryPolicy.standard.covers(.get) && RetryPolicy.standard.covers(.put))
        #expect(!RetryPolicy.standard.covers(.post) && !RetryPolicy.standard.covers(.patch))
        #expect(RetryPolicy(maximumAttempts: 2, retriesNonIdempotent: true).covers(.post))
        #expect(!RetryPolicy.none.covers(.get))
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ])
    func readsDates(text: String) {
        #expect(RetryAfter.date(text) == Date(timeIntervalSince1970: 784_111_777))
    }

    @Test func readsRetryAfter() {
        let now = Date(timeIntervalSince1970: 784_111_770)
        #expect(RetryAfter.parse("120", now: now) == .seconds(120))
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:49:37 GMT", now: now) == .seconds(7))
        #expect(RetryAfter.parse("Sat, 05 Nov 1994 08:49:37 GMT", now: now) == .zero)
        #expect(
            RetryAfter.parse("Thu, 29 Feb 2024 00:00:00 GMT", now: Date(timeIntervalSince1970: 1_709_164_790))
                == .seconds(10))
        #expect(RetryAfter.parse("99999999999999999999999", now: now) == .seconds(1_000_000_000))
        for text in ["", "-1", "1.5", "soon", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 99:49:37 GMT"] {
            #expect(RetryAfter.parse(text, now: now) == nil)
        }
    }
}
