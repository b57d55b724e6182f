import Encoding
import FoundationEssentials
import PKI

/// Date and time of RFC 3339, as the JWS envelope has them.
///
/// Read as the reference verifier reads them: a fraction may be written with a comma (ISO 8601 allows it) and an hour
/// with one digit; `T` and `Z` are in upper case; there are no leap seconds.
package enum RFC3339 {
    /// The moment of a text, or `nil` when it is not one.
    static func parse(_ text: String) -> Date? {
        var reader = Reader(rest: Array(text.utf8)[...])
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T"), let hour = reader.hour(), reader.skip(":"),
            let minute = reader.number(2), reader.skip(":"), let second = reader.number(2),
            let seconds = UTC.seconds(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second),
            let fraction = reader.fraction(), let offset = reader.offset(), reader.rest.isEmpty
        else { return nil }
        return Date(timeIntervalSince1970: Double(seconds - offset) + fraction)
    }

    /// The text of a moment in UTC, in whole seconds.
    package static func text(_ date: Date) -> String { UTC.text(date) }

    /// 0001-01-01T00:00:00Z: what the reference implementation takes for "no time".
    static let zero = Date(timeIntervalSince1970: -62_135_596_800)

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func digit() -> Int? {
            guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
            rest.removeFirst()
            return Int(byte - 0x30)
        }

        mutating func number(_ digits: Int) -> Int? {
            var value = 0
            for _ in 0..<digits {
                guard let digit = digit() else { return nil }
                value = value * 10 + digit
            }
            return value
        }

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest.removeFirst()
            return true
        }

        mutating func hour() -> Int? {
            guard let first = digit() else { return nil }
            guard let second = digit() else { return first }
            return first * 10 + second
        }

        mutating func fraction() -> Double? {
            guard rest.first == UInt8(ascii: ".") || rest.first == UInt8(ascii: ",") else { return 0 }
            rest.removeFirst()
            guard var value = digit().map(Double.init) else { return nil }
            var scale = 10.0
            while let digit = digit() {
                // Beyond nanoseconds digits are read and do not count.
                guard scale < 1e9 else { continue }
                value = value * 10 + Double(digit)
                scale *= 10
            }
            return value / scale
        }

        /// The offset from UTC in seconds.
        mutating func offset() -> Int? {
            if skip("Z") { return 0 }
            let sign: Int
            if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
            guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else {
                return nil
            }
            return sign * (hours * 3_600 + minutes * 60)
        }
    }
}
