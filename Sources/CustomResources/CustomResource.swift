import ConfigurationModel
import Kubernetes
import Quotation
import StrictJSON

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

    /// A store, in the words of `config.json`.
    func store(warnings: inout [String]) throws(ConfigurationError) -> ServiceConfiguration.StorePlugin {
        var reader = ConfigurationReader(spec, path: "spec")
        let parameters = try parameters(&reader, &warnings)
        let type = try StoreType(parsing: try reader.requiredString("name"), path: "spec.name")
        return plugin(type, parameters)
    }

    /// A verifier, in the words of `config.json`.
    func verifier(warnings: inout [String]) throws(ConfigurationError) -> ServiceConfiguration.VerifierPlugin {
        var reader = ConfigurationReader(spec, path: "spec")
        var parameters = try parameters(&reader, &warnings)
        let name = try reader.requiredString("name")
        let given = try reader.string("type").flatMap { $0.isEmpty ? nil : $0 }
        let type = try VerifierType(parsing: given ?? name, path: given == nil ? "spec.name" : "spec.type")
        parameters["artifactTypes"] = .string(try reader.requiredString("artifactTypes"))
        return plugin(type, parameters)
    }

    /// A policy, in the words of `config.json`.
    func policy(warnings: inout [String]) throws(ConfigurationError) -> ServiceConfiguration.PolicyPlugin {
        var reader = ConfigurationReader(spec, path: "spec")
        let parameters = try parameters(&reader, &warnings)
        guard id.name == CustomResource.activePolicy else {
            throw ConfigurationError(
                path: "metadata.name",
                problem:
                    "is \"\(id.name.quoted)\": only the policy named \"\(CustomResource.activePolicy)\" is in force"
            )
        }
        return plugin(try PolicyType(parsing: try reader.requiredString("type"), path: "spec.type"), parameters)
    }

    /// A key management provider, in the words of `config.json`.
    func provider(warnings: inout [String]) throws(ConfigurationError) -> ServiceConfiguration.ProviderPlugin {
        var reader = ConfigurationReader(spec, path: "spec")
        var parameters = try parameters(&reader, &warnings)
        if id.kind == .certificateStore {
            let type = try CertificateSourceType(
                parsing: try reader.requiredString("provider"), path: "spec.provider")
            return plugin(type, try CertificateStoreParameters.translated(parameters, type: type))
        }
        let type = try CertificateSourceType(parsing: try reader.requiredString("type"), path: "spec.type")
        if let interval = try reader.string("refreshInterval"), !interval.isEmpty {
            parameters["refreshInterval"] = .string(interval)
        }
        return plugin(type, parameters)
    }

    private func parameters(
        _ reader: inout ConfigurationReader, _ warnings: inout [String]
    ) throws(ConfigurationError) -> JSONObject {
        let parameters = try reader.section("parameters")?.object ?? [:]
        if reader.value("source") != nil {
            warnings.append("spec.source has no effect: plugins are not downloaded")
        }
        return parameters
    }

    private func plugin<Kind>(_ type: Kind, _ parameters: JSONObject) -> ServiceConfiguration.Plugin<Kind> {
        ServiceConfiguration.Plugin(
            name: id.kind.role == .verifier ? id.name : id.providerName, type: type, parameters: parameters,
            path: "spec.parameters", namespace: id.namespace)
    }

    /// The artifact types that a verifier is for, as far as they can be read; all of them otherwise.
    var artifactTypes: [String] {
        let types = (spec["artifactTypes"]?.string ?? "").split(separator: ",").map { text in
            String(text.filter { $0 != " " })
        }
        return types.isEmpty ? ["*"] : types
    }
}
