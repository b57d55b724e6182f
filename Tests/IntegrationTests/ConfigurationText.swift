import Foundation
import OCI
import StrictJSON

/// A `config.json` in the making.
struct ConfigurationText: Sendable {
    var stores: [JSONValue] = [["name": "oras"]]
    /// Key management providers.
    var providers: [JSONValue] = []
    /// `verificationCertStores`.
    var trustStores: JSONValue = ["ca": ["release": ["release-ca"]]]
    var trustPolicies: [JSONValue] = [Self.statement()]
    /// Verifiers in the place of the one that these make.
    var verifiers: [JSONValue] = []
    var policies: JSONValue = .object([MediaType.notationSignature: "any"])
    /// `policy.plugin.signedBy`.
    var signedBy: String?
    /// Milliseconds; long, because these machines may be busy.
    var verificationTimeout = 15_000
    var mutationTimeout = 15_000
    /// Further members of `executor`.
    var executor: JSONObject = [:]
    /// `cache.staleIfError`.
    var staleIfError: String?
    /// `cache.prewarm`.
    var prewarm: JSONValue = .null
    var traceIDHeaders: [String] = []
    /// How revocation is checked.
    var revocation: JSONValue = [:]

    /// Trusts the shared signers' authority, for every repository.
    static func trusting(_ certificates: String) -> ConfigurationText {
        var text = ConfigurationText()
        text.providers = [
            ["name": "release-ca", "type": "inline", "contentType": "certificate", "value": .string(certificates)]
        ]
        return text
    }

    /// Trusts the shared signers' authority, for every repository.
    static func trustingRelease() throws -> ConfigurationText {
        trusting(try Signers.shared.get().authority.certificate.pem)
    }

    /// A statement of the trust policy.
    static func statement(
        _ name: String = "default", scopes: [String] = ["*"], level: String = "strict",
        stores: [String] = ["ca:release"], identities: [String] = ["*"]
    ) -> JSONValue {
        [
            "name": .string(name), "registryScopes": .array(scopes.map(JSONValue.string)),
            "signatureVerification": ["level": .string(level)],
            "trustStores": .array(stores.map(JSONValue.string)),
            "trustedIdentities": .array(identities.map(JSONValue.string)),
        ]
    }

    /// A trust policy document of such statements.
    static func trustPolicy(_ statements: [JSONValue]) -> JSONValue {
        ["version": "1.0", "trustPolicies": .array(statements)]
    }

    /// A Notation verifier.
    func verifier(_ name: String, _ trustPolicies: [JSONValue]) -> JSONValue {
        [
            "name": .string(name), "type": "notation", "artifactTypes": .string(MediaType.notationSignature),
            "verificationCertStores": trustStores, "trustPolicyDoc": Self.trustPolicy(trustPolicies),
            "revocation": revocation,
        ]
    }

    /// The store of an image layout.
    static func layout(_ directory: String) -> JSONValue { ["name": "oci-layout", "path": .string(directory)] }

    /// The store of registries with credentials in a docker configuration.
    static func registries(dockerConfig: String, allowPrivateAddresses: JSONValue = false) -> JSONValue {
        [
            "name": "oras", "authProvider": ["name": "dockerConfig", "configPath": .string(dockerConfig)],
            "allowPrivateAddresses": allowPrivateAddresses,
        ]
    }

    var json: JSONValue {
        var executor = executor
        executor["verificationRequestTimeout"] = .number(String(verificationTimeout))
        executor["mutationRequestTimeout"] = .number(String(mutationTimeout))
        return [
            "executor": .object(executor),
            "cache": ["staleIfError": staleIfError.map(JSONValue.string) ?? .null, "prewarm": prewarm],
            "store": ["version": "1.0.0", "plugins": .array(stores)],
            "keyManagementProvider": ["plugins": .array(providers)],
            "verifier": [
                "version": "1.0.0",
                "plugins": .array(verifiers.isEmpty ? [verifier("notation", trustPolicies)] : verifiers),
            ],
            "policy": [
                "version": "1.0.0",
                "plugin": [
                    "name": "configPolicy", "artifactVerificationPolicies": policies,
                    "signedBy": signedBy.map(JSONValue.string) ?? .null,
                ],
            ],
            "logger": ["requestHeaders": ["traceIDHeaderName": .array(traceIDHeaders.map(JSONValue.string))]],
        ]
    }
}

/// A docker `config.json` with one account.
func dockerConfig(_ host: String, user: String, password: String) -> String {
    let account = Data("\(user):\(password)".utf8).base64EncodedString()
    return #"{"auths":{"\#(host)":{"auth":"\#(account)"}}}"#
}
