import FoundationEssentials

/// `Retry-After`: seconds, or a date in one of the three forms that a recipient must read (RFC 9110, sections
/// 10.2.3 and 5.6.7).
enum RetryAfter {
    /// The time from now; never negative. `nil` when the value is neither form.
    static func parse(_ value: String, now: Date) -> Duration? {
        if !value.isEmpty, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // More than any deadline is enough to know of a number too large to count.
            return .seconds(min(Int64(value) ?? .max, 1_000_000_000))
        }
        guard let date = date(value) else { return nil }
        return .seconds(max(0, date.timeIntervalSince(now)))
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
    static func date(_ text: String) -> Date? {
        var words = text.split { $0 == " " || $0 == "," || $0 == "-" }[...]
        words = words.dropFirst()  // The day of the week says nothing more.
        if words.last == "GMT" { words = words.dropLast() }
        guard words.count == 4 else { return nil }
        let parts = Array(words)
        let isAsctime = Int(parts[0]) == nil
        let (monthText, dayText) = isAsctime ? (parts[0], parts[1]) : (parts[1], parts[0])
        let (timeText, yearText) = isAsctime ? (parts[2], parts[3]) : (parts[3], parts[2])
        let time = timeText.split(separator: ":").compactMap { Int($0) }
        guard let month = months.firstIndex(of: String(monthText)), let day = Int(dayText), var year = Int(yearText),
            time.count == 3, (1...31).contains(day), (0...23).contains(time[0]), (0...59).contains(time[1]),
            (0...60).contains(time[2]), (0...9999).contains(year)
        else { return nil }
        // A two-digit year: the century in which the protocol lives.
        if yearText.count == 2 { year += year < 70 ? 2000 : 1900 }
        let days = daysSince1970(year: year, month: month + 1, day: day)
        return Date(timeIntervalSince1970: Double(days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]))
    }

    /// The Gregorian calendar by arithmetic, years beginning in March.
    private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
