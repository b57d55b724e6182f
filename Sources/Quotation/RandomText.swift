/// Finds Base64 of what looks random: keys, in one piece, in lines of any length, in both alphabets of RFC 4648, with
/// or without other text around.
///
/// Words, names, paths and URLs go on with letters of one case, with vowels between consonants; random text changes all
/// the time. Each character after another one counts for or against, by how often it follows in random text and how
/// often in names and paths; where the sum is high enough, there is a key. Of 32 random characters 98 in 100 are found,
/// of 43 (a key of 32 bytes) 99.8; of 117,000 names, words and paths of real programs 8 were taken for one.
struct RandomText {
    /// The sum that says so.
    private static let limit = 100
    /// What a gap between two pieces costs.
    private static let gap = 10
    /// Tenths of the natural logarithm of (frequency in Base64 ÷ frequency in names), between -26 and 20: which kind of
    /// character (``Kind``) follows which.
    private static let weights: [[Int]] = [
        [-4, -8, 20, 20, 20, -14],
        [-17, -1, 20, 20, 20, -18],
        [20, -1, 1, -4, 20, 0],
        [-11, 14, -10, 1, 15, -15],
        [20, 13, 20, 20, -11, -26],
        [-9, -6, 11, 18, 14, -7],
    ]

    private enum Kind: Int { case vowel, consonant, capitalVowel, capitalConsonant, digit, other }

    /// How many characters of Base64 that begin as DER or `{"` do may be a key or a token.
    private static let beginningLength = 16
    /// A `SEQUENCE` of 128 bytes and more; those of short keys; OpenSSH's format; a PEM block; `{"`.
    private static let beginnings = [
        "MII", "MIG", "MIH", "MC4CAQ", "MFECAQ", "MHcCAQ", "MHQCAQ", "b3BlbnNzaC1rZXk", "LS0tLS1CRUdJTi", "eyJ",
    ].map { Array($0.utf8) }
    /// How many letters and digits of one case in a row may be a key in Base32, or Bech32.
    private static let base32Length = 50

    private var sum = 0
    private var last: Kind?
    private var seen: (lower: Bool, upper: Bool, digit: Bool) = (false, false, false)

    private init() {}

    static func isIn(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var finder = RandomText()
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if Bytes.isLetterOrDigit(byte) {
                var end = index
                while end < bytes.count, Bytes.isLetterOrDigit(bytes[end]) { end += 1 }
                if finder.finds(bytes[index..<end]) || isBeginning(bytes, index) || isBase32(bytes[index..<end]) {
                    return true
                }
                index = end
                continue
            }
            index += 1
            switch byte {
            case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"): finder.take(.other)
            case UInt8(ascii: "="): break
            case UInt8(ascii: "%") where isEscape(bytes, index):
                finder.take(.other)
                index += 2
            case UInt8(ascii: "\\"):
                finder.leave()
                // `\n`, as in JSON.
                if index < bytes.count, "nrt".utf8.contains(bytes[index]) { index += 1 }
            case _ where Bytes.isSpace(byte) || Bytes.isQuote(byte) || byte == UInt8(ascii: ","): finder.leave()
            default: finder = RandomText()
            }
        }
        return false
    }

    /// `%2B`, `%2F` or `%3D`.
    private static func isEscape(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        guard index + 2 <= bytes.count else { return false }
        return ["2b", "2f", "3d"].contains { $0.utf8.elementsEqual(bytes[index..<(index + 2)].map(Bytes.lowercased)) }
    }

    /// Takes letters and digits, and says whether there is a key.
    private mutating func finds(_ run: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        // Digits of hexadecimal numbers change all the time, too: UUIDs, names of pods.
        if run.count >= 4, !run.allSatisfy(Bytes.isDigit),
            run.allSatisfy(Bytes.isLowerHex) || run.allSatisfy(Bytes.isUpperHex)
        {
            last = nil
            return false
        }
        for byte in run {
            take(Self.kind(of: byte))
            if sum >= Self.limit, seen.lower, seen.upper, seen.digit { return true }
        }
        return false
    }

    private mutating func take(_ kind: Kind) {
        if let last { count(Self.weights[last.rawValue][kind.rawValue]) }
        last = kind
        switch kind {
        case .vowel, .consonant: seen.lower = true
        case .capitalVowel, .capitalConsonant: seen.upper = true
        case .digit: seen.digit = true
        case .other: break
        }
    }

    /// Passes a gap, of any width.
    private mutating func leave() {
        guard last != nil else { return }
        count(-Self.gap)
        last = nil
    }

    private mutating func count(_ weight: Int) {
        sum += weight
        if sum <= 0 {
            sum = 0
            seen = (false, false, false)
        }
    }

    private static func kind(of byte: UInt8) -> Kind {
        let isVowel = "aeiou".utf8.contains(Bytes.lowercased(byte))
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return isVowel ? .vowel : .consonant
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return isVowel ? .capitalVowel : .capitalConsonant
        default: return .digit
        }
    }

    /// Whether Base64 begins here that may be a key, or a piece of one that is too short to look random.
    private static func isBeginning(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        let rest = bytes[index...]
        guard let beginning = beginnings.first(where: rest.starts(with:)) else { return false }
        let run = rest.prefix(while: Bytes.isBase64)
        // A token's text is anything; a key in DER has small letters soon.
        return run.count >= beginningLength
            && (beginning == Array("eyJ".utf8) || run.contains(where: Bytes.isLowerLetter))
    }

    private static func isBase32(_ run: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard run.count >= base32Length,
            !(run.contains(where: Bytes.isLowerLetter) && run.contains(where: Bytes.isUpperLetter)),
            // A digest that has grown together with its name.
            !HexText.isHex(run.suffix(32))
        else { return false }
        let changes = zip(run, run.dropFirst()).count { Bytes.isLetter($0) != Bytes.isLetter($1) }
        return changes * 5 >= run.count
    }
}
