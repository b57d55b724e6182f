import FoundationEssentials
import Quotation
import StrictJSON

/// The content of a docker `config.json`, or of a `kubernetes.io/dockerconfigjson` secret.
///
/// It never shows a secret: its errors name members and hosts.
package struct DockerConfig: Hashable, Sendable {
    /// What `auths` says for one key.
    struct Entry: Hashable, Sendable {
        let key: RegistryKey
        let credential: RegistryCredential
    }

    /// Why a text is not a docker configuration.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// The entries of `auths` that hold a credential.
    private(set) var entries: [Entry] = []
    /// Helpers by the host that they are for.
    private(set) var helpers: [(key: RegistryKey, helper: String)] = []
    /// The helper for every other host.
    private(set) var store: String?

    package static func == (left: DockerConfig, right: DockerConfig) -> Bool {
        left.entries == right.entries && left.store == right.store
            && left.helpers.elementsEqual(right.helpers) { $0.key == $1.key && $0.helper == $1.helper }
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(entries) }

    /// An empty configuration.
    package init() {}

    /// Parses a configuration.
    package init(parsing content: [UInt8]) throws(Fault) {
        let document: JSONValue
        do { document = try StrictJSON.parse(content) } catch {
            throw Fault(description: "it is not valid JSON: \(error)")
        }
        guard let object = document.object else {
            throw Fault(description: "it is \(document.kind), not a JSON object")
        }
        for (key, value) in try Self.members(object, "auths") {
            guard let members = value.object else {
                throw Fault(description: "auths[\"\(key.quoted)\"] is \(value.kind), not an object")
            }
            // Docker leaves an empty entry behind for what a helper keeps.
            guard let credential = try Self.credential(members, key) else { continue }
            entries.append(Entry(key: RegistryKey(key), credential: credential))
        }
        for (key, value) in try Self.members(object, "credHelpers") {
            helpers.append((RegistryKey(key), try Self.helperName(value, "credHelpers[\"\(key.quoted)\"]")))
        }
        switch object["credsStore"] {
        case nil, .null, .string(""): store = nil
        case .some(let value): store = try Self.helperName(value, "credsStore")
        }
    }

    private static func members(_ object: JSONObject, _ name: String) throws(Fault) -> [(String, JSONValue)] {
        switch object[name] {
        case nil, .null: return []
        case .object(let members): return members.members.map { ($0.name, $0.value) }
        case .some(let other): throw Fault(description: "\(name) is \(other.kind), not an object")
        }
    }

    /// A helper's name becomes part of a program's: it must not lead elsewhere.
    private static func helperName(_ value: JSONValue, _ member: String) throws(Fault) -> String {
        guard let name = value.string, !name.isEmpty, name.utf8.count <= 100, name.first != ".",
            name.unicodeScalars.allSatisfy({ scalar in
                ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
                    || "-_.".unicodeScalars.contains(scalar)
            })
        else { throw Fault(description: "\(member) is not the name of a credential helper") }
        return name
    }

    private static func credential(_ members: JSONObject, _ key: String) throws(Fault) -> RegistryCredential? {
        func text(_ name: String) throws(Fault) -> String? {
            switch members[name] {
            case nil, .null, .string(""): return nil
            case .string(let text): return text
            case .some(let other):
                throw Fault(description: "\(name) of auths[\"\(key.quoted)\"] is \(other.kind), not a string")
            }
        }
        if let token = try text("registrytoken") {
            guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Fault(
                    description: "registrytoken of auths[\"\(key.quoted)\"] has characters that a token cannot have")
            }
            return .bearer(token)
        }
        if let token = try text("identitytoken") { return .identityToken(token) }
        var user = try text("username")
        var password = try text("password")
        // `auth` counts where both are given, as in Docker.
        if let encoded = try text("auth") {
            guard let data = Data(base64Encoded: encoded), let decoded = String(validating: data, as: UTF8.self),
                let colon = decoded.firstIndex(of: ":")
            else { throw Fault(description: "auth of auths[\"\(key.quoted)\"] is not the Base64 of user:password") }
            user = String(decoded[..<colon])
            password = String(decoded[decoded.index(after: colon)...].prefix { $0 != "\0" })
        }
        guard let user, !user.isEmpty else { return nil }
        return of(user: user, password: password ?? "")
    }

    /// The user `<token>` says that its password is an identity token.
    static func of(user: String, password: String) -> RegistryCredential {
        user == "<token>" ? .identityToken(password) : .basic(user: user, password: password)
    }

    /// The helper to ask for a registry; one that names the registry goes before the store for all.
    func helper(for endpoint: String) -> String? {
        helpers.first { $0.key.matches(endpoint: endpoint, repository: "") == .exactly(components: 0) }?.helper ?? store
    }

    /// What `auths` says for a repository: the longest path that fits, and of those a host in full before a pattern.
    package func credential(for endpoint: String, repository: String) -> RegistryCredential? {
        var best: (fit: RegistryKey.Fit, credential: RegistryCredential)?
        for entry in entries {
            guard let fit = entry.key.matches(endpoint: endpoint, repository: repository) else { continue }
            if best.map({ $0.fit < fit }) ?? true { best = (fit, entry.credential) }
        }
        return best?.credential
    }
}

/// A key of `auths` or `credHelpers`: a host, perhaps with a scheme before it and a path behind it. Kubernetes
/// allows `*` in a host, for any part of a label.
struct RegistryKey: Hashable, Sendable {
    /// How well a key fits.
    enum Fit: Hashable, Sendable, Comparable {
        case byPattern(components: Int)
        case exactly(components: Int)

        private var rank: (Int, Int) {
            switch self {
            case .byPattern(let components): (components, 0)
            case .exactly(let components): (components, 1)
            }
        }

        static func < (left: Fit, right: Fit) -> Bool { left.rank < right.rank }
    }

    /// The host with its port, in lower case; `docker.io` for all its names.
    let host: String
    /// The components of the path, those that name an API's version left out.
    let path: [String]

    init(_ text: String) {
        var rest = text[...]
        for scheme in ["https://", "http://"] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
        }
        let parts = rest.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        host = RegistryKey.canonical(parts.first ?? "")
        var path = Array(parts.dropFirst())
        // `https://index.docker.io/v1/` is Docker Hub's name of old.
        if let first = path.first, first == "v1" || first == "v2" { path.removeFirst() }
        self.path = path
    }

    /// Docker Hub has many names and one set of users.
    static func canonical(_ host: String) -> String {
        let host = host.lowercased()
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }

    /// How well this key fits a repository; `nil` when it does not.
    func matches(endpoint: String, repository: String) -> Fit? {
        let wanted = RegistryKey.canonical(endpoint)
        guard !host.isEmpty, repository.split(separator: "/").map(String.init).starts(with: path) else { return nil }
        if host == wanted { return .exactly(components: path.count) }
        guard host.contains("*") else { return nil }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let wantedLabels = wanted.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count == wantedLabels.count,
            zip(labels, wantedLabels).allSatisfy({ RegistryKey.matches(Array($0.utf8)[...], Array($1.utf8)[...]) })
        else { return nil }
        return .byPattern(components: path.count)
    }

    /// Whether a label fits a pattern with `*`; each `*` takes as little as it can, which is enough without anything
    /// else that could be ambiguous.
    private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        let star = UInt8(ascii: "*")
        let pieces = pattern.split(separator: star, omittingEmptySubsequences: false)
        guard pieces.count > 1, let first = pieces.first, let last = pieces.last else { return pattern == text }
        guard text.count >= first.count + last.count, text.starts(with: first), text.suffix(last.count) == last else {
            return false
        }
        var rest = text.dropFirst(first.count).dropLast(last.count)
        for piece in pieces.dropFirst().dropLast() where !piece.isEmpty {
            while rest.count >= piece.count, !rest.starts(with: piece) { rest = rest.dropFirst() }
            guard rest.count >= piece.count else { return false }
            rest = rest.dropFirst(piece.count)
        }
        return true
    }
}
