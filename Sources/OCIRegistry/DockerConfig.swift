import Encoding
import HTTP
import OCI
import Quotation
import StrictJSON

/// The content of a docker `config.json`, or of a `kubernetes.io/dockerconfigjson` secret.
///
/// It never shows a secret: its errors name members and hosts.
package struct DockerConfig: Hashable, Sendable {
    /// What `auths` says for one key: a credential, or why there is none.
    struct Entry: Hashable, Sendable {
        let key: RegistryKey
        let content: Result<RegistryCredential, Fault>
    }

    /// What `credHelpers` says for one key.
    struct Helper: Hashable, Sendable {
        let key: RegistryKey
        let content: Result<String, Fault>
    }

    /// Why a text, or a part of it, is not a docker configuration.
    package struct Fault: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// The keys of `auths`, of those without a credential too.
    private(set) var names: [RegistryKey] = []
    /// The entries of `auths` that hold a credential, or should.
    private(set) var entries: [Entry] = []
    /// Helpers by the host that they are for.
    private(set) var helpers: [Helper] = []
    /// The helper for every other host.
    private(set) var store: Result<String, Fault>?

    /// An empty configuration.
    package init() {}

    /// Parses a configuration.
    ///
    /// Each entry stands for itself: one that is wrong is an error for whoever needs it, and for nobody else.
    package init(parsing content: [UInt8]) throws(Fault) {
        let document: JSONValue
        do { document = try StrictJSON.parse(content) } catch {
            throw Fault(description: "it is not valid JSON: \(error)")
        }
        guard let object = document.object else {
            throw Fault(description: "it is \(document.kind), not a JSON object")
        }
        for (key, value) in try Self.members(object, "auths") {
            names.append(RegistryKey(key))
            let content: Result<RegistryCredential, Fault>
            do throws(Fault) {
                // Docker leaves an empty entry behind for what a helper keeps.
                guard let credential = try Self.credential(value, Self.member("auths", key)) else { continue }
                content = .success(credential)
            } catch { content = .failure(error) }
            entries.append(Entry(key: RegistryKey(key), content: content))
        }
        for (key, value) in try Self.members(object, "credHelpers") {
            helpers.append(
                Helper(key: RegistryKey(key), content: Self.helperName(value, Self.member("credHelpers", key))))
        }
        switch object["credsStore"] {
        case nil, .null, .string(""): store = nil
        case .some(let value): store = Self.helperName(value, "credsStore")
        }
    }

    /// What is wrong, for whoever wrote the file; the rest is in force.
    package var problems: [String] {
        func problem<Value>(_ content: Result<Value, Fault>?) -> String? {
            if case .failure(let fault) = content { fault.description } else { nil }
        }
        return entries.compactMap { problem($0.content) } + helpers.compactMap { problem($0.content) }
            + [problem(store)].compactMap(\.self)
    }

    /// `auths["registry.example"]`, whatever the key is.
    private static func member(_ name: String, _ key: String) -> String {
        "\(name)[\"\(key.quoted)\"]"
    }

    private static func members(_ object: JSONObject, _ name: String) throws(Fault) -> [(String, JSONValue)] {
        switch object[name] {
        case nil, .null: return []
        case .object(let members): return members.members.map { ($0.name, $0.value) }
        case .some(let other): throw Fault(description: "\(name) is \(other.kind), not an object")
        }
    }

    /// A helper's name becomes part of a program's: it must not lead elsewhere.
    private static func helperName(_ value: JSONValue, _ member: String) -> Result<String, Fault> {
        guard let name = value.string, !name.isEmpty, name.utf8.count <= 100, name.first != ".",
            name.unicodeScalars.allSatisfy({ scalar in
                ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
                    || "-_.".unicodeScalars.contains(scalar)
            })
        else { return .failure(Fault(description: "\(member) is not the name of a credential helper")) }
        return .success(name)
    }

    private static func credential(_ value: JSONValue, _ member: String) throws(Fault) -> RegistryCredential? {
        guard let members = value.object else {
            throw Fault(description: "\(member) is \(value.kind), not an object")
        }
        func text(_ name: String) throws(Fault) -> String? {
            switch members[name] {
            case nil, .null, .string(""): return nil
            case .string(let text): return text
            case .some(let other): throw Fault(description: "\(name) of \(member) is \(other.kind), not a string")
            }
        }
        if let token = try text("registrytoken") {
            guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Fault(description: "registrytoken of \(member) has characters that a token cannot have")
            }
            return .bearer(token)
        }
        if let token = try text("identitytoken") { return .identityToken(token) }
        var user = try text("username")
        var password = try text("password")
        // `auth` counts where both are given, as in Docker.
        if let encoded = try text("auth") {
            // Go's decoder, which Docker and its like read it with, takes no notice of line breaks.
            let line = String(decoding: encoded.utf8.filter { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
            guard let data = Base64.decode(line, allowsLeftoverBits: true),
                let decoded = String(validating: data, as: UTF8.self),
                let colon = decoded.firstIndex(of: ":")
            else { throw Fault(description: "auth of \(member) is not the Base64 of user:password") }
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

    /// The helper to ask for a registry, and what it knows the registry as; one that names the registry goes before the
    /// store for all. `nil` where there is none, or only one that is not valid.
    func helper(for endpoint: String) -> (name: String, server: String)? {
        guard let name = try? content(ofHelperFor: endpoint)?.get() else { return nil }
        // Docker writes the name under which somebody logged in, which may have a port.
        let keys = helpers.map(\.key) + names
        return (name, keys.first { Self.isMeant($0, endpoint) }?.written ?? endpoint)
    }

    private static func isMeant(_ key: RegistryKey, _ endpoint: String) -> Bool {
        key.matches(endpoint: endpoint, repository: "") == .exactly(components: 0)
    }

    private func content(ofHelperFor endpoint: String) -> Result<String, Fault>? {
        helpers.first { Self.isMeant($0.key, endpoint) }?.content ?? store
    }

    /// What `auths` says for a repository: the longest path that fits, and of those a host in full before a pattern.
    ///
    /// - Throws: ``Fault`` when that entry is not valid, or there is none and the helper that is meant for the registry
    ///   is not: it must not be asked as by nobody because of a typing error.
    package func credential(for endpoint: String, repository: String) throws(Fault) -> RegistryCredential? {
        var best: (fit: RegistryKey.Fit, content: Result<RegistryCredential, Fault>)?
        for entry in entries {
            guard let fit = entry.key.matches(endpoint: endpoint, repository: repository) else { continue }
            if best.map({ $0.fit < fit }) ?? true { best = (fit, entry.content) }
        }
        if let best { return try best.content.get() }
        if case .failure(let fault) = content(ofHelperFor: endpoint) { throw fault }
        return nil
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

    /// The registry's canonical name; for a pattern, the host with its port in lower case.
    let host: String
    /// The host with its port as it was written: what a helper that keeps its credentials knows it as.
    let written: String
    /// The components of the path, those that name an API's version left out.
    let path: [String]

    init(_ text: String) {
        var rest = text[...]
        for scheme in ["https://", "http://"] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
        }
        let parts = rest.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        written = parts.first ?? ""
        host = RegistryKey.canonical(written)
        var path = Array(parts.dropFirst())
        // `https://index.docker.io/v1/` is Docker Hub's name of old.
        if let first = path.first, first == "v1" || first == "v2" { path.removeFirst() }
        self.path = path
    }

    /// One name for all spellings of a registry.
    static func canonical(_ host: String) -> String {
        if let name = RegistryName(parsing: host) { return name.canonical().description }
        // A pattern. The port of https is never in what it is compared with.
        let host = host.lowercased()
        return host.utf8.reversed().starts(with: ":443".utf8.reversed()) ? String(host.dropLast(4)) : host
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
