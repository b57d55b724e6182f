import Foundation
import Kubernetes
import StrictJSON

extension KubernetesEmulator {
    /// The types that are there without a CustomResourceDefinition.
    static let builtIn: [ResourceType] = {
        func type(_ group: String, _ version: String, _ plural: String, _ kind: String, _ isNamespaced: Bool = true)
            -> ResourceType
        {
            ResourceType(group: group, version: version, plural: plural, kind: kind, isNamespaced: isNamespaced)
        }
        let rbac = "rbac.authorization.k8s.io"
        return [
            .secret, .serviceAccount, .pod, .namespace, .configMap, .tokenReview,
            type("", "v1", "services", "Service"), type("", "v1", "events", "Event"),
            type("", "v1", "nodes", "Node", false), type("", "v1", "replicationcontrollers", "ReplicationController"),
            type("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
            type("", "v1", "resourcequotas", "ResourceQuota"), type("", "v1", "limitranges", "LimitRange"),
            type("apps", "v1", "deployments", "Deployment"), type("apps", "v1", "daemonsets", "DaemonSet"),
            type("apps", "v1", "statefulsets", "StatefulSet"), type("apps", "v1", "replicasets", "ReplicaSet"),
            type("batch", "v1", "jobs", "Job"), type("batch", "v1", "cronjobs", "CronJob"),
            type(rbac, "v1", "roles", "Role"), type(rbac, "v1", "rolebindings", "RoleBinding"),
            type(rbac, "v1", "clusterroles", "ClusterRole", false),
            type(rbac, "v1", "clusterrolebindings", "ClusterRoleBinding", false),
            type("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
            type("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
            type("networking.k8s.io", "v1", "ingresses", "Ingress"),
            type("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
            type("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false),
            type("coordination.k8s.io", "v1", "leases", "Lease"),
            type(
                "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
                "ValidatingWebhookConfiguration", false),
            type(
                "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
                false),
            type("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
        ]
    }()

    /// What clients ask to learn which types there are.
    func discovery(_ request: EmulatorRequest, _ state: State) -> EmulatorAnswer? {
        guard request.method == "GET" else { return nil }
        let parts = request.path.split(separator: "/").map(String.init)
        switch parts.count {
        case 1 where ["healthz", "livez", "readyz"].contains(parts[0]): return EmulatorAnswer(200, Array("ok".utf8))
        case 1 where parts[0] == "version":
            return EmulatorAnswer(
                200,
                ["major": "1", "minor": "34", "gitVersion": "v1.34.0", "platform": "linux/amd64", "goVersion": "none"])
        case 1 where parts[0] == "api":
            return EmulatorAnswer(200, ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []])
        case 1 where parts[0] == "apis":
            let groups = Set(state.types.map(\.group)).subtracting([""]).sorted()
            return EmulatorAnswer(
                200,
                [
                    "kind": "APIGroupList", "apiVersion": "v1",
                    "groups": .array(groups.map { .object(group($0, state)) }),
                ])
        case 2 where parts[0] == "api": return resources("", parts[1], state)
        case 2 where parts[0] == "apis":
            guard state.types.contains(where: { $0.group == parts[1] }) else { return nil }
            return EmulatorAnswer(200, group(parts[1], state))
        case 3 where parts[0] == "apis": return resources(parts[1], parts[2], state)
        default: return nil
        }
    }

    private func group(_ name: String, _ state: State) -> JSONObject {
        let versions = Set(state.types.filter { $0.group == name }.map(\.version)).sorted().reversed()
        let entries = versions.map { version -> JSONValue in
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        return [
            "kind": "APIGroup", "apiVersion": "v1", "name": .string(name), "versions": .array(entries),
            "preferredVersion": entries.first ?? [:],
        ]
    }

    private func resources(_ group: String, _ version: String, _ state: State) -> EmulatorAnswer? {
        let types = state.types.filter { $0.group == group && $0.version == version }
        guard let first = types.first else { return nil }
        var resources: [JSONValue] = []
        for type in types {
            let isReview = type == .tokenReview
            let verbs: [JSONValue] =
                isReview ? ["create"] : ["create", "delete", "get", "list", "patch", "update", "watch"]
            resources.append([
                "name": .string(type.plural), "singularName": .string(type.kind.lowercased()),
                "namespaced": .bool(type.isNamespaced), "kind": .string(type.kind), "verbs": .array(verbs),
            ])
            if state.withStatus.contains(type) {
                resources.append([
                    "name": .string("\(type.plural)/status"), "singularName": "",
                    "namespaced": .bool(type.isNamespaced), "kind": .string(type.kind),
                    "verbs": ["get", "patch", "update"],
                ])
            }
        }
        return EmulatorAnswer(
            200,
            [
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(first.apiVersion),
                "resources": .array(resources),
            ])
    }
}

extension KubernetesEmulator.State {
    mutating func register(_ type: ResourceType, hasStatus: Bool) {
        if !types.contains(type) { types.append(type) }
        if hasStatus { withStatus.insert(type) }
    }

    /// The types of a CustomResourceDefinition.
    mutating func register(definition: JSONObject) {
        guard let spec = definition["spec"], let group = spec["group"]?.string,
            let plural = spec["names"]?["plural"]?.string, let kind = spec["names"]?["kind"]?.string
        else { return }
        for version in spec["versions"]?.array ?? [] where version["served"]?.bool != false {
            guard let name = version["name"]?.string else { continue }
            register(
                ResourceType(
                    group: group, version: name, plural: plural, kind: kind,
                    isNamespaced: spec["scope"]?.string == "Namespaced"),
                hasStatus: version["subresources"]?["status"] != nil)
        }
        guard let key = definition.resourceKey,
            let type = types.first(where: { $0.kind == "CustomResourceDefinition" }),
            var kept = objects[type]?[key]
        else { return }
        let conditions = ["NamesAccepted", "Established"].map { name -> JSONValue in
            ["type": .string(name), "status": "True", "reason": "Emulated", "message": ""]
        }
        kept["status"] = [
            "conditions": .array(conditions), "acceptedNames": spec["names"] ?? [:], "storedVersions": [],
        ]
        objects[type]?[key] = kept
    }
}
