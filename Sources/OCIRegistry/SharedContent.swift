import OCI

/// Manifests and blobs that other replicas have fetched, behind a ``RegistryClient``'s own memory.
///
/// It can only save work. What it gives is believed only where its digest is right, and used only for repositories that
/// the registry has just opened to this very client; whatever goes wrong is the same as having nothing, and nobody
/// waits long.
package protocol SharedContent: Sendable {
    /// Content that somebody has shared, if it is what its digest says.
    func content(for key: ContentKey) async -> [UInt8]?

    /// Shares content. Nobody waits for the end of it.
    func keep(_ content: [UInt8], for key: ContentKey)
}

/// A manifest or a blob of a repository.
package struct ContentKey: Hashable, Sendable {
    /// Registries keep them apart.
    package enum Kind: String, Hashable, Sendable { case manifest, blob }

    /// What it is.
    package let kind: Kind
    /// Registry and repository.
    package let scope: String
    /// The digest that the content has.
    package let digest: Digest

    /// A key.
    package init(kind: Kind, scope: String, digest: Digest) {
        self.kind = kind
        self.scope = scope
        self.digest = digest
    }
}

extension RegistryClient {
    /// How long a repository counts as open to this client after its registry has answered.
    static let openTime = Duration.seconds(60)

    /// Notes that a registry has let this client read a repository. Content of others is used only then: knowing a
    /// digest must not open a repository.
    func noteOpen(_ reference: ImageReference) {
        openRepositories.insert(
            true, for: reference.scopeName, cost: reference.scopeName.utf8.count + 160, expires: .now + Self.openTime)
    }

    /// What another replica has fetched, when it is exactly what the descriptor says.
    func sharedContent(_ descriptor: Descriptor, _ key: ContentKey) async -> [UInt8]? {
        guard let shared = options.sharedContent, openRepositories.value(for: key.scope) != nil,
            let content = await shared.content(for: key), content.count == descriptor.size,
            descriptor.digest.matches(content)
        else { return nil }
        return content
    }
}
