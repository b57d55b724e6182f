import FoundationEssentials
import Notation
import OCI
import StrictJSON
import Verification

/// Verifies Notary Project signatures as one of the pipeline's verifiers.
package struct NotationVerifier: ArtifactVerifier {
    private let definition: NotationVerifierDefinition
    private let verifier: SignatureVerifier

    /// The sentence that Ratify writes for a good signature, and dashboards look for.
    private static let successMessage = "Notation signature verification success"

    /// The verifier that a definition describes, with the certificates that it trusts.
    init(_ definition: NotationVerifierDefinition, trustStore: any TrustStore) {
        self.definition = definition
        verifier = SignatureVerifier(
            trustStore: trustStore, revocation: definition.revocation.checker, chains: definition.chains)
    }

    package var name: String { definition.name }
    package var type: String { definition.type }
    package var artifactTypes: [String] { definition.artifactTypes }
    /// The trust stores of its policy, and what fills them.
    package var uses: [TrustUse] { definition.uses }
    private var policy: TrustPolicyDocument { definition.policy }

    package func waiver(for reference: ImageReference) -> VerifierReport? {
        guard let statement = try? policy.statement(for: reference), statement.level.isSkip else { return nil }
        return VerifierReport(
            subject: reference.description, isSuccess: true, verifierName: name, verifierType: type,
            artifactType: artifactTypes.first,
            message: "Not verified: trust policy statement \"\(statement.name)\" has the level skip")
    }

    package func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        let statement: TrustPolicyStatement
        do { statement = try policy.statement(for: reference) } catch {
            var report = report(on: artifact, of: reference, isSuccess: false)
            report.errorReason = error.description
            report.failureClass = .trustPolicy
            report.remediation =
                "Add the repository to a statement of trustPolicyDoc, or use an image from one that it names"
            return .judged(report, validUntil: nil)
        }
        let now = Date()
        let outcome = await ImageVerifier(store: store, policy: policy, verifier: verifier).verify(
            signature: artifact, of: subject, in: reference, statement: statement, now: now, deadline: deadline)
        if outcome.isUndetermined, let refusal = outcome.refusal {
            return .fault(
                // After the fetch it is not the registry that is in trouble; the cause names who is.
                outcome.envelope == nil
                    ? TransientFault(
                        stage: .fetch, host: reference.endpoint, cause: refusal.description,
                        isConfiguration: refusal.isConfiguration)
                    : TransientFault(
                        stage: .verify, host: nil, cause: refusal.description, isConfiguration: refusal.isConfiguration)
            )
        }
        return .judged(report(on: artifact, of: reference, outcome), validUntil: validUntil(outcome, verified: now))
    }

    private func report(
        on artifact: Descriptor, of reference: ImageReference, isSuccess: Bool
    ) -> VerifierReport {
        VerifierReport(
            subject: reference.description, isSuccess: isSuccess, verifierName: name, verifierType: type,
            referenceDigest: artifact.digest.description, artifactType: artifact.artifactType,
            message: isSuccess
                ? NotationVerifier.successMessage : "Failed to validate the Notation signature \(artifact.digest)")
    }

    private func report(
        on artifact: Descriptor, of reference: ImageReference, _ outcome: SignatureOutcome
    ) -> VerifierReport {
        var report = report(on: artifact, of: reference, isSuccess: outcome.isVerified)
        if let refusal = outcome.refusal {
            report.errorReason = refusal.description
            report.remediation = outcome.remediation
            report.isConfiguration = refusal.isConfiguration
            report.failureClass =
                if refusal.contradictsDescriptor {
                    .contradiction
                } else if outcome.failure != nil {
                    .signature
                } else {
                    outcome.results.first(where: \.isCritical).map { FailureClass($0.type) }
                }
        }
        if let content = outcome.content {
            // Only what integrity has proven: the chain inside a broken signature is anybody's.
            report.extensions["Issuer"] = .string(content.signer.issuer.description)
            report.extensions["SN"] = .string(content.signer.subject.description)
            report.extensions["userMetadata"] = content.userMetadataJSON
            report.signingChain = content.chain.map(\.sha256Hex)
            if outcome.isVerified { report.signer = content.signer.subject.description }
        }
        if definition.keepsDetails { report.details = outcome.json }
        return report
    }

    /// When a good signature must be verified again: the first expiry of what it rests on, revocation answers included.
    private func validUntil(_ outcome: SignatureOutcome, verified: Date) -> Date? {
        guard outcome.isVerified, let content = outcome.content else { return nil }
        var dates = content.chain.map(\.notAfter)
        if let expiry = content.envelope.attributes.expiry { dates.append(expiry) }
        if let end = outcome.validUntil { dates.append(end) }
        // What had passed already was only logged, and changes nothing any more. What has passed since then, be it that
        // the clock was set, ends the verdict at once.
        return dates.filter { $0 > verified }.min()
    }
}

extension FailureClass {
    /// A validation that failed.
    fileprivate init(_ validation: ValidationType) {
        self =
            switch validation {
            case .integrity: .integrity
            case .authenticity: .authenticity
            case .authenticTimestamp: .authenticTimestamp
            case .expiry: .expiry
            case .revocation: .revocation
            }
    }
}
