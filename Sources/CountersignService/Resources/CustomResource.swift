import Kubernetes
import Quotation
import StrictJSON
import Verification

/// One custom resource as the API server has it.
package struct CustomResource: Sendable, Equatable {
    /// Kind, namespace and name.
    package let id: ResourceID
    /// Tells an object from a later one of the same name.
    package let uid: String
    /// What is wanted.
    package let spec: JSONObject
    /// What was last said of it, by whichever replica.
    package let status: JSONObject

    /// Reads an object; `nil` when it has no name.
    package init?(_ kind: ResourceKind, _ object: JSONObject) {
        guard let key = object.resourceKey, (key.namespace != nil) == kind.isNamespaced else { return nil }
        id = ResourceID(kind, key.name, namespace: key.namespace)
        uid = object["metadata"]?["uid"]?.string ?? ""
        spec = object["spec"]?.object ?? [:]
        status = object["status"]?.object ?? [:]
    }

    /// The name of the one policy that is in force.
    static let activePolicy = "ratify-policy"

    /// The resource in the words of `config.json`, where both say the same.
    func plugin(warnings: inout [String]) throws(ConfigurationError) -> ServiceConfiguration.Plugin {
        var reader = ConfigurationReader(spec, path: "spec")
        let given = try reader.section("parameters")?.object ?? [:]
        if reader.value("source") != nil {
            warnings.append("spec.source has no effect: plugins are not downloaded")
        }
        var plugin = ServiceConfiguration.Plugin(
            name: id.kind.role == .verifier ? id.name : id.providerName, type: "", parameters: given,
            path: "spec.parameters", typePath: "spec.type",
            namespace: id.namespace)
        switch id.kind.role {
        case .store:
            plugin.type = try reader.requiredString("name")
            plugin.typePath = "spec.name"
        case .verifier:
            let name = try reader.requiredString("name")
            plugin.type = name
            plugin.typePath = "spec.name"
            if let type = try reader.string("type"), !type.isEmpty {
                plugin.type = type
                plugin.typePath = "spec.type"
            }
            plugin.parameters["artifactTypes"] = .string(try reader.requiredString("artifactTypes"))
        case .policy:
            guard id.name == CustomResource.activePolicy else {
                throw ConfigurationError(
                    path: "metadata.name",
                    problem:
                        "is \"\(id.name.quoted)\": only the policy named \"\(CustomResource.activePolicy)\" is in force"
                )
            }
            plugin.type = try reader.requiredString("type")
        case .provider where id.kind == .certificateStore:
            plugin.type = try reader.requiredString("provider")
            plugin.typePath = "spec.provider"
            plugin.parameters = try CertificateStoreParameters.translated(given, type: plugin.type)
        case .provider:
            plugin.type = try reader.requiredString("type")
            if let interval = try reader.string("refreshInterval"), !interval.isEmpty {
                plugin.parameters["refreshInterval"] = .string(interval)
            }
        }
        return plugin
    }

    /// The artifact types that a verifier is for, as far as they can be read; all of them otherwise.
    var artifactTypes: [String] {
        let types = (spec["artifactTypes"]?.string ?? "").split(separator: ",").map { text in
            String(text.filter { $0 != " " })
        }
        return types.isEmpty ? ["*"] : types
    }
}
