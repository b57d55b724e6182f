import KeyManagement
import OCI
import Quotation
import Sigstore
import StrictJSON
import Verification

/// Verifies cosign's signatures as one of the pipeline's verifiers: layers of the manifest at an image's `.sig` tag,
/// and bundles that refer to the image.
package struct CosignVerifier: ArtifactVerifier {
    let definition: CosignVerifierDefinition
    let trusted: TrustedCertificates
    private let areProvidersAwaited: Bool
    package let artifactTypes: [String]

    /// The sentence that Ratify writes for a good signature, and dashboards look for.
    private static let successMessage =
        "Verification success. Valid signatures found. Please refer to extensions field for verifications performed."
    /// The bytes of `extensions.signatures` in a report at most.
    private static let maximumReportBytes = 28 << 10

    /// The verifier that a definition describes, with the keys and roots that it trusts.
    init(_ definition: CosignVerifierDefinition, trusting trusted: TrustedCertificates, areProvidersAwaited: Bool) {
        self.definition = definition
        self.trusted = trusted
        self.areProvidersAwaited = areProvidersAwaited
        let configured = definition.configuredTypes
        artifactTypes = configured + CosignMediaType.bundles.sorted().filter { !configured.contains($0) }
    }

    package var name: String { definition.name }
    package var type: String { definition.type }
    /// Its trust policies.
    package var policies: [CosignTrustPolicy] { definition.policies.policies }

    /// Both forms of a signature count as one type.
    package func countedType(of artifactType: String) -> String {
        guard CosignMediaType.bundles.contains(artifactType) else { return artifactType }
        return definition.configuredTypes.first { $0 != "*" } ?? CosignMediaType.signatureArtifact
    }

    /// No policy exempts images.
    package func waiver(for reference: ImageReference) -> VerifierReport? { nil }

    package func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        var draft = VerifierReport(
            subject: reference.description, isSuccess: false, verifierName: name, verifierType: type,
            referenceDigest: artifact.digest.description, artifactType: artifact.artifactType,
            message: "Verification failed: the cosign signature \(artifact.digest) does not count")
        let policy: CosignTrustPolicy
        do throws(CosignTrustPolicies.NoPolicy) {
            (policy, draft.isBoundToTag) = try definition.policies.policy(for: reference, digest: subject.digest)
        } catch {
            draft.errorReason = error.description
            draft.remediation = error.remediation
            draft.failureClass = .trustPolicy
            return .judged(draft, validUntil: nil)
        }
        draft.extensions["trustPolicy"] = .string(policy.name)
        let content: SignatureContent
        do throws(ContentFailure) {
            content = try await SignatureContent.fetch(
                artifact, of: subject, in: reference, store: store, deadline: deadline)
        } catch {
            guard !error.isTransient else { return fault(error, reference) }
            draft.errorReason = error.description
            draft.remediation =
                "Sign the image anew with cosign sign, and delete what is not a signature from the repository"
            draft.failureClass = .signature
            return .judged(draft, validUntil: nil)
        }
        if case .attestation = content { return .notJudged }
        return judge(content, by: policy, subject, reference, draft)
    }

    private func fault(_ failure: ContentFailure, _ reference: ImageReference) -> ArtifactOutcome {
        .fault(
            TransientFault(
                stage: .fetch, host: reference.endpoint, cause: failure.description,
                isConfiguration: failure.isConfiguration))
    }

    /// Judges fetched content.
    ///
    /// - Parameter draft: the report, but for what is found.
    private func judge(
        _ content: SignatureContent, by policy: CosignTrustPolicy, _ subject: Descriptor, _ reference: ImageReference,
        _ draft: VerifierReport
    ) -> ArtifactOutcome {
        let verifier: BundleVerifier
        do throws(CosignVerifierDefinition.Unavailable) {
            verifier = try definition.verifier(of: policy, trusted)
        } catch {
            return .fault(
                TransientFault(
                    stage: .verify, host: nil, cause: "trust policy \"\(policy.name.quoted)\": \(error)",
                    isConfiguration: error.isConfiguration && !(error.isMissing && areProvidersAwaited)))
        }
        let keys = CosignKeys(
            policy.keySources, trusted: trusted, files: definition.directories,
            areProvidersAwaited: areProvidersAwaited)
        if case .keys = policy.signers, keys.keys.isEmpty { return missing(keys, policy) }
        guard let image = ArtifactDigest(parsing: subject.digest.description) else {
            // Both know the same algorithms.
            return .fault(TransientFault(stage: .verify, host: nil, cause: "\(subject.digest) is of an unknown kind"))
        }
        let asked = policy.bundlePolicy(keys.keys.map(\.key))
        let findings: [SignatureFinding]
        var total = 1
        switch content {
        case .attestation: return .notJudged
        case .bundle(let descriptor, let bytes):
            findings = [
                SignatureFinding(descriptor, verifier.verify(imageBundle: bytes, image: image, policy: asked), keys)
            ]
        case .layers(let layers, let count):
            total = count
            findings = layers.map { layer in
                switch layer.content {
                case .failure(let failure): SignatureFinding(layer.descriptor, failure)
                case .success(let bytes):
                    SignatureFinding(
                        layer.descriptor,
                        verifier.verify(
                            layer: bytes, annotations: layer.descriptor.annotations, image: image, policy: asked), keys)
                }
            }
        }
        let signers = policy.countSigners(of: findings.filter(\.isVerified).compactMap(\.outcome))
        let isSuccess = signers >= policy.thresholds.signatures
        if !isSuccess {
            // What could not be fetched, or verified with a key that is not there, might have sufficed.
            if let failure = findings.first(where: \.isTransient)?.failure { return fault(failure, reference) }
            if !keys.gaps.isEmpty { return missing(keys, policy) }
        }
        return .judged(
            report(findings, of: total, isSuccess: isSuccess, signers: signers, policy, draft), validUntil: nil)
    }

    /// No judgement, since keys are not there.
    private func missing(_ keys: CosignKeys, _ policy: CosignTrustPolicy) -> ArtifactOutcome {
        let sentences = keys.gaps.map(\.sentence) + keys.misfits
        return .fault(
            TransientFault(
                stage: .verify, host: nil,
                cause: "trust policy \"\(policy.name.quoted)\": \(sentences.joined(separator: "; "))",
                isConfiguration: keys.gaps.allSatisfy(\.isConfiguration)))
    }

    // MARK: Reports

    private func report(
        _ findings: [SignatureFinding], of total: Int, isSuccess: Bool, signers: Int, _ policy: CosignTrustPolicy,
        _ draft: VerifierReport
    ) -> VerifierReport {
        var report = draft
        report.isSuccess = isSuccess
        let (signatures, leftOut) = Self.shown(findings, policy)
        report.extensions["signatures"] = .array(signatures)
        if leftOut > 0 { report.extensions["signaturesLeftOut"] = .number(String(leftOut)) }
        let unseen = total - findings.count
        if unseen > 0 { report.extensions["signaturesNotLookedAt"] = .number(String(unseen)) }
        if definition.keepsDetails {
            report.details = [
                "type": .string(type), "verifier": .string(name), "manifest": .string(report.referenceDigest ?? ""),
                "trustPolicy": .string(policy.name), "verified": .bool(isSuccess),
                "signatures": .array(findings.map(\.details)),
            ]
        }
        guard !isSuccess else {
            report.message = Self.successMessage
            let finding = findings.first(where: \.isVerified)
            report.signingChain = finding?.outcome?.chain.map(\.sha256Hex) ?? []
            report.signer = finding?.signer(policy)
            return report
        }
        let first = findings.first { !$0.isVerified }
        report.message =
            "Verification failed: \(signers == 0 ? "no valid signature" : "not enough valid signatures") under trust policy "
            + "\"\(policy.name.quoted)\" in \(draft.referenceDigest ?? "")"
        var reasons: [String] = []
        if policy.thresholds.signatures > 1 {
            reasons.append(
                "\(policy.thresholds.signatures) of the policy's keys or identities must have signed within one manifest "
                    + "(signatureThreshold), and \(signers) did")
        }
        if let reason = first?.reason { reasons.append(reason) }
        if unseen > 0 { reasons.append("\(unseen) more signatures were not looked at: delete old ones") }
        report.errorReason = reasons.joined(separator: "; ")
        report.failureClass = first?.failureClass ?? .signature
        report.remediation = first?.remediation(policy) ?? "Have the image signed by more of the policy's signers"
        return report
    }

    /// The signatures as reports show them: all that are valid, and of the others as many as there is room for.
    private static func shown(
        _ findings: [SignatureFinding], _ policy: CosignTrustPolicy
    ) -> (signatures: [JSONValue], leftOut: Int) {
        var bytes = 0
        var shown: [Int: JSONValue] = [:]
        let order =
            findings.indices.filter { findings[$0].isVerified } + findings.indices.filter { !findings[$0].isVerified }
        for index in order {
            let json = findings[index].json(policy)
            bytes += json.bytes.count
            guard shown.isEmpty || bytes <= maximumReportBytes else { break }
            shown[index] = json
        }
        return (findings.indices.compactMap { shown[$0] }, findings.count - shown.count)
    }
}
