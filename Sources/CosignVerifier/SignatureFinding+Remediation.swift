import Quotation
import Sigstore

extension SignatureFinding {
    /// What to do about a signature that does not count.
    func remediation(_ policy: CosignTrustPolicy) -> String {
        guard let refusal = outcome?.refusal else {
            return "Sign the image anew with cosign sign, and delete what cannot be read from the repository"
        }
        switch type(of: refusal).step {
        case .bundle: return "Sign the image anew with a current version of cosign"
        case .signingKey:
            return policy.isByKeys
                ? "Sign with one of the policy's keys (cosign sign --key), or let a policy name who may sign without one (keyless)"
                : "Sign without a key, or give the keys that may sign to a policy for this image"
        case .provenTime: return "Sign with a log or a timestamp authority of the trusted root that the policy names"
        case .certificateChain, .certificateTimestamp:
            return "Name the trusted root of the Sigstore instance that was signed with in trustedRoot"
        case .transparency:
            let log = policy.logURL.map { "the only log that counts is \($0.quoted) (rekorURL); " } ?? ""
            return policy.isByKeys
                ? "\(log)sign with that log, or set tLogVerify: false in the policy if signatures by its keys need none"
                : "\(log)sign with a log of the trusted root that the policy names"
        case .signature:
            switch (refusal as? ArtifactSignatureError)?.kind {
            case .otherArtifact?: return "Sign this very image: signatures are not copied from one to another"
            case .annotation?: return "Sign with the annotations that the policy asks for (cosign sign -a name=value)"
            default: return "Sign with one of the signers that the policy names"
            }
        case .identity:
            return "Add the identity to the policy if it may sign, or have the image signed by one that it names"
        }
    }
}

extension CosignTrustPolicy {
    /// Whether keys must have signed, not identities.
    var isByKeys: Bool {
        if case .keys = signers { true } else { false }
    }
}
