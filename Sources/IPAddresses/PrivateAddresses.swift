/// Whether a request may go to addresses that are not of the public internet: private networks, this machine, the link.
///
/// URLs that strangers supply (in certificates, in redirects) are followed from inside a cluster, where such addresses
/// answer to whoever asks. What decides is the address that is connected to, after the name was resolved: a name may
/// mean one address when it is looked up by whoever checks, and another when it is used.
///
/// A request that goes through a proxy is resolved there: only a host that is written as an address is judged then.
public enum PrivateAddresses: Sendable, Hashable {
    /// Every address.
    case allowed
    /// Public addresses, those in these blocks, and private networks (not this machine, not the link) if it says so.
    case only([AddressBlock], privateNetworks: Bool = false)

    /// Public addresses alone.
    public static let refused = PrivateAddresses.only([])

    /// The same, and private networks: for what is supplied by somebody who is in such a network too.
    public var withPrivateNetworks: PrivateAddresses {
        guard case .only(let blocks, _) = self else { return self }
        return .only(blocks, privateNetworks: true)
    }
}
