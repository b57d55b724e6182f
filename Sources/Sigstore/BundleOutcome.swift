import FoundationEssentials
import PKI

/// The outcome of verifying one bundle, or one layer of a cosign signature: the result of each step, and what the steps that passed have proven.
public struct BundleOutcome: Sendable {
    /// The steps, in the order in which they are done.
    public internal(set) var results: [StepResult]
    /// The bundle, once it could be read. What it holds is proven only where a step says so.
    public internal(set) var bundle: Bundle?
    /// Who is said to have signed; proven once ``isVerified``.
    public internal(set) var signer: Signer?
    /// What the signing certificate says of its owner; nil for a key.
    public internal(set) var identity: SignerIdentity?
    /// The times at which the signature is proven to have existed.
    public internal(set) var provenTimes: [ProvenTime] = []
    /// The chain of the signing certificate, leaf first; empty for a key.
    public internal(set) var chain: [Certificate] = []
    /// The certificate transparency logs that have the certificate.
    public internal(set) var certificateLogs: [String] = []
    /// The entries of transparency logs.
    public internal(set) var logEntries: [VerifiedLogEntry] = []
    /// The statement, where one was signed, and its signature is verified.
    public internal(set) var statement: InTotoStatement?
    /// The simple signing payload, where one was signed, and its signature is verified.
    public internal(set) var payload: SimpleSigningPayload?

    /// Nothing has been done yet.
    init() {
        results = VerificationStep.allCases.map { StepResult(step: $0, status: .notRun, error: nil) }
    }

    /// The steps that a policy, or a key in place of a certificate, can leave out.
    private static let optional: Set<VerificationStep> = [
        .certificateChain, .certificateTimestamp, .transparency, .identity,
    ]

    /// Whether the bundle proves what the policy asks for: every step passed but for those that had nothing to do.
    public var isVerified: Bool {
        results.count == VerificationStep.allCases.count
            && results.allSatisfy { result in
                switch result.status {
                case .passed: true
                case .skipped: Self.optional.contains(result.step)
                case .failed, .notRun: false
                }
            }
    }

    /// The result of a step.
    public subscript(step: VerificationStep) -> StepResult? { results.first { $0.step == step } }

    /// Why it is not verified: the error of the step that failed; nil when it is.
    public var refusal: (any StepError)? { results.lazy.compactMap(\.error).first }

    mutating func pass(_ step: VerificationStep) { record(step, .passed, nil) }
    mutating func skip(_ step: VerificationStep) { record(step, .skipped, nil) }
    mutating func fail(_ error: some StepError) { record(type(of: error).step, .failed, error) }

    private mutating func record(_ step: VerificationStep, _ status: StepResult.Status, _ error: (any StepError)?) {
        guard let index = results.firstIndex(where: { $0.step == step }) else { return }
        results[index].status = status
        results[index].error = error
    }
}
