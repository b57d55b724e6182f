import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where a server listens: `:6001`, `127.0.0.1:6001`, `[::1]:6001` or `localhost:6001`.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// The host; `nil` is every address of the machine.
    package let host: String?
    /// The port; 0 lets the system choose one.
    package let port: Int

    /// A host and a port.
    package init(host: String? = nil, port: Int) {
        self.host = host
        self.port = port
    }

    /// Parses `host:port` or `:port`.
    package init(parsing text: String) throws(ListenAddressError) {
        guard let colon = text.lastIndex(of: ":") else { throw ListenAddressError(text: text) }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(digits), port <= 65_535
        else { throw ListenAddressError(text: text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { throw ListenAddressError(text: text) }
        } else if host.contains(where: { ":[] /".contains($0) }) {
            throw ListenAddressError(text: text)
        }
        self.init(host: host.isEmpty ? nil : String(host), port: port)
    }

    /// `host:port`.
    package var description: String {
        guard let host else { return ":\(port)" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// The host to bind. Every address means IPv6 and IPv4 where the machine has IPv6, otherwise IPv4.
    var bindHost: String { host ?? ListenAddress.everyAddress }

    private static let everyAddress: String = {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return "0.0.0.0" }
        defer { close(descriptor) }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        return result == 0 ? "::" : "0.0.0.0"
    }()
}

/// A text that is not a ``ListenAddress``.
package struct ListenAddressError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The text.
    package let text: String

    /// What was expected.
    package var description: String {
        "\"\(text.quoted)\" is not an address to listen on: expected :PORT, HOST:PORT or [IPV6]:PORT"
    }
}
