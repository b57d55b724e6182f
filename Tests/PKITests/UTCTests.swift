import Foundation
import Testing

@testable import PKI

@Suite("Times in UTC")
struct UTCTests {
    @Test(
        "Every time that a number can hold has a text",
        arguments: [
            (1e300, "9999-12-31T23:59:59Z"), (Double(Int64.max), "9999-12-31T23:59:59Z"),
            (.infinity, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"), (253_402_300_799.5, "9999-12-31T23:59:59Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-0.5, "1969-12-31T23:59:59Z"), (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (-62_167_219_201, "0000-01-01T00:00:00Z"),
            (Double(Int64.min), "0000-01-01T00:00:00Z"), (-1e300, "0000-01-01T00:00:00Z"),
            (-.infinity, "0000-01-01T00:00:00Z"),
        ])
    func text(seconds: Double, expected: String) {
        #expect(UTC.text(Date(timeIntervalSince1970: seconds)) == expected)
    }
}
