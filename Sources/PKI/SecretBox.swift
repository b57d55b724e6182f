import COpenSSL

/// NaCl's secretbox: XSalsa20 with Poly1305 (Bernstein, "Cryptography in NaCl", sections 9 and 10). OpenSSL has no
/// Salsa20.
package enum SecretBox {
    /// How many bytes a key has.
    package static let keyLength = 32
    /// How many bytes a nonce has.
    package static let nonceLength = 24
    private static let tagLength = 16

    /// What is in a box; `nil` when it is not one that was closed with this key and nonce.
    ///
    /// - Parameter box: the tag, and what it is over.
    package static func open(_ box: [UInt8], nonce: [UInt8], key: [UInt8]) -> [UInt8]? {
        guard key.count == keyLength, nonce.count == nonceLength, box.count >= tagLength else { return nil }
        let stream = Salsa20(
            key: Salsa20.derivedKey(from: key, input: Array(nonce[..<16])), nonce: Array(nonce[16...]))
        let sealed = Array(box[tagLength...])
        // The first half of the first block is the key of the tag.
        let first = stream.block(0)
        var tag = [UInt8](repeating: 0, count: tagLength)
        let (good, _) = OpenSSL.explained { countersign_poly1305(first, sealed, sealed.count, &tag, $0) }
        guard good == 1, countersign_same(tag, box, tagLength) == 1 else { return nil }
        var opened: [UInt8] = []
        opened.reserveCapacity(sealed.count)
        var block = first
        var position = 32
        var counter: UInt64 = 0
        for byte in sealed {
            if position == block.count {
                counter += 1
                block = stream.block(counter)
                position = 0
            }
            opened.append(byte ^ block[position])
            position += 1
        }
        return opened
    }
}

/// The stream cipher Salsa20/20 (Bernstein, "Salsa20 specification").
private struct Salsa20 {
    private static let constants: [UInt32] = [0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574]
    private let state: [UInt32]

    /// A stream.
    ///
    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - nonce: 8 bytes.
    init(key: [UInt8], nonce: [UInt8]) {
        state = Self.state(key, input: nonce + [UInt8](repeating: 0, count: 8))
    }

    /// 64 bytes of the stream.
    func block(_ counter: UInt64) -> [UInt8] {
        var start = state
        start[8] = UInt32(truncatingIfNeeded: counter)
        start[9] = UInt32(truncatingIfNeeded: counter >> 32)
        let end = Self.mixed(start)
        return Self.bytes(zip(start, end).map { $0 &+ $1 })
    }

    /// HSalsa20: another key from a key and 16 bytes.
    static func derivedKey(from key: [UInt8], input: [UInt8]) -> [UInt8] {
        let end = mixed(state(key, input: input))
        return bytes([0, 5, 10, 15, 6, 7, 8, 9].map { end[$0] })
    }

    private static func state(_ key: [UInt8], input: [UInt8]) -> [UInt32] {
        let (key, input) = (words(key), words(input))
        var state = [constants[0]]
        state += key[..<4]
        state.append(constants[1])
        state += input
        state.append(constants[2])
        state += key[4...]
        state.append(constants[3])
        return state
    }

    private static func mixed(_ state: [UInt32]) -> [UInt32] {
        var x = state
        func quarter(_ a: Int, _ b: Int, _ c: Int, _ d: Int) {
            x[b] ^= rotated(x[a] &+ x[d], 7)
            x[c] ^= rotated(x[b] &+ x[a], 9)
            x[d] ^= rotated(x[c] &+ x[b], 13)
            x[a] ^= rotated(x[d] &+ x[c], 18)
        }
        for _ in 0..<10 {
            quarter(0, 4, 8, 12)
            quarter(5, 9, 13, 1)
            quarter(10, 14, 2, 6)
            quarter(15, 3, 7, 11)
            quarter(0, 1, 2, 3)
            quarter(5, 6, 7, 4)
            quarter(10, 11, 8, 9)
            quarter(15, 12, 13, 14)
        }
        return x
    }

    private static func rotated(_ word: UInt32, _ bits: UInt32) -> UInt32 { word << bits | word >> (32 - bits) }

    private static func words(_ bytes: [UInt8]) -> [UInt32] {
        var words = [UInt32](repeating: 0, count: bytes.count / 4)
        for (index, byte) in bytes.enumerated() { words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8) }
        return words
    }

    private static func bytes(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { (word: UInt32) -> [UInt8] in
            (0..<4).map { (index: UInt32) -> UInt8 in UInt8(truncatingIfNeeded: word >> (8 * index)) }
        }
    }
}
