/// How registries are spoken to. It says which port a name without one means, and so which names are one registry.
public enum RegistryTransport: Hashable, Sendable {
    /// https: no port is port 443.
    case https
    /// Plain HTTP (`useHttp`): no port is port 80.
    case http
    /// Some stores of a configuration speak https and others plain HTTP: no port may be either.
    case either

    /// The ports of https and of plain HTTP.
    static let defaultPorts = [443, 80]

    /// The port that need not be written; `nil` where that depends on who asks.
    var defaultPort: Int? {
        switch self {
        case .https: 443
        case .http: 80
        case .either: nil
        }
    }

    /// Whether two ports of one host, `nil` for none written, may be the same.
    func mayBeSame(_ left: Int?, _ right: Int?) -> Bool {
        if left == right { return true }
        switch self {
        case .https, .http: return (left ?? defaultPort) == (right ?? defaultPort)
        case .either:
            return RegistryTransport.defaultPorts.contains(left ?? right ?? 0) && (left == nil || right == nil)
        }
    }
}
