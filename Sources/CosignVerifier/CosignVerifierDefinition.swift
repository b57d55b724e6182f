import KeyManagement
import OCI
import Quotation
import Sigstore
import SigstoreTrust
import Verification

/// A verifier of cosign's signatures as a configuration describes it, but for the keys and roots that it trusts.
package struct CosignVerifierDefinition: VerifierDefinition {
    let name: String
    let type: String
    /// The artifact types as configured.
    let configuredTypes: [String]
    let policies: CosignTrustPolicies
    /// Whether reports hold every step: for the command line, which alone shows them.
    let keepsDetails: Bool
    /// The keys in files that its policies name.
    package let directories: (any CertificateProvider)?

    /// A definition.
    ///
    /// - Throws: ``CosignPolicyError`` when a policy asks for what cannot be.
    package init(
        name: String, type: String, artifactTypes: [String] = [CosignMediaType.signatureArtifact],
        policies: CosignTrustPolicies, keepsDetails: Bool
    ) throws(CosignPolicyError) {
        self.name = name
        self.type = type
        configuredTypes = artifactTypes
        self.policies = policies
        self.keepsDetails = keepsDetails
        var paths: [String] = []
        for (index, policy) in policies.policies.enumerated() {
            if policy.trustedRoot == nil { _ = try Self.verifier(of: policy, PublicGoodInstance.verifier, index) }
            for case .file(let path) in policy.keySources where !paths.contains(path) { paths.append(path) }
        }
        guard !paths.isEmpty else {
            directories = nil
            return
        }
        do throws(KeyManagementError) {
            // No resource can have this name.
            let files = try FileKeys(name: "\(name) keys", paths: paths)
            files.load()
            directories = files
        } catch { throw CosignPolicyError("keys", "cannot be used: \(error)") }
    }

    package func verifier(trusting trusted: TrustedCertificates, areProvidersAwaited: Bool) -> any ArtifactVerifier {
        CosignVerifier(self, trusting: trusted, areProvidersAwaited: areProvidersAwaited)
    }

    // MARK: What is missing

    package func warnings(about stores: [any ReferrerStore]) -> [String] {
        guard !stores.contains(where: \.listsCosignSignatures) else { return [] }
        return [
            "no store has cosignEnabled: true, so that signatures at the tag sha256-….sig, where cosign before version 3 keeps them, "
                + "are not found; only bundles and other referrers are"
        ]
    }

    package func missingProviders(in trusted: TrustedCertificates) -> [String] {
        policies.policies.flatMap { policy in
            policy.providers.filter { trusted.provider(named: $0) == nil }.map { provider in
                "trust policy \"\(policy.name.quoted)\" names \"\(provider.quoted)\", and no key management provider has that name"
            }
        }
    }

    package func unusableStores(in trusted: TrustedCertificates) -> [String] {
        policies.policies.flatMap { policy in
            problems(of: policy, trusted).map { "trust policy \"\(policy.name.quoted)\": \($0)" }
        }
    }

    func problems(of policy: CosignTrustPolicy, _ trusted: TrustedCertificates) -> [String] {
        var problems: [String] = []
        if let root = policy.trustedRoot, trusted.provider(named: root) != nil {
            do throws(Unavailable) { _ = try verifier(of: policy, trusted) } catch {
                // What is still being fetched is the provider's to say.
                if error.isConfiguration { problems.append(error.description) }
            }
        }
        let sources = policy.keySources.filter { source in
            guard case .provider(let name, _, _) = source else { return true }
            return trusted.provider(named: name) != nil
        }
        let keys = CosignKeys(sources, trusted: trusted, files: directories, areProvidersAwaited: false)
        return problems + keys.misfits + keys.gaps.filter(\.isConfiguration).map(\.sentence)
    }

    // MARK: Trusted roots

    /// Why there is nothing to verify by.
    struct Unavailable: Error, Hashable, Sendable, CustomStringConvertible {
        let description: String
        let isConfiguration: Bool
        /// Whether the provider that is named is not there.
        var isMissing = false
    }

    /// What verifies by a policy's trusted root, as it is now.
    func verifier(of policy: CosignTrustPolicy, _ trusted: TrustedCertificates) throws(Unavailable) -> BundleVerifier {
        var root = PublicGoodInstance.verifier
        if let name = policy.trustedRoot {
            do throws(KeyManagementError) { root = .success(try trusted.bundleVerifier(named: name)) } catch {
                throw Unavailable(
                    description: error.description, isConfiguration: error.isConfiguration,
                    isMissing: error.kind == .missingProvider)
            }
        }
        do throws(CosignPolicyError) { return try Self.verifier(of: policy, root) } catch {
            throw Unavailable(description: error.description, isConfiguration: true)
        }
    }

    private static func verifier(
        of policy: CosignTrustPolicy, _ root: Result<BundleVerifier, TrustedRootError>, _ index: Int? = nil
    ) throws(CosignPolicyError) -> BundleVerifier {
        let verifier: BundleVerifier
        do { verifier = try root.get() } catch { throw CosignPolicyError("trustedRoot", "\(error)", policy: index) }
        guard let url = policy.logURL else { return verifier }
        if let limited = verifier.limited(toLogAt: url) { return limited }
        let known = verifier.root.transparencyLogs.map(\.baseURL).joined(separator: ", ")
        let root = policy.trustedRoot.map { "the trusted root of \"\($0.quoted)\"" } ?? "the public good instance"
        throw CosignPolicyError(
            "rekorURL",
            "is \"\(url.quoted)\", and \(root) has no transparency log there (it has \(known)): name the provider of the trusted root "
                + "that has it in trustedRoot", policy: index)
    }
}

extension CosignTrustPolicy {
    /// Where its keys come from.
    var keySources: [CosignKeySource] {
        guard case .keys(let sources) = signers else { return [] }
        return sources
    }

    /// The key management providers that it names, each once.
    var providers: [String] {
        var names: [String] = []
        for case .provider(let name, _, _) in keySources where !names.contains(name) { names.append(name) }
        if let trustedRoot, !names.contains(trustedRoot) { names.append(trustedRoot) }
        return names
    }
}
