import HTTP
import OCI
import Quotation

/// Which other hosts a registry may send its callers' credentials to, as the place where its tokens come from (the
/// `realm` of Docker's token authentication specification).
///
/// Docker, containerd and ORAS send a password or an identity token to whatever host the registry's answer names. Here
/// it goes to the registry's own host, to the hosts that are known to issue tokens for a public registry, and to those
/// that the configuration names for this registry. Who asks without a credential has nothing to lose, and asks
/// anywhere.
public struct TokenRealms: Hashable, Sendable {
    /// Host, with its port unless it is the scheme's own, by registry.
    private var named: [RegistryName: Set<String>] = [:]

    /// What is known of public registries, and nothing else.
    public init() {}

    /// Why an entry cannot be used.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        /// What is wrong with which text, and what is expected.
        public let description: String
    }

    /// Lets credentials for a registry go to a host.
    ///
    /// - Parameters:
    ///   - host: a host as in the realm, with the port if that names one.
    ///   - registry: the registry as in references.
    public mutating func allow(_ host: String, for registry: String) throws(Fault) {
        // A single word is no registry in a reference.
        guard let name = RegistryName(parsing: registry),
            name.host == "localhost" || name.port != nil || name.host.utf8.contains(UInt8(ascii: "."))
                || name.host.utf8.first == UInt8(ascii: "[")
        else {
            throw Fault(
                description:
                    "\"\(registry.quoted)\" is no registry: expected a host as in references, with its port if there is one"
            )
        }
        guard Self.isHost(host), let url = try? HTTPURL(parsing: "https://\(host)") else {
            throw Fault(
                description:
                    "\"\(host.quoted)\" is no host: expected one as gitlab.example.com, with a port if the realm has one"
            )
        }
        named[name, default: []].insert(url.authority)
    }

    /// Neither a URL nor a path.
    private static func isHost(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 260
            && text.utf8.allSatisfy { !"/?#@*\\".utf8.contains($0) && $0 > 0x20 && $0 < 0x7F }
    }

    /// Whether credentials for the registry of a reference may go to a realm.
    ///
    /// - Parameter origin: where the registry is.
    func allow(_ realm: HTTPURL, for reference: ImageReference, at origin: HTTPURL) -> Bool {
        if realm.host.utf8.elementsEqual(origin.host.utf8) { return true }
        // The realm's scheme has another default port than https: it is named then.
        let name =
            realm.scheme == .https || realm.authority.hasSuffix(":\(realm.port)")
            ? realm.authority : "\(realm.authority):\(realm.port)"
        for (registry, hosts) in named where hosts.contains(name) {
            if registry.canonical(over: reference.transport).description == reference.registry { return true }
        }
        return realm.scheme == .https && realm.port == 443
            && Self.known(reference.registry)?.contains(realm.host) == true
    }

    /// The hosts that issue tokens for a public registry.
    private static func known(_ registry: String) -> [String]? {
        switch registry {
        case "docker.io": return ["auth.docker.io"]
        case "registry.gitlab.com": return ["gitlab.com"]
        case "registry.digitalocean.com": return ["api.digitalocean.com"]
        case "registry.aliyuncs.com": return ["dockerauth.cn-hangzhou.aliyuncs.com"]
        default: break
        }
        let labels = registry.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count == 4 else { return nil }
        // rg.fr-par.scw.cloud
        if labels[0] == "rg", labels[2...] == ["scw", "cloud"] { return ["api.scaleway.com"] }
        // registry.cn-shanghai.aliyuncs.com: its own region's, or that of the first one.
        if labels[0] == "registry", labels[2...] == ["aliyuncs", "com"] {
            return ["dockerauth.\(labels[1]).aliyuncs.com", "dockerauth.cn-hangzhou.aliyuncs.com"]
        }
        return nil
    }
}
