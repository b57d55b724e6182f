import Quotation
import Sigstore

/// Whose signatures count for some images, and what they must prove.
package struct CosignTrustPolicy: Sendable {
    /// Who must have signed.
    package enum Signers: Sendable {
        /// Owners of keys.
        case keys([CosignKeySource])
        /// Whoever has a certificate of Fulcio's with one of these identities.
        case identities([CertificateIdentity])
    }

    /// Its name, which reports show.
    package let name: String
    /// The images that it is for; none for the policy of all that no other policy is for.
    package let scopes: [CosignScope]
    /// Who must have signed.
    package let signers: Signers
    /// The key management provider whose trusted root counts; nil for the public good instance's, as compiled in.
    package let trustedRoot: String?
    /// The address of the only transparency log that counts; nil for all of the trusted root's.
    package let logURL: String?
    /// Whether such an address was given and no log is asked for.
    private let hasIdleLogURL: Bool
    /// Annotations that must be signed with the image.
    package let annotations: [String: String]
    /// How many proofs of each kind there must be.
    package let thresholds: Thresholds

    /// How many proofs of each kind there must be.
    package struct Thresholds: Hashable, Sendable {
        /// How many transparency logs must have the signature; with 0 what logs say does not count.
        package var logs = 1
        /// How many certificate transparency logs must have the certificate.
        package var certificateLogs = 1
        /// How many timestamp authorities must have signed the time.
        package var timestamps = 0
        /// How many of the keys or identities must have signed, in one manifest.
        package var signatures = 1

        /// One log of each kind, one signature.
        package init() {}
    }

    /// A policy.
    package init(
        name: String, scopes: [CosignScope], signers: Signers, trustedRoot: String? = nil, logURL: String? = nil,
        annotations: [String: String] = [:], thresholds: Thresholds = Thresholds()
    ) throws(CosignPolicyError) {
        guard !name.isEmpty else { throw CosignPolicyError("name", "is missing or empty") }
        switch signers {
        case .keys(let keys):
            guard !keys.isEmpty else { throw CosignPolicyError("keys", "has no key") }
            let areFiles = keys.allSatisfy { if case .file = $0 { true } else { false } }
            guard !areFiles || thresholds.signatures <= Set(keys).count else {
                throw CosignPolicyError("signatureThreshold", "is \(thresholds.signatures): there are fewer keys")
            }
        case .identities(let identities):
            guard !identities.isEmpty else { throw CosignPolicyError("keyless", "has no identity") }
            guard thresholds.signatures <= Set(identities).count else {
                throw CosignPolicyError("signatureThreshold", "is \(thresholds.signatures): there are fewer identities")
            }
        }
        self.name = name
        self.scopes = scopes
        self.signers = signers
        self.trustedRoot = trustedRoot
        self.logURL = thresholds.logs > 0 ? logURL : nil
        hasIdleLogURL = logURL != nil && thresholds.logs == 0
        self.annotations = annotations
        self.thresholds = thresholds
    }

    /// What is dangerous about the policy, or lets nothing pass, each in a sentence that begins with the member's name.
    package var warnings: [String] {
        var warnings = scopes.compactMap(\.warning).map { "scopes \($0)" }
        if hasIdleLogURL { warnings.append("rekorURL has no effect, since tLogVerify is false") }
        guard case .identities(let identities) = signers else { return warnings }
        for identity in identities { warnings += identity.warnings.map { "keyless: \($0)" } }
        if thresholds.logs == 0 {
            warnings.append(
                "tLogVerify is false: of signatures with certificates only those pass that a timestamp authority of the trusted root has timestamped"
            )
        }
        return warnings
    }

    /// What each signature must prove.
    ///
    /// - Parameter keys: the keys that are in force.
    func bundlePolicy(_ keys: [SigningKey]) -> BundlePolicy {
        var policy: BundlePolicy
        switch signers {
        case .keys: policy = BundlePolicy(keys: keys)
        case .identities(let identities): policy = BundlePolicy(identities: identities)
        }
        policy.annotations = annotations
        policy.logThreshold = thresholds.logs
        policy.certificateLogThreshold = thresholds.certificateLogs
        policy.timestampThreshold = thresholds.timestamps
        return policy
    }
}
