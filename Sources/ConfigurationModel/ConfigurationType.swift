import Quotation

/// What a configuration names by a text: kinds of stores, of verifiers, of certificates' sources.
///
/// The text is read once, without regard to case as Ratify reads it, and is this from then on. Whatever depends on the
/// kind switches over it, so that no spelling can be one kind here and another one there.
package protocol ConfigurationType: CaseIterable, Hashable, Sendable {
    /// Its names; the first one is how reports call it.
    var names: [String] { get }
    /// What is said of a text that is none of the names, and what is expected.
    static var expectation: String { get }
}

extension ConfigurationType {
    /// How it is called.
    package var name: String { names.first ?? "" }

    /// Reads a name.
    ///
    /// - Parameter path: where it stands, for the error.
    package init(parsing text: String, path: String) throws(ConfigurationError) {
        let wanted = text.lowercased()
        guard let value = Self.allCases.first(where: { $0.names.contains { $0.lowercased() == wanted } }) else {
            throw ConfigurationError(path: path, problem: "is \"\(text.quoted)\": \(Self.expectation)")
        }
        self = value
    }
}

/// The kinds of stores.
package enum StoreType: ConfigurationType {
    /// Registries.
    case oras
    /// A directory of this machine.
    case ociLayout

    package var names: [String] {
        switch self {
        case .oras: ["oras"]
        case .ociLayout: ["oci-layout"]
        }
    }

    package static let expectation =
        "this store is not supported; known are \"oras\" (registries) and \"oci-layout\" (a directory)"

    /// Whether a store with the same parameters holds the same for every replica: only then may they share verdicts.
    package var isSameForAllReplicas: Bool {
        switch self {
        case .oras: true
        case .ociLayout: false
        }
    }
}

/// The kinds of verifiers.
package enum VerifierType: ConfigurationType {
    case notation, cosign

    package var names: [String] {
        switch self {
        case .notation: ["notation"]
        case .cosign: ["cosign"]
        }
    }

    /// The parameter that says whose signatures count for which images.
    package var policyParameter: String {
        switch self {
        case .notation: "trustPolicyDoc"
        case .cosign: "trustPolicies"
        }
    }

    package static let expectation = "this verifier is not supported; known are \"notation\" and \"cosign\""
}

/// The kinds of policies.
package enum PolicyType: ConfigurationType {
    case configPolicy

    // The file says the former, the custom resource the latter.
    package var names: [String] { ["configPolicy", "config-policy"] }

    package static let expectation =
        "only \"configPolicy\" is supported here; Rego is evaluated by Gatekeeper, from the reports of every answer"
}

/// The kinds of key management providers.
package enum CertificateSourceType: ConfigurationType {
    case inline, files, azureKeyVault
    /// Trusted roots of Sigstore.
    case sigstore

    package var names: [String] {
        switch self {
        case .inline: ["inline"]
        case .files: ["files"]
        case .azureKeyVault: ["azurekeyvault"]
        case .sigstore: ["sigstore"]
        }
    }

    package static let expectation =
        "not supported in this version; known are \"inline\", \"files\", \"azurekeyvault\" and \"sigstore\""
}

/// Where a store's credentials come from.
package enum CredentialSource: ConfigurationType {
    case dockerConfig, k8Secrets, azureWorkloadIdentity, azureManagedIdentity

    package var names: [String] {
        switch self {
        case .dockerConfig: ["dockerConfig"]
        case .k8Secrets: ["k8Secrets"]
        case .azureWorkloadIdentity: ["azureWorkloadIdentity"]
        case .azureManagedIdentity: ["azureManagedIdentity"]
        }
    }

    package static let expectation =
        "this source of credentials is not supported in this version; known are \"dockerConfig\", \"k8Secrets\", \"azureWorkloadIdentity\" and \"azureManagedIdentity\""
}

/// Who a key vault is shown.
package enum VaultIdentity: ConfigurationType {
    case workload, managed

    package var names: [String] {
        switch self {
        case .workload: ["workload"]
        case .managed: ["managed"]
        }
    }

    package static let expectation = "known are \"workload\" (Microsoft Entra Workload ID) and \"managed\""
}

/// The instances of Sigstore whose roots are compiled in.
package enum SigstoreInstance: ConfigurationType {
    case publicGood, github

    package var names: [String] {
        switch self {
        case .publicGood: ["public-good"]
        case .github: ["github"]
        }
    }

    package static let expectation =
        "known are \"public-good\" (Sigstore's own) and \"github\"; another one needs tufRoot and tufURL, or its trustedRoot"
}
