/// Why an image was refused, in one of a few words: what metrics count refusals by (docs/metrics.md).
package enum FailureClass: String, Sendable, Hashable, CaseIterable {
    /// Nothing is attached to it that a verifier, or the policy, asks for.
    case unsigned
    /// There is no such image.
    case notFound = "not found"
    /// Its registry refuses to be asked, or serves what is not an image.
    case registry
    /// No statement of the trust policy is about it.
    case trustPolicy = "trust policy"
    /// A validation of its signature failed.
    case integrity, authenticity, authenticTimestamp, expiry, revocation
    /// Its signature, or the certificate that it was made with, is not proven to be in a transparency log.
    case transparency
    /// Its signature failed beside the validations: it cannot be read, is about something else, or lacks what is asked
    /// for.
    case signature
    /// Its signature names its very digest, and describes it otherwise than its registry does.
    case contradiction
    /// The policy asks for something that nobody judges, or for more than was found.
    case policy

    /// The word in metrics: where registry and signature contradict each other, it is the signature that does not fit.
    package var label: String { self == .contradiction ? FailureClass.signature.rawValue : rawValue }
}
