/// A set of Unicode scalar values.
struct CharacterSet: Hashable, Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isNegated = false

    func contains(_ value: UInt32) -> Bool {
        for range in ranges where range.contains(value) { return !isNegated }
        return isNegated
    }

    static func one(_ value: UInt32) -> CharacterSet { CharacterSet(ranges: [value...value]) }
    static let digits = CharacterSet(ranges: [0x30...0x39])
    static let words = CharacterSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let spaces = CharacterSet(ranges: [0x09...0x0A, 0x0C...0x0D, 0x20...0x20])
    static let all = CharacterSet(ranges: [0...0x10FFFF])
    static let allButLineFeed = CharacterSet(ranges: [0x0A...0x0A], isNegated: true)

    /// The set with the other case of each of its ASCII letters.
    var foldingCase: CharacterSet {
        var set = self
        for range in ranges {
            for (letters, distance) in [(UInt32(0x41)...0x5A, Int64(32)), (UInt32(0x61)...0x7A, -32)] {
                let low = max(range.lowerBound, letters.lowerBound)
                let high = min(range.upperBound, letters.upperBound)
                guard low <= high else { continue }
                set.ranges.append(UInt32(Int64(low) + distance)...UInt32(Int64(high) + distance))
            }
        }
        return set
    }
}
