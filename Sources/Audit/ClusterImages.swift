import Kubernetes
import OCI
import StrictJSON

/// Finds the images that run in a cluster.
package struct ClusterImages: Sendable {
    private let client: KubernetesClient
    private let namespaces: [String]
    private let excluded: Set<String>
    private let ownerLabel: String?

    /// - Parameters:
    ///   - namespaces: where to look; empty for everywhere.
    ///   - excluded: namespaces to leave out.
    ///   - ownerLabel: the label of pods, or else of their namespace, that says who answers for them.
    package init(
        client: KubernetesClient, namespaces: [String] = [], excluded: Set<String> = [], ownerLabel: String? = nil
    ) {
        self.client = client
        self.namespaces = namespaces
        self.excluded = excluded
        self.ownerLabel = ownerLabel
    }

    /// Adds the images of all pods that have not ended.
    ///
    /// - Throws: `KubernetesError` when the cluster cannot be asked, or a namespace that was named does not exist.
    package func collect(into inventory: inout ImageInventory) async throws(KubernetesError) {
        let owners = try await namespaceOwners()
        for namespace in namespaces where owners == nil {
            _ = try await client.get(.namespace, name: namespace)
        }
        for selection in namespaces.isEmpty ? [nil] : namespaces.map(Optional.some) {
            // One page at a time becomes a few images: the pods themselves need not stay.
            try await client.eachPage(.pod, ResourceSelection(namespace: selection)) { page in
                for pod in page { add(pod, owners ?? [:], to: &inventory) }
            }
        }
    }

    /// Who answers for each namespace; `nil` when nobody asked.
    private func namespaceOwners() async throws(KubernetesError) -> [String: String]? {
        guard let ownerLabel else { return nil }
        var owners: [String: String] = [:]
        if namespaces.isEmpty {
            for namespace in try await client.list(.namespace).items {
                guard let key = namespace.resourceKey else { continue }
                owners[key.name] = namespace["metadata"]?["labels"]?[ownerLabel]?.string
            }
        } else {
            for name in namespaces {
                let namespace = try await client.get(.namespace, name: name)
                owners[name] = namespace["metadata"]?["labels"]?[ownerLabel]?.string
            }
        }
        return owners
    }

    private func add(_ pod: JSONObject, _ owners: [String: String], to inventory: inout ImageInventory) {
        guard let key = pod.resourceKey, let spec = pod["spec"] else { return }
        let namespace = key.namespace ?? "default"
        guard !excluded.contains(namespace) else { return }
        // What has ended runs no code any more.
        guard !["Succeeded", "Failed"].contains(pod["status"]?["phase"]?.string ?? "") else { return }
        let (kind, name) = Self.workload(pod, named: key.name)
        let owner = ownerLabel.flatMap { pod["metadata"]?["labels"]?[$0]?.string } ?? owners[namespace]
        let running = PodImages.running(in: pod["status"])
        let (images, faults) = PodImages.images(in: spec)
        for found in images {
            inventory.add(
                found.image,
                ImageUse(
                    namespace: namespace, kind: kind, name: name, container: found.container, owner: owner,
                    running: running[found.container], file: nil))
        }
        for fault in faults { inventory.addGap("pod \(namespace)/\(key.name): \(fault)") }
    }

    /// What made the pod. A ReplicaSet of a Deployment has the Deployment's name and the hash of its pod template.
    private static func workload(_ pod: JSONObject, named podName: String) -> (kind: String, name: String) {
        let references = pod["metadata"]?["ownerReferences"]?.array ?? []
        guard let owner = references.first(where: { $0["controller"]?.bool == true }) ?? references.first,
            let kind = owner["kind"]?.string, let name = owner["name"]?.string
        else { return ("Pod", podName) }
        if kind == "ReplicaSet", let hash = pod["metadata"]?["labels"]?["pod-template-hash"]?.string, !hash.isEmpty,
            name.hasSuffix("-\(hash)")
        {
            return ("Deployment", String(name.dropLast(hash.count + 1)))
        }
        return (kind, name)
    }
}
