/// A block of addresses: `10.1.0.0/16`, `fd00::/8`, or one address.
public struct AddressBlock: Sendable, Hashable, CustomStringConvertible {
    package let network: IPAddress
    package let prefixLength: Int

    /// Reads a block; `nil` when the text is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])) else { return nil }
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        let written = address.isIPv6 ? 128 : 32
        let bits = address.bytes.count * 8
        var length = bits
        if parts.count == 2 {
            guard let number = Int(parts[1]), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                (written - bits...written).contains(number)
            else { return nil }
            length = number - (written - bits)
        }
        network = address
        prefixLength = length
    }

    package init(network: IPAddress, prefixLength: Int) {
        self.network = network
        self.prefixLength = prefixLength
    }

    /// The block in the usual form.
    public var description: String { "\(network)/\(prefixLength)" }

    package func contains(_ address: IPAddress) -> Bool { address.isIn(network, prefixLength: prefixLength) }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted, or as RFC 5952 writes an IPv6 address.
    package var description: String {
        guard bytes.count == 16 else { return bytes.map(String.init).joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        // The longest run of at least two zeros, the first of those.
        var run = 0..<0
        var start = 0
        for index in 0...groups.count where index == groups.count || groups[index] != 0 {
            if index - start > max(run.count, 1) { run = start..<index }
            start = index + 1
        }
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !run.isEmpty else { return text(groups[...]) }
        return "\(text(groups[..<run.lowerBound]))::\(text(groups[run.upperBound...]))"
    }
}
