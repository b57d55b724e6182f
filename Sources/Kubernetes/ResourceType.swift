import Encoding

/// A kind of resource that the API server keeps, and where.
package struct ResourceType: Hashable, Sendable, CustomStringConvertible {
    /// The API group; empty for the core group.
    package let group: String
    /// The version, as `v1beta1`.
    package let version: String
    /// The plural in paths, as `verifiers`.
    package let plural: String
    /// The kind in objects, as `Verifier`.
    package let kind: String
    /// Whether its objects are in namespaces.
    package let isNamespaced: Bool

    /// A kind of resource.
    package init(group: String, version: String, plural: String, kind: String, isNamespaced: Bool) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    /// What objects have as `apiVersion`.
    package var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// `verifiers.config.ratify.deislabs.io`: how errors and RBAC name it.
    package var description: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// The path of one object, or of all in a namespace or in the cluster.
    package func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if let namespace { path += "/namespaces/\(PercentEncoding.encode(namespace))" }
        path += "/\(plural)"
        if let name { path += "/\(PercentEncoding.encode(name))" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

extension ResourceType {
    package static let secret = ResourceType(
        group: "", version: "v1", plural: "secrets", kind: "Secret", isNamespaced: true)
    package static let serviceAccount = ResourceType(
        group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount", isNamespaced: true)
    package static let pod = ResourceType(group: "", version: "v1", plural: "pods", kind: "Pod", isNamespaced: true)
    package static let namespace = ResourceType(
        group: "", version: "v1", plural: "namespaces", kind: "Namespace", isNamespaced: false)
    package static let configMap = ResourceType(
        group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true)
    package static let tokenReview = ResourceType(
        group: "authentication.k8s.io", version: "v1", plural: "tokenreviews", kind: "TokenReview", isNamespaced: false)
    package static let validatingWebhookConfiguration = ResourceType(
        group: "admissionregistration.k8s.io", version: "v1", plural: "validatingwebhookconfigurations",
        kind: "ValidatingWebhookConfiguration", isNamespaced: false)
    /// Gatekeeper's external-data providers.
    package static let provider = ResourceType(
        group: "externaldata.gatekeeper.sh", version: "v1beta1", plural: "providers", kind: "Provider",
        isNamespaced: false)
}

/// Texts as parts of URLs.
enum URLText {
    /// A query: `?a=b&c=d`, or nothing.
    static func query(_ items: [(String, String)]) -> String {
        items.isEmpty ? "" : "?" + PercentEncoding.form(items)
    }

    /// Whether a text can be a name in a path: Kubernetes refuses the same (path segment names).
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".." && text.utf8.count <= 253
            && !text.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "%") || $0 < 0x21 || $0 == 0x7F }
    }
}
