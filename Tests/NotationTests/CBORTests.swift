import Testing
import TestSupport

@testable import Notation

@Suite struct CBORTests {
    private func decode(_ bytes: [UInt8]) throws -> CBORValue { try CBORDecoder.decode(bytes, allowsTags: true) }

    /// RFC 8949, appendix A.
    @Test func examples() throws {
        #expect(try decode([0x00]) == .integer(0))
        #expect(try decode([0x17]) == .integer(23))
        #expect(try decode([0x18, 0x64]) == .integer(100))
        #expect(try decode([0x1B, 0, 0, 0, 0xE8, 0xD4, 0xA5, 0x10, 0]) == .integer(1_000_000_000_000))
        #expect(try decode([0x39, 0x03, 0xE7]) == .integer(-1000))
        #expect(try decode([0xF9, 0x3C, 0x00]) == .float(1))
        #expect(try decode([0xF9, 0x7B, 0xFF]) == .float(65504))
        #expect(try decode([0xF9, 0x00, 0x01]) == .float(5.960464477539063e-8))
        #expect(try decode([0xF9, 0xC4, 0x00]) == .float(-4))
        #expect(try decode([0xFA, 0x47, 0xC3, 0x50, 0x00]) == .float(100_000))
        #expect(try decode([0xC1, 0x1A, 0x51, 0x4B, 0x67, 0xB0]) == .tagged(1, .integer(1_363_896_240)))
        #expect(try decode([0x44, 1, 2, 3, 4]) == .bytes([1, 2, 3, 4]))
        #expect(try decode([0x62, 0xC3, 0xBC]) == .text("ü") || decode([0x62, 0xC3, 0xBC]).text == "ü")
        #expect(try decode([0x83, 1, 2, 3]) == .array([.integer(1), .integer(2), .integer(3)]))
        #expect(try decode([0xA2, 0x61, 0x61, 1, 0x61, 0x62, 0x80]) == .map(["a", 1], ["b", []]))
        #expect(try decode([0xF4]) == .bool(false))
        #expect(try decode([0xF6]) == .null)
        #expect(try decode([0xF7]) == .undefined)
        #expect(try decode([0xF8, 0xFF]) == .simple(255))
    }

    @Test(arguments: [
        (bytes: [], problem: CBORError.Problem.unexpectedEnd),
        (bytes: [0x18], problem: .unexpectedEnd),
        (bytes: [0x00, 0x00], problem: .trailingBytes),
        (bytes: [0x1C], problem: .notWellFormed),
        (bytes: [0xF8, 0x18], problem: .notWellFormed),
        (bytes: [0xFC], problem: .notWellFormed),
        (bytes: [0x5F, 0x41, 0, 0xFF], problem: .indefiniteLength),
        (bytes: [0x9F, 0xFF], problem: .indefiniteLength),
        (bytes: [0xBF, 0xFF], problem: .indefiniteLength),
        (bytes: [0xFF], problem: .indefiniteLength),
        (bytes: [0x1B, 0x80, 0, 0, 0, 0, 0, 0, 0], problem: .integerRange),
        (bytes: [0x3B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], problem: .integerRange),
        (bytes: [0x62, 0xC3, 0x28], problem: .invalidUTF8),
        (bytes: [0x5B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], problem: .unexpectedEnd),
        (bytes: [0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], problem: .unexpectedEnd),
        (bytes: [0xBB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], problem: .unexpectedEnd),
        (bytes: [0xA2, 0x01, 0x00, 0x18, 0x01, 0x00], problem: .duplicateKey),
        (bytes: [0xA1, 0x80, 0x00], problem: .key),
        (bytes: [0xA1, 0xF9, 0x3C, 0x00, 0x00], problem: .key),
        (bytes: [0xC1, 0x61, 0x61], problem: .tagContent(1)),
        (bytes: [0xC0, 0x00], problem: .tagContent(0)),
        (bytes: [UInt8](repeating: 0x81, count: 40) + [0], problem: .tooDeep),
        (bytes: [UInt8](repeating: 0xD8, count: 1) + [0x20], problem: .unexpectedEnd),
    ])
    func refused(_ bytes: [UInt8], _ problem: CBORError.Problem) {
        #expect { try decode(bytes) } throws: { ($0 as? CBORError)?.problem == problem }
    }

    @Test func tagsOnlyWhereTheyMayBe() {
        #expect { try CBORDecoder.decode([0x81, 0xC1, 0x00], allowsTags: false) } throws: {
            ($0 as? CBORError)?.problem == .tag
        }
    }

    @Test func encodesInDeterministicOrder() throws {
        let map = CBORValue.map(["b", 1], [.integer(33), 2], [.integer(1), 3], [.integer(-1), 4], ["aa", 5])
        let bytes = CBOREncoder.encode(map)
        #expect(bytes == [0xA5, 1, 3, 0x18, 33, 2, 0x20, 4, 0x61, 0x62, 1, 0x62, 0x61, 0x61, 5])
    }

    /// Whatever decodes encodes to something that decodes to the same; nothing crashes.
    @Test func randomBytesNeverCrash() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            guard let value = try? decode(bytes), !"\(value)".contains("nan") else { continue }
            #expect(try decode(CBOREncoder.encode(value)) == value)
        }
    }
}

extension CBORValue: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// An array.
    public init(arrayLiteral elements: CBORValue...) { self = .array(elements) }

    static func map(_ entries: [CBORValue]...) -> CBORValue {
        var map = CBORMap()
        for entry in entries { map.append(entry[0], entry[1]) }
        return .map(map)
    }
}
