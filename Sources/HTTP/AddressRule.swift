import IPAddresses

/// Where one exchange may go.
struct AddressRule: Sendable, Hashable {
    var privateAddresses = PrivateAddresses.allowed
    /// An address that is allowed all the same: where this origin answered from just now.
    var known: IPAddress?

    /// Every address.
    static let everything = AddressRule()

    /// What an address is that is not allowed; `nil` when it is allowed.
    func refusal(of address: IPAddress) -> AddressScope? {
        guard case .only(let blocks, let privateNetworks) = privateAddresses else { return nil }
        let scope = AddressScope(of: address)
        if scope == .everyone || address.bytes == known?.bytes { return nil }
        if scope == .privateNetwork, privateNetworks { return nil }
        return blocks.contains { $0.contains(address) } ? nil : scope
    }

    /// What is wrong with a URL by its text alone, for a request that a proxy resolves: an address that is not allowed,
    /// or a name that means this machine or a metadata service.
    func problem(of url: HTTPURL) -> String? {
        guard privateAddresses != .allowed else { return nil }
        if let address = IPAddress(url.host) {
            return refusal(of: address).map { "\(address) is \($0.words)" }
        }
        let labels = url.host.split(separator: ".")
        let last = labels.last ?? ""
        // 127.1, 0x7f000001 and 2130706433 are 127.0.0.1 to whoever resolves them.
        if last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) || last.hasPrefix("0x") {
            return "its host is an address in an unusual form"
        }
        if last == "localhost" || labels.suffix(3) == ["metadata", "google", "internal"] {
            return "its host is this machine or a metadata service"
        }
        return nil
    }

    /// The rule for the next exchange of a call that was redirected by an answer from an address, unknown behind a
    /// proxy.
    static func redirect(
        from address: IPAddress?, toSameOrigin: Bool, _ privateAddresses: PrivateAddresses
    ) -> AddressRule {
        let isPrivate = address.map { AddressScope(of: $0) != .everyone } ?? false
        return AddressRule(
            privateAddresses: isPrivate ? privateAddresses.withPrivateNetworks : privateAddresses,
            known: toSameOrigin ? address : nil)
    }
}
