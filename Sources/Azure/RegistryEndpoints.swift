import Quotation

/// The registries that an identity may be shown to.
package struct RegistryEndpoints: Hashable, Sendable {
    /// Names, and names that begin with `*.`.
    package let patterns: [String]

    /// The registries of Azure's clouds.
    package static let azure = RegistryEndpoints(validated: AzureCloud.all.map { "*.\($0.registrySuffix)" })

    private init(validated: [String]) { patterns = validated }

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
        }
        self.patterns = patterns.isEmpty ? RegistryEndpoints.azure.patterns : patterns
    }

    /// Whether a registry is one of these. Host names have no case (RFC 4343).
    package func contain(_ host: String) -> Bool {
        let host = Array(host.lowercased().utf8)
        return patterns.contains { pattern in
            let pattern = Array(pattern.lowercased().utf8)
            if pattern == host { return true }
            guard pattern.first == UInt8(ascii: "*"), let dot = host.firstIndex(of: UInt8(ascii: ".")), dot > 0 else {
                return false
            }
            return host[(dot + 1)...].elementsEqual(pattern.dropFirst(2))
        }
    }
}
