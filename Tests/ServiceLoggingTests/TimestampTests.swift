import Foundation
import Testing

@testable import ServiceLogging

@Suite struct TimestampTests {
    @Test(arguments: [
        (Int64(0), Int64(0), "1970-01-01T00:00:00.000000000Z"),
        (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
        (1_709_251_199, 999_999_999, "2024-02-29T23:59:59.999999999Z"),
        (4_107_542_399, 120_000_000, "2100-02-28T23:59:59.120000000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
        (-1, 5, "1969-12-31T23:59:59.000000005Z"),
    ])
    func text(seconds: Int64, nanoseconds: Int64, expected: String) {
        #expect(Timestamp.text(seconds: seconds, nanoseconds: nanoseconds) == expected)
    }

    @Test func agreesWithFoundationOnEveryDay() {
        var style = Date.ISO8601FormatStyle()
        style.timeZone = .gmt
        for day in stride(from: Int64(0), to: 60_000, by: 7) {
            let seconds = day * 86_400 + day % 86_400
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(style)
            #expect(Timestamp.text(seconds: seconds, nanoseconds: 0).prefix(19) + "Z" == expected)
        }
    }

    @Test func nowIsNow() throws {
        let text = Timestamp.now()
        #expect(text.utf8.count == 30)
        let date = try Date(String(text.prefix(19)) + "Z", strategy: .iso8601)
        #expect(abs(date.timeIntervalSinceNow) < 5)
    }
}
