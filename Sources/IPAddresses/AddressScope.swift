/// Who can be behind an address (IANA's registries of special-purpose addresses).
package enum AddressScope: Sendable, Hashable {
    /// Anybody: the public internet.
    case everyone
    /// A network of the operator's own: RFC 1918, RFC 4193, and RFC 6598 (shared by providers and clusters).
    case privateNetwork
    /// This machine.
    case loopback
    /// The link, where the metadata services of clouds are, and addresses like theirs.
    case linkLocal
    /// Nobody who could be asked: multicast, reserved, documentation.
    case special

    /// In words that follow "is".
    package var words: String {
        switch self {
        case .everyone: "a public address"
        case .privateNetwork: "an address of a private network"
        case .loopback: "an address of this machine itself"
        case .linkLocal: "a link-local address or that of a cloud's metadata service"
        case .special: "an address that is reserved"
        }
    }

    /// In order: the first block that has an address decides.
    private static let blocks: [(AddressBlock, AddressScope)] = [
        // Platform services of Azure, AWS and Alibaba Cloud that answer from outside of 169.254.0.0/16.
        ("168.63.129.16", .linkLocal), ("fd00:ec2::254", .linkLocal), ("100.100.100.200", .linkLocal),
        ("169.254.0.0/16", .linkLocal), ("fe80::/10", .linkLocal), ("192.0.0.0/24", .linkLocal),
        ("127.0.0.0/8", .loopback), ("::1", .loopback), ("0.0.0.0/8", .loopback), ("::", .loopback),
        ("10.0.0.0/8", .privateNetwork), ("172.16.0.0/12", .privateNetwork), ("192.168.0.0/16", .privateNetwork),
        ("100.64.0.0/10", .privateNetwork), ("fc00::/7", .privateNetwork), ("fec0::/10", .privateNetwork),
        ("64:ff9b:1::/48", .privateNetwork), ("198.18.0.0/15", .privateNetwork),
        ("192.0.2.0/24", .special), ("198.51.100.0/24", .special), ("203.0.113.0/24", .special),
        ("224.0.0.0/4", .special), ("240.0.0.0/4", .special), ("ff00::/8", .special), ("100::/64", .special),
        ("2001:db8::/32", .special), ("::/96", .special),
        // IPv4 behind a translator (SIIT, RFC 2765): nobody outside of a network of one's own answers there.
        ("::ffff:0:0:0/96", .special),
    ].compactMap { text, scope in AddressBlock(text).map { ($0, scope) } }

    /// The scope of an address.
    package init(of address: IPAddress) {
        self = AddressScope.blocks.first { $0.0.contains(address) }?.1 ?? .everyone
        // NAT64 and 6to4 carry an IPv4 address, which is where the packets end.
        guard self == .everyone, address.bytes.count == 16 else { return }
        let bytes = address.bytes
        if bytes.starts(with: [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) {
            self = AddressScope(of: IPAddress(bytes: Array(bytes[12...])))
        } else if bytes.starts(with: [0x20, 0x02]) {
            self = AddressScope(of: IPAddress(bytes: Array(bytes[2..<6])))
        }
    }
}
