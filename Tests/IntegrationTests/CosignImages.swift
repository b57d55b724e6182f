import Foundation
import OCI
import Sigstore
import StrictJSON
import TestSupport

/// Images that `Tests/SigstoreInstance` signed, in a registry, and configurations that trust its signers.
struct CosignImages {
    let images: SigstoreImages
    let repository: Repository

    /// A repository of a registry.
    init(_ registry: String, _ repository: String = "shop/web") throws {
        images = try SigstoreImages.made.get()
        self.repository = try Repository("\(registry)/\(repository)")
    }

    /// Pushes images with their signatures, all of them unless said.
    func copy(_ names: String...) async throws {
        for name in names.isEmpty ? images.images.map(\.name) : names {
            try await images.copy(name, to: repository.destination, repository.reference)
        }
    }

    /// `registry/repository:tag` of an image.
    func name(_ image: String) -> String { repository.name(image) }

    /// The image by its digest.
    func pinned(_ image: String) -> String {
        "\(repository.reference.scopeName)@\(images.image(image)?.digest.description ?? "")"
    }

    /// A verifier with one of the policies of `images.json`, for all images.
    func verifier(_ policy: String, scopes: [String] = ["*"]) throws -> JSONValue {
        guard let asked = images.policies.first(where: { $0.name == policy }) else {
            throw SigstoreImages.Fault(description: "there is no policy \(policy)")
        }
        var trust: JSONObject = [
            "name": .string(policy), "scopes": .array(scopes.map(JSONValue.string)), "trustedRoot": "instance",
            "tLogVerify": .bool(asked.isLogged),
        ]
        if asked.key != nil {
            trust["keys"] = [["provider": .string("key-\(policy)")]]
        } else {
            trust["keyless"] = [
                "certificateIdentity": .string(asked.identity ?? ""),
                "certificateOIDCIssuer": .string(asked.issuer ?? ""),
            ]
        }
        if !asked.annotations.isEmpty {
            var annotations = JSONObject()
            for (name, text) in asked.annotations { annotations[name] = .string(text) }
            trust["annotations"] = .object(annotations)
        }
        return [
            "name": "cosign", "artifactTypes": .string(CosignMediaType.signatureArtifact),
            "trustPolicies": [.object(trust)],
        ]
    }

    /// The own instance's trusted root, inline, and the key of a policy.
    func providers(_ policy: String) throws -> [JSONValue] {
        func text(_ path: String) throws -> JSONValue { .string(try String(contentsOfFile: path, encoding: .utf8)) }
        var providers: [JSONValue] = [
            ["name": "instance", "type": "sigstore", "trustedRoot": try text(images.trustedRoot)]
        ]
        if let key = images.policies.first(where: { $0.name == policy })?.key {
            providers.append(
                [
                    "name": .string("key-\(policy)"), "type": "inline", "contentType": "key", "value": try text(key),
                ])
        }
        return providers
    }

    static let store: JSONValue = ["name": "oras", "cosignEnabled": true]

    /// A whole configuration with one of the policies.
    func configuration(_ policy: String) throws -> ConfigurationText {
        var configuration = ConfigurationText()
        configuration.stores = [Self.store]
        configuration.providers = try providers(policy)
        configuration.verifiers = [try verifier(policy)]
        configuration.policies = .object([CosignMediaType.signatureArtifact: "any"])
        return configuration
    }
}
