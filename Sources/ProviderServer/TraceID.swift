import NIOHTTP1
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The id that ties together a request's log lines, its reports and its answer.
package enum TraceID {
    /// The header of our answers that carries it.
    package static let headerName = "X-Trace-Id"

    /// The longest id taken from a request.
    package static let maximumLength = 128

    /// The first acceptable id in the named headers, or else a new one.
    ///
    /// An id goes into logs and reports, so one that is longer than ``maximumLength`` or has other characters than
    /// those of W3C trace contexts, UUIDs and URNs is not used at all.
    package static func of(_ headers: HTTPHeaders, names: [String]) -> String {
        for name in names {
            // One that occurs twice does not say which: it is not used.
            let values = headers[name]
            if values.count == 1, isAcceptable(values[0]) { return values[0] }
        }
        return generated()
    }

    /// Whether a text from outside may be used as a trace id.
    package static func isAcceptable(_ text: String) -> Bool {
        (1...maximumLength).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"):
                    true
                default: "-_.:/+=@".utf8.contains(byte)
                }
            }
    }

    /// A random UUID (RFC 9562, version 4), in lower case.
    package static func generated() -> String {
        let (first, second) = randomness.withLock { ($0.next(), $0.next()) }
        let high = first & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = second & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = index < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (index & 15))) & 0xF
                buffer[position] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                position += 1
            }
            return 36
        }
    }

    private static let randomness = Mutex(Randomness())

    /// Random bits of the system, taken for several ids at once: a system call for each costs more than the rest of
    /// one.
    private struct Randomness {
        /// As many bytes as one call gives.
        private var words = [UInt64](repeating: 0, count: 32)
        private var used = 32

        mutating func next() -> UInt64 {
            if used == words.count {
                let result = words.withUnsafeMutableBytes { bytes in
                    bytes.baseAddress.map { getentropy($0, bytes.count) } ?? -1
                }
                guard result == 0 else {
                    var generator = SystemRandomNumberGenerator()
                    return generator.next()
                }
                used = 0
            }
            defer { used += 1 }
            return words[used]
        }
    }
}
