import FoundationEssentials
import OCI

/// Judges one artifact that is attached to an image: a signature, for instance.
package protocol ArtifactVerifier: Sendable {
    /// The configured name, shown in reports.
    var name: String { get }
    /// The verifier's type, `notation` for instance.
    var type: String { get }
    /// The artifact types that it judges; `*` stands for all.
    var artifactTypes: [String] { get }

    /// The type under which the policy counts an artifact of a type: where several forms of one thing have types of
    /// their own, that of them all.
    func countedType(of artifactType: String) -> String

    /// The report that takes the place of this verifier's judgement when its own policy exempts the image (a trust
    /// policy statement with level `skip`); `nil` when artifacts must be verified. It does not count for other
    /// verifiers.
    func waiver(for reference: ImageReference) -> VerifierReport?

    /// Why this verifier cannot judge any artifact now; `nil` when it can.
    var degradedReason: TransientFault? { get }

    /// Judges one artifact.
    ///
    /// - Parameters:
    ///   - artifact: the descriptor of the artifact's manifest, as a referrer of the subject.
    ///   - subject: the descriptor of what is judged: the image, or a manifest of its index, or its index.
    ///   - reference: the image as it was asked for. Its digest, if it has one, may be another one than the subject's.
    ///   - store: where the artifact's content is.
    ///   - deadline: when an answer is no longer of use.
    func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome
}

extension ArtifactVerifier {
    /// By default a verifier is never degraded.
    package var degradedReason: TransientFault? { nil }

    /// By default each type counts as itself.
    package func countedType(of artifactType: String) -> String { artifactType }

    /// The types under which the policy counts what it judges, each once.
    package var countedTypes: [String] {
        var seen: Set<String> = []
        return artifactTypes.map(countedType).filter { seen.insert($0).inserted }
    }

    /// Whether this verifier judges artifacts of the type.
    package func canVerify(artifactType: String) -> Bool {
        artifactTypes.contains { $0 == "*" || $0 == artifactType }
    }
}

/// The outcome of judging one artifact.
package enum ArtifactOutcome: Sendable {
    /// A definite judgement. `validUntil` is the earliest moment that can change it (the expiry of a certificate or
    /// of the signature, the next update of a revocation list); `nil` when none is known.
    case judged(VerifierReport, validUntil: Date?)
    /// The artifact is none of what this verifier is for, although it is of a type that it judges: an attestation in a
    /// bundle, where signatures are looked for. It counts neither for the image nor against it.
    case notJudged
    /// No judgement: something failed that says nothing about the artifact.
    case fault(TransientFault)
}
