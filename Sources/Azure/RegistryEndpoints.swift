import OCI
import Quotation

/// The registries that an identity may be shown to.
package struct RegistryEndpoints: Hashable, Sendable {
    /// Canonical names of registries over https, and such names with `*.` in front.
    package let patterns: [String]

    /// The registries of Azure's clouds.
    package static let azure = RegistryEndpoints(validated: AzureCloud.all.map { "*.\($0.registrySuffix)" })

    private init(validated: [String]) { patterns = validated.compactMap(RegistryEndpoints.canonical) }

    /// A pattern with its registry's canonical name; `nil` when it has none.
    private static func canonical(_ pattern: String) -> String? {
        let star = pattern.hasPrefix("*.") ? "*." : ""
        return RegistryName(parsing: pattern.dropFirst(star.utf8.count)).map { "\(star)\($0.canonical())" }
    }

    /// Reads a list as Ratify does: host names with their port if there is one, or `*.` and a domain, where the star
    /// stands for exactly one label. An empty list is ``azure``.
    package init(_ patterns: [String]) throws(AzureError) {
        for pattern in patterns {
            func fault(_ problem: String) -> AzureError {
                AzureError(
                    .configuration,
                    detail: "the endpoint \"\(pattern.quoted)\" \(problem)")
            }
            guard !pattern.isEmpty else { throw fault("is empty: write a registry's host name, or *. and a domain") }
            switch pattern.utf8.count(where: { $0 == UInt8(ascii: "*") }) {
            case 0: break
            case 1:
                guard pattern.hasPrefix("*.") else {
                    throw fault("has a star that is not followed by a dot at its start")
                }
                guard pattern.utf8.count > 2 else { throw fault("has no domain after the star") }
            default: throw fault("has more than one star")
            }
            guard RegistryEndpoints.canonical(pattern) != nil else {
                throw fault(
                    "is not the name of a registry: write a host name, with its port if there is one, and no more")
            }
        }
        self = patterns.isEmpty ? .azure : RegistryEndpoints(validated: patterns)
    }

    /// Whether a registry is one of these.
    package func contain(_ host: String) -> Bool {
        guard let name = RegistryName(parsing: host)?.canonical().description else { return false }
        let host = Array(name.utf8)
        return patterns.contains { pattern in
            let pattern = Array(pattern.utf8)
            if pattern == host { return true }
            guard pattern.first == UInt8(ascii: "*"), let dot = host.firstIndex(of: UInt8(ascii: ".")), dot > 0 else {
                return false
            }
            return host[(dot + 1)...].elementsEqual(pattern.dropFirst(2))
        }
    }
}
