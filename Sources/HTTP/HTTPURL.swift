import IPAddresses

/// An absolute http or https URL, read strictly so that everyone who looks at it sees the same host: no user
/// information, no control or other characters that parsers disagree about, a host of plain ASCII (RFC 3986).
public struct HTTPURL: Sendable, Hashable {
    /// The two schemes.
    public enum Scheme: String, Sendable, Hashable {
        case http, https

        /// The port that is meant when the URL names none.
        public var defaultPort: Int { self == .https ? 443 : 80 }
    }

    /// The scheme.
    public let scheme: Scheme
    /// The host in lower case: a name, an IPv4 address, or an IPv6 address without its brackets.
    public let host: String
    /// The port, the scheme's own when the URL names none.
    public let port: Int
    /// Host, and port unless it is the scheme's own; IPv6 addresses in brackets.
    public let authority: String
    /// Path and query as they were written, beginning with a slash.
    public let target: String

    /// Reads a URL. A fragment is dropped: it is not sent.
    public init(parsing text: String) throws(HTTPURLError) {
        guard text.utf8.count <= 16_384 else { throw HTTPURLError(problem: "it is longer than 16384 bytes") }
        guard text.utf8.allSatisfy(HTTPURL.isAllowed) else {
            throw HTTPURLError(problem: "it has spaces, control characters or others that must be percent-encoded")
        }
        // All of it is ASCII: bytes are characters, and cost far less to look at.
        let bytes = text.utf8
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            let scheme = Scheme(rawValue: text[..<colon].lowercased())
        else { throw HTTPURLError(problem: "it does not begin with http:// or https://") }
        let afterScheme = bytes[bytes.index(after: colon)...]
        guard afterScheme.starts(with: "//".utf8) else {
            throw HTTPURLError(problem: "it does not begin with http:// or https://")
        }
        let rest = afterScheme.dropFirst(2)
        let end =
            rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
            ?? rest.endIndex
        (host, port) = try HTTPURL.parse(authority: text[rest.startIndex..<end], scheme: scheme)
        authority = HTTPURL.authority(host, port, scheme)
        self.scheme = scheme
        let target = text[end..<(rest[end...].firstIndex(of: UInt8(ascii: "#")) ?? rest.endIndex)]
        self.target = target.utf8.first == UInt8(ascii: "/") ? String(target) : "/" + target
    }

    private init(scheme: Scheme, host: String, port: Int, target: String) {
        self.scheme = scheme
        self.host = host
        self.port = port
        authority = HTTPURL.authority(host, port, scheme)
        self.target = target
    }

    private init(origin: HTTPURL, target: String) {
        (scheme, host, port, authority) = (origin.scheme, origin.host, origin.port, origin.authority)
        self.target = target
    }

    private static func authority(_ host: String, _ port: Int, _ scheme: Scheme) -> String {
        let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == scheme.defaultPort ? name : "\(name):\(port)"
    }

    /// The whole URL. Its query may hold a secret.
    public var text: String { "\(origin)\(target)" }

    /// Scheme, host and port.
    var origin: String { "\(scheme.rawValue)://\(authority)" }

    /// The same host with another path and query, as they are to be sent: they begin with a slash.
    public func with(target: String) throws(HTTPURLError) -> HTTPURL {
        guard target.utf8.first == UInt8(ascii: "/"), target.utf8.count <= 16_384,
            target.utf8.allSatisfy({ HTTPURL.isAllowed($0) && $0 != UInt8(ascii: "#") })
        else { throw HTTPURLError(problem: "its path is too long, or has characters that must be percent-encoded") }
        return HTTPURL(origin: self, target: target)
    }

    /// Whether both name the same scheme, host and port: only then may credentials go along.
    public func hasSameOrigin(as other: HTTPURL) -> Bool {
        scheme == other.scheme && host.utf8.elementsEqual(other.host.utf8) && port == other.port
    }

    /// Resolves a reference, as in `Location` and `Link`, against this URL (RFC 3986, section 5.2).
    public func resolving(_ reference: String) throws(HTTPURLError) -> HTTPURL {
        var bytes = reference.utf8[...]
        if let end = bytes.firstIndex(of: UInt8(ascii: "#")) { bytes = bytes[..<end] }
        let text = reference[bytes.startIndex..<bytes.endIndex]
        if let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            !bytes[..<colon].contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") })
        {
            return try HTTPURL(parsing: String(text))
        }
        if bytes.starts(with: "//".utf8) { return try HTTPURL(parsing: "\(scheme.rawValue):\(text)") }
        guard bytes.count <= 16_384, bytes.allSatisfy(HTTPURL.isAllowed) else {
            throw HTTPURLError(problem: "it has spaces, control characters or others that must be percent-encoded")
        }
        if bytes.isEmpty { return self }
        let path = target[..<(target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex)]
        let queryStart = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.endIndex
        let (referencePath, query) = (text[..<queryStart], text[queryStart...])
        let merged: String
        if referencePath.isEmpty {
            merged = String(path)
        } else if referencePath.utf8.first == UInt8(ascii: "/") {
            merged = HTTPURL.removingDotSegments(String(referencePath))
        } else {
            let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[...$0] } ?? "/"
            merged = HTTPURL.removingDotSegments("\(directory)\(referencePath)")
        }
        return HTTPURL(origin: self, target: merged + query)
    }

    /// The same on another host, whose name is known to be valid.
    func onHost(_ host: String) -> HTTPURL { HTTPURL(scheme: scheme, host: host, port: port, target: target) }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"): false
        default: byte > 0x20 && byte < 0x7F
        }
    }

    private static func parse(
        authority: Substring, scheme: Scheme
    ) throws(HTTPURLError) -> (host: String, port: Int) {
        let bytes = authority.utf8
        // "https://registry.example@evil.example/" names another host than it seems to, and userinfo is a secret.
        guard !bytes.contains(UInt8(ascii: "@")) else {
            throw HTTPURLError(problem: "it has user information before the host")
        }
        let host: Substring
        let afterHost: Substring
        if bytes.first == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")) else {
                throw HTTPURLError(problem: "its host is not valid")
            }
            host = authority[bytes.index(after: bytes.startIndex)..<close]
            afterHost = authority[bytes.index(after: close)...]
            guard IPAddress(String(host))?.isIPv6 == true else {
                throw HTTPURLError(problem: "its host is not an IPv6 address")
            }
        } else {
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
            host = authority[..<colon]
            afterHost = authority[colon...]
            guard !host.isEmpty, host.utf8.count <= 255, host.utf8.allSatisfy(isNameByte) else {
                throw HTTPURLError(problem: "its host is empty or not valid")
            }
        }
        guard !afterHost.isEmpty else { return (host.lowercased(), scheme.defaultPort) }
        let digits = afterHost.utf8.dropFirst()
        guard afterHost.utf8.first == UInt8(ascii: ":"), !digits.isEmpty,
            digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(Substring(digits)),
            (1...65_535).contains(port)
        else { throw HTTPURLError(problem: "its port is not a number from 1 to 65535") }
        return (host.lowercased(), port)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// RFC 3986, section 5.2.4, for a path that begins with a slash.
    private static func removingDotSegments(_ path: String) -> String {
        // Nearly always there is none.
        var isAfterSlash = false
        let hasDots = path.utf8.contains { byte in
            defer { isAfterSlash = byte == UInt8(ascii: "/") }
            return isAfterSlash && byte == UInt8(ascii: ".")
        }
        guard hasDots else { return path }
        var kept: [Substring] = []
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                kept = kept.dropLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/")
    }
}

/// Why a text is not an ``HTTPURL``. The text itself is not repeated: it may hold secrets.
public struct HTTPURLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let problem: String

    /// What is wrong, for a person.
    public var description: String { "the URL is not usable: \(problem)" }
}
