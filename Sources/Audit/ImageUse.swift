import OCI
import Verification

/// One place that runs, or would run, an image.
package struct ImageUse: Hashable, Sendable {
    /// The namespace; the one of the command where a manifest names none.
    package let namespace: String
    /// What a person deployed: `Deployment`, `CronJob`, or `Pod` where nothing else made it.
    package let kind: String
    /// Its name.
    package let name: String
    /// The container, or the image volume.
    package let container: String
    /// Who answers for it, by the label that the command was told; `nil` where there is none.
    package let owner: String?
    /// The digest that runs now, where the cluster told it.
    package let running: Digest?
    /// The file, for manifests.
    package let file: String?

    /// `Deployment shop/web (container app)`.
    package var description: String {
        "\(kind) \(namespace)/\(name) (\(container))" + (file.map { " in \($0)" } ?? "")
    }
}

/// An image as a cluster or manifests name it, and everything that uses it by this name.
package struct NamedImage: Hashable, Sendable {
    /// The reference, character by character as it is in the resource: what Gatekeeper would ask about.
    package let reference: String
    /// The namespace whose configuration judges it; `nil` for that of the cluster.
    package let scope: String?
    /// Where it is used.
    package var uses: [ImageUse]

    /// What Gatekeeper would ask about.
    ///
    /// - Throws: ``ImageKeyError`` where the policy or the provider would refuse the reference as it is.
    package func key() throws(ImageKeyError) -> ImageKey {
        try ImageKey(image: reference, namespace: scope)
    }
}

/// The images that were found, each name once.
package struct ImageInventory: Sendable {
    private struct Key: Hashable {
        let reference: String
        let scope: String?
    }

    private var positions: [Key: Int] = [:]
    /// In the order in which they were found.
    package private(set) var images: [NamedImage] = []
    /// What could not be looked at, each with the reason: an inventory with such gaps is not complete.
    package private(set) var gaps: [String] = []
    /// Whether each namespace's own configuration judges its images.
    package let isByNamespace: Bool

    /// Nothing yet.
    ///
    /// - Parameter isByNamespace: whether keys are asked as `[namespace]reference`, as the multi-tenant template does.
    package init(isByNamespace: Bool = false) { self.isByNamespace = isByNamespace }

    /// Adds a use of an image.
    package mutating func add(_ reference: String, _ use: ImageUse) {
        let scope = isByNamespace ? use.namespace : nil
        let key = Key(reference: reference, scope: scope)
        guard let position = positions[key] else {
            positions[key] = images.count
            images.append(NamedImage(reference: reference, scope: scope, uses: [use]))
            return
        }
        // Ten replicas of a Deployment are one use.
        guard !images[position].uses.contains(use) else { return }
        images[position].uses.append(use)
    }

    /// Adds what could not be looked at.
    package mutating func addGap(_ reason: String) { gaps.append(reason) }
}
