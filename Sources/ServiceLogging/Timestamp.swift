#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Points in time as text: RFC 3339 in UTC with nanoseconds, as Ratify writes them.
package enum Timestamp {
    /// The present time.
    package static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return text(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// A time given as seconds and nanoseconds since 1970.
    package static func text(seconds: Int64, nanoseconds: Int64) -> String {
        let (date, secondOfDay) = seconds.flooredQuotient(by: 86_400)
        let (year, month, day) = civil(daysSince1970: date)
        return String(unsafeUninitializedCapacity: 30) { buffer in
            var position = 0
            func put(_ value: Int64, digits: Int, then separator: Character?) {
                var rest = value
                for index in (0..<digits).reversed() {
                    buffer[position + index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                position += digits
                if let byte = separator?.asciiValue {
                    buffer[position] = byte
                    position += 1
                }
            }
            put(year, digits: 4, then: "-")
            put(month, digits: 2, then: "-")
            put(day, digits: 2, then: "T")
            put(secondOfDay / 3600, digits: 2, then: ":")
            put(secondOfDay / 60 % 60, digits: 2, then: ":")
            put(secondOfDay % 60, digits: 2, then: ".")
            put(nanoseconds, digits: 9, then: "Z")
            return position
        }
    }

    /// The Gregorian date of a day, by eras of 400 years that begin on 1 March.
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).flooredQuotient(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

extension Int64 {
    /// Quotient rounded down and the remainder that is never negative.
    fileprivate func flooredQuotient(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = ((self % divisor) + divisor) % divisor
        return ((self - remainder) / divisor, remainder)
    }
}
