import Encoding
import Foundation
import Testing

@testable import PKI

@Suite("Times in UTC")
struct UTCTests {
    private func text(_ seconds: Double) -> String { UTC.text(Date(timeIntervalSince1970: seconds)) }

    @Test func writesTimesToTheSecond() {
        #expect(text(0) == "1970-01-01T00:00:00Z")
        #expect(text(-0.5) == "1969-12-31T23:59:59Z")
        #expect(text(-62_167_219_200) == "0000-01-01T00:00:00Z")
        #expect(text(253_402_300_799.5) == "9999-12-31T23:59:59Z")
    }

    /// An envelope may name any time that 64 bits hold, and reports print it.
    @Test(arguments: [253_402_300_800, 9.3e18, 1e300, Double.infinity])
    func writesTheLastMomentForAnythingLater(seconds: Double) {
        #expect(text(seconds) == "9999-12-31T23:59:59Z")
    }

    @Test(arguments: [-62_167_219_201, -9.3e18, -1e300, -Double.infinity])
    func writesTheFirstMomentForAnythingEarlier(seconds: Double) {
        #expect(text(seconds) == "0000-01-01T00:00:00Z")
    }
}
