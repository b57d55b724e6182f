import ConfigurationModel
import CountersignService
import Kubernetes
import Logging
import ServiceMetrics
import StrictJSON
import TestSupport
import Verification

@testable import CustomResources

/// Resources in the making.
enum Samples {
    /// One for all: reading the system's authorities takes time.
    static let parts = ConfigurationBuilder(
        metrics: MetricsRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, environment: [:])
    static let authority = Result { try CertificateAuthority(name: "root") }

    static func resource(
        _ kind: ResourceKind, _ name: String, _ spec: JSONValue, namespace: String? = nil, uid: String = "1"
    ) throws -> CustomResource {
        var metadata: JSONObject = ["name": .string(name), "uid": .string(uid)]
        metadata["namespace"] = namespace.map(JSONValue.string)
        guard let resource = CustomResource(kind, ["metadata": .object(metadata), "spec": spec]) else {
            throw ConfigurationError(path: name, problem: "is no resource")
        }
        return resource
    }

    static func store(_ name: String = "store-oras", type: String = "oras", in namespace: String? = nil) throws
        -> CustomResource
    {
        try resource(
            namespace == nil ? .store : .namespacedStore, name, ["name": .string(type), "parameters": [:]],
            namespace: namespace)
    }

    static func provider(
        _ name: String = "ca", value: String? = nil, in namespace: String? = nil, uid: String = "1"
    ) throws -> CustomResource {
        try resource(
            namespace == nil ? .keyManagementProvider : .namespacedKeyManagementProvider, name,
            [
                "type": "inline",
                "parameters": [
                    "contentType": "certificate",
                    "value": .string(try value ?? authority.get().certificate.pem),
                ],
            ], namespace: namespace, uid: uid)
    }

    static func verifier(
        _ name: String = "verifier-notation", providers: [String] = ["ca"], type: String = "notation",
        level: String = "strict", in namespace: String? = nil, uid: String = "1"
    ) throws -> CustomResource {
        try resource(
            namespace == nil ? .verifier : .namespacedVerifier, name,
            [
                "name": .string(type), "artifactTypes": "application/vnd.cncf.notary.signature",
                "parameters": [
                    "verificationCertStores": ["ca": ["certs": .array(providers.map(JSONValue.string))]],
                    "trustPolicyDoc": [
                        "version": "1.0",
                        "trustPolicies": [
                            [
                                "name": "default", "registryScopes": ["*"],
                                "signatureVerification": ["level": .string(level)], "trustStores": ["ca:certs"],
                                "trustedIdentities": ["*"],
                            ]
                        ],
                    ],
                ],
            ], namespace: namespace, uid: uid)
    }

    static func policy(
        _ rule: String = "any", type: String = "config-policy", signedBy: String? = nil, in namespace: String? = nil,
        name: String = "ratify-policy"
    ) throws -> CustomResource {
        try resource(
            namespace == nil ? .policy : .namespacedPolicy, name,
            [
                "type": .string(type),
                "parameters": [
                    "artifactVerificationPolicies": ["default": .string(rule)],
                    "signedBy": signedBy.map(JSONValue.string) ?? .null,
                ],
            ], namespace: namespace)
    }

    /// All that a cluster needs.
    static func cluster() throws -> [CustomResource] { [try provider(), try store(), try verifier(), try policy()] }

    static func board(_ resources: [CustomResource] = []) -> ResourceBoard {
        var board = ResourceBoard(parts: parts, home: "countersign-system")
        for resource in resources { _ = board.put(resource) }
        board.rebuild()
        return board
    }
}

extension ResourceBoard {
    /// Takes resources and brings them into force.
    mutating func apply(_ resources: CustomResource...) {
        for resource in resources { _ = put(resource) }
        rebuild()
    }

    mutating func delete(_ ids: ResourceID...) {
        for id in ids { _ = remove(id) }
        rebuild()
    }

    /// The snapshot that answers for a namespace.
    func snapshot(_ namespace: String? = nil) -> Result<ConfigurationSnapshot, ConfigurationUnavailable>? {
        (scopes[namespace] ?? scopes[.none])?.snapshot
    }

    func generation(_ namespace: String? = nil) -> UInt64? { try? snapshot(namespace)?.get().generation }

    /// Why nothing answers for a namespace.
    func reason(_ namespace: String? = nil) -> String {
        guard case .failure(let error)? = snapshot(namespace) else { return "" }
        return error.description
    }

    func error(_ id: ResourceID) -> String { report(on: id).error ?? "" }
}
