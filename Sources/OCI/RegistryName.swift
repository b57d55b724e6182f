import IPAddresses

/// The name of a registry, in the one spelling that all of its spellings have in common.
///
/// References, the scopes of trust policies, patterns of images, docker configurations and lists of endpoints write
/// registries in many ways. Whatever compares registries compares these, so that no other way of writing one leads
/// around a rule:
///
/// - The host is in lower case, without a dot at its end.
/// - A port has no leading zeros, and the port that is meant without one is not written: 443 over https, 80 in plain
///   HTTP (``RegistryTransport``).
/// - `index.docker.io` and `registry-1.docker.io` are `docker.io`, unless they have a port of their own.
/// - An IPv6 address is in brackets and as RFC 5952 writes it; one that holds an IPv4 address is that.
/// - An IPv4 address is four numbers without leading zeros. Resolvers take `10.1` and `0x7f.0.0.1` for addresses too;
///   what ends like an address and is not in this form is no name.
public struct RegistryName: Hashable, Sendable, CustomStringConvertible {
    /// Docker Hub.
    package static let dockerHub = "docker.io"
    private static let dockerHubAliases = ["docker.io", "index.docker.io", "registry-1.docker.io"]

    /// The host: a name or an address.
    public let host: String
    /// The port that was written.
    public let port: Int?

    private init(host: String, port: Int?) {
        self.host = host
        self.port = port
    }

    /// Reads a host with an optional port as somebody configures it; `nil` when it is none.
    public init?(parsing text: some StringProtocol) { self.init(text, isReference: false) }

    /// Reads the registry of a reference: what node runtimes can pull (`distribution/reference`), without a dot at the
    /// end of the host, zeros before the port or an IPv4 address within an IPv6 one.
    init?(ofReference text: some StringProtocol) { self.init(text, isReference: true) }

    private init?(_ text: some StringProtocol, isReference: Bool) {
        let bytes = Array(text.utf8)
        var end = bytes.count
        let host: String
        if bytes.first == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")),
                !(isReference && bytes[..<close].contains(UInt8(ascii: "."))),
                let address = IPAddress(String(decoding: bytes[1..<close], as: UTF8.self)), address.isIPv6
            else { return nil }
            host = address.bytes.count == 4 ? "\(address)" : "[\(address)]"
            end = close + 1
        } else {
            end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
            var name = bytes[..<end]
            if !isReference, name.last == UInt8(ascii: ".") { name = name.dropLast() }
            guard ReferenceGrammar.isHostName(name) else { return nil }
            host = String(decoding: name, as: UTF8.self).lowercased()
            guard !RegistryName.endsInNumber(host) || IPAddress(host) != nil else { return nil }
        }
        self.host = host
        guard end < bytes.count else {
            port = nil
            return
        }
        let written = bytes[(end + 1)...]
        let digits = written.drop { $0 == UInt8(ascii: "0") }
        guard !isReference || digits.count == written.count, bytes[end] == UInt8(ascii: ":"),
            (1...5).contains(digits.count),
            digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(String(decoding: digits, as: UTF8.self)),
            port <= 65_535
        else { return nil }
        self.port = port
    }

    /// The name over a transport: without the port that is meant anyway, and Docker Hub by its one name.
    public func canonical(over transport: RegistryTransport = .https) -> RegistryName {
        if port == nil || port == transport.defaultPort {
            return RegistryName(host: RegistryName.dockerHubAliases.contains(host) ? Self.dockerHub : host, port: nil)
        }
        return self
    }

    /// The name without a port that is meant without one over some transport: equal for all names that can be one
    /// registry. Whether two of them are one says ``mayBeSame(as:over:)``.
    package var place: String {
        guard let port, !RegistryTransport.defaultPorts.contains(port) else {
            return RegistryName.dockerHubAliases.contains(host) ? Self.dockerHub : host
        }
        return description
    }

    /// The ``place`` with a repository: at Docker Hub, one without a namespace is one of `library`.
    package func place(of repository: String) -> String {
        let place = place
        let isShort = place == Self.dockerHub && !repository.utf8.contains(UInt8(ascii: "/"))
        return isShort ? "\(place)/library/\(repository)" : "\(place)/\(repository)"
    }

    /// Every spelling of a registry that this one may be.
    package var spellings: [String] {
        guard port.map(RegistryTransport.defaultPorts.contains) ?? true else { return [description] }
        let hosts = RegistryName.dockerHubAliases.contains(host) ? RegistryName.dockerHubAliases.sorted() : [host]
        return hosts.flatMap { host in [host] + RegistryTransport.defaultPorts.map { "\(host):\($0)" } }
    }

    /// Whether this name and another one may lead to the same registry.
    package func mayBeSame(as other: RegistryName, over transport: RegistryTransport) -> Bool {
        place == other.place && mayHavePort(of: other, over: transport)
    }

    /// Whether that is so of one with the same ``place``.
    package func mayHavePort(of other: RegistryName, over transport: RegistryTransport) -> Bool {
        transport.mayBeSame(port, other.port)
    }

    /// Whether the host is an IPv6 address.
    package var isIPv6: Bool { host.utf8.first == UInt8(ascii: "[") }

    /// This host with a port; as it is when it has one.
    package func with(defaultPort: Int) -> RegistryName { RegistryName(host: host, port: port ?? defaultPort) }

    /// Docker Hub, where nothing else is written.
    static let dockerHubName = RegistryName(host: dockerHub, port: nil)

    /// A repository's whole name: at Docker Hub, one without a namespace is one of `library`.
    package func fullRepository(_ name: Substring) -> String {
        guard port == nil, host == Self.dockerHub, !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")) else {
            return String(name)
        }
        return "library/\(name)"
    }

    /// `host`, or `host:port`.
    public var description: String { port.map { "\(host):\($0)" } ?? host }

    /// Whether the last label is a number: names of hosts do not end so, addresses do (WHATWG URL, "ends in a number").
    private static func endsInNumber(_ host: String) -> Bool {
        let label = host.utf8.lastIndex(of: UInt8(ascii: ".")).map { host[$0...].utf8.dropFirst() } ?? host.utf8[...]
        if label.starts(with: "0x".utf8) {
            return label.dropFirst(2).allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        }
        return label.allSatisfy { (0x30...0x39).contains($0) }
    }
}
