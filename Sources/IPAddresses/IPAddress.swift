#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An IPv4 or IPv6 address, for `NO_PROXY`, for telling addresses from names, and for judging where to connect.
package struct IPAddress: Sendable, Hashable {
    private static let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    /// 4 or 16 bytes.
    package let bytes: [UInt8]

    /// Reads an address in dotted or colon notation; `nil` when the text is a name.
    package init?(_ text: String) {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 {
            bytes = Array(buffer.prefix(4))
        } else if inet_pton(AF_INET6, text, &buffer) == 1 {
            // ::ffff:10.0.0.1 is 10.0.0.1: rules written for one form hold for the other.
            bytes = buffer.starts(with: IPAddress.mapped) ? Array(buffer.suffix(4)) : buffer
            isIPv6 = true
        } else {
            return nil
        }
    }

    /// An address of 4 or 16 bytes.
    package init(bytes: [UInt8]) {
        self.bytes = bytes.starts(with: IPAddress.mapped) ? Array(bytes.suffix(4)) : bytes
        isIPv6 = bytes.count == 16
    }

    /// Whether it was written as an IPv6 address.
    package private(set) var isIPv6 = false

    /// 127.0.0.0/8 and ::1.
    package var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    /// Whether the first `prefixLength` bits are those of the network.
    package func isIn(_ network: IPAddress, prefixLength: Int) -> Bool {
        guard bytes.count == network.bytes.count, prefixLength <= bytes.count * 8 else { return false }
        let whole = prefixLength / 8
        guard bytes.prefix(whole) == network.bytes.prefix(whole) else { return false }
        let rest = prefixLength % 8
        guard rest > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
        return bytes[whole] & mask == network.bytes[whole] & mask
    }
}
