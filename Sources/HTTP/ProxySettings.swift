import Encoding
import IPAddresses

/// Which requests go through which proxy, read once from environment variables in the way of Go's programs, which
/// Ratify and the cluster's other components are:
///
/// - `https_proxy`/`HTTPS_PROXY` for https URLs, `http_proxy`/`HTTP_PROXY` for http URLs; the lower-case name wins.
/// - `HTTP_PROXY` in upper case is ignored where `REQUEST_METHOD` is set: in a CGI process the variable holds the
///   client's `Proxy` header, and a stranger would choose our proxy.
/// - `no_proxy`/`NO_PROXY`: a comma-separated list of `*`, names (with their subdomains), `.name` (subdomains only),
///   addresses, CIDR blocks, each but the last with an optional `:port`.
/// - Loopback addresses and `localhost` never go through a proxy.
///
/// libcurl is told the outcome for every request and never reads the variables itself: `getenv` races with
/// `setenv`, and a process must not change its mind midway.
public struct ProxySettings: Sendable, Hashable {
    /// A proxy.
    struct Proxy: Sendable, Hashable {
        /// `scheme://host:port`, without credentials.
        var url: String
        /// Host and port, for messages.
        var authority: String
        var user: String?
        var password: String?
    }

    private enum Rule: Sendable, Hashable {
        case everything
        case name(String, subdomainsOnly: Bool, port: Int?)
        case address(IPAddress, port: Int?)
        case network(IPAddress, prefixLength: Int)
    }

    private var httpProxy: Proxy?
    private var httpsProxy: Proxy?
    private var rules: [Rule] = []

    /// No proxy for anything.
    public static let none = ProxySettings()

    private init() {}

    /// Reads the variables of an environment.
    ///
    /// - Throws: `configuration` when a proxy's address cannot be understood: going without it could send requests
    ///   a way they are not meant to go.
    public init(environment: [String: String]) throws(HTTPError) {
        func value(_ lower: String, _ upper: String?) -> (name: String, value: String)? {
            for name in [lower, upper].compactMap(\.self) {
                if let value = environment[name], !value.isEmpty { return (name, value) }
            }
            return nil
        }
        let isCGI = environment["REQUEST_METHOD"] != nil
        if let (name, text) = value("https_proxy", "HTTPS_PROXY") { httpsProxy = try Self.parse(text, name: name) }
        if let (name, text) = value("http_proxy", isCGI ? nil : "HTTP_PROXY") {
            httpProxy = try Self.parse(text, name: name)
        }
        if let (_, text) = value("no_proxy", "NO_PROXY") {
            rules = text.split(separator: ",").compactMap { Self.rule(String($0.filter { $0 != " " && $0 != "\t" })) }
        }
    }

    /// The proxy for a URL; `nil`: go directly.
    func proxy(for url: HTTPURL) -> Proxy? {
        guard let proxy = url.scheme == .https ? httpsProxy : httpProxy else { return nil }
        let address = IPAddress(url.host)
        if url.host == "localhost" || address?.isLoopback == true { return nil }
        for rule in rules {
            switch rule {
            case .everything: return nil
            case .name(let name, let subdomainsOnly, let port):
                guard port == nil || port == url.port else { continue }
                if (url.host == name && !subdomainsOnly) || url.host.hasSuffix("." + name) { return nil }
            case .address(let expected, let port):
                guard port == nil || port == url.port else { continue }
                if address?.bytes == expected.bytes { return nil }
            case .network(let network, let length):
                if address?.isIn(network, prefixLength: length) == true { return nil }
            }
        }
        return proxy
    }

    /// `[scheme://][user[:password]@]host[:port]`.
    private static func parse(_ text: String, name: String) throws(HTTPError) -> Proxy {
        // The value may hold a password: it is not repeated.
        func fault(_ problem: String) -> HTTPError {
            HTTPError(
                kind: .configuration, host: "", method: .get, attempts: 0,
                detail: "the value of \(name) is not a usable proxy address: \(problem)"
                    + "; expected something like http://proxy.example:3128")
        }
        var scheme = "http"
        var rest = Substring(text)
        if let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") {
            scheme = text[..<colon].lowercased()
            rest = text[colon...].dropFirst(3)
        }
        let defaultPorts = ["http": 80, "https": 443, "socks5": 1080, "socks5h": 1080]
        guard let defaultPort = defaultPorts[scheme] else {
            throw fault("only http, https, socks5 and socks5h proxies are supported")
        }
        rest = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var proxy = Proxy(url: "", authority: "")
        if let at = rest.lastIndex(of: "@") {
            let credentials = rest[..<at]
            rest = rest[rest.index(after: at)...]
            let colon = credentials.firstIndex(of: ":")
            guard let user = percentDecoded(credentials[..<(colon ?? credentials.endIndex)]) else {
                throw fault("its user name is not valid percent-encoded text")
            }
            proxy.user = user
            if let colon {
                guard let password = percentDecoded(credentials[credentials.index(after: colon)...]) else {
                    throw fault("its password is not valid percent-encoded text")
                }
                proxy.password = password
            }
        }
        // The strict reader of URLs judges host and port.
        let url: HTTPURL
        do { url = try HTTPURL(parsing: "http://\(rest)") } catch { throw fault(error.problem) }
        let hasPort = rest.last != "]" && rest.contains(":") && (!rest.hasPrefix("[") || rest.contains("]:"))
        let host = url.host.contains(":") ? "[\(url.host)]" : url.host
        proxy.authority = "\(host):\(hasPort ? url.port : defaultPort)"
        proxy.url = "\(scheme)://\(proxy.authority)"
        return proxy
    }

    private static func rule(_ text: String) -> Rule? {
        guard !text.isEmpty else { return nil }
        if text == "*" { return .everything }
        if let slash = text.firstIndex(of: "/") {
            guard let network = IPAddress(String(text[..<slash])), let length = Int(text[text.index(after: slash)...]),
                (0...network.bytes.count * 8).contains(length)
            else { return nil }
            return .network(network, prefixLength: length)
        }
        if let address = IPAddress(text) { return .address(address, port: nil) }
        var name = text.lowercased()
        var port: Int?
        if let colon = name.lastIndex(of: ":"), let number = Int(name[name.index(after: colon)...]) {
            port = number
            name = String(name[..<colon])
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if let address = IPAddress(name) { return .address(address, port: port) }
        if name.hasPrefix("*.") { name.removeFirst() }
        let subdomainsOnly = name.hasPrefix(".")
        if subdomainsOnly { name.removeFirst() }
        return name.isEmpty ? nil : .name(name, subdomainsOnly: subdomainsOnly, port: port)
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        guard let bytes = PercentEncoding.decode(text.utf8), bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
