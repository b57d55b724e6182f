import OCI
import Quotation
import StrictJSON

/// Reports of the pipeline itself.
extension Pipeline {
    /// What an error of the store means: a denial when the error is definite, a transient fault when it is not.
    func failed(
        _ reference: ImageReference, digest: Digest?, stage: TransientFault.Stage, _ error: RegistryError
    ) -> Judgement {
        if error.isTransient {
            let fault = TransientFault(
                stage: stage, host: error.host, cause: error.description, isConfiguration: error.isConfiguration)
            return Judgement(verdict: .undecided, faults: [fault])
        }
        let remediation =
            error.kind == .notFound
            ? "Check the image's name, and that it was pushed to the registry that the name says"
            : "Check the registry's credentials in the store configuration, and what the registry serves"
        var report = VerifierReport(
            subject: reference.description, isSuccess: false,
            message: "failed to verify artifact: \(reference)", errorReason: error.description,
            remediation: remediation, extensions: about(digest))
        report.failureClass = error.kind == .notFound ? .notFound : .registry
        return Judgement(verdict: .failure, reports: [report])
    }

    /// An artifact that a verifier could not judge.
    func undetermined(
        _ artifact: Descriptor, of digest: Digest, _ type: String, _ verifier: any ArtifactVerifier,
        _ reference: ImageReference, _ fault: TransientFault
    ) -> VerifierReport {
        var report = VerifierReport(
            subject: reference.description, isSuccess: false, verifierName: verifier.name, verifierType: verifier.type,
            referenceDigest: artifact.digest.description, artifactType: type,
            message: "Could not be judged this time", errorReason: fault.description,
            remediation: fault.remediation, extensions: about(digest))
        report.isUndetermined = true
        return report
    }

    /// The reports on artifacts that a verifier requires and did not find.
    ///
    /// - Parameter isAlone: whether no other verifier is there to be told apart.
    func absences(
        of verifier: any ArtifactVerifier, _ evidence: VerifierEvidence, isAlone: Bool, _ reference: ImageReference,
        _ digest: Digest?
    ) -> [VerifierReport] {
        let missing = snapshot.policy.missingTypes(in: evidence)
        guard !evidence.outcomes.isEmpty else {
            let own = verifier.countedTypes.first { $0 != "*" }
            return [unsigned(reference, digest, by: verifier, isAlone: isAlone)]
                + missing.filter { $0 != own }.map { absence(of: $0, verifier, reference, digest) }
        }
        return missing.map { absence(of: $0, verifier, reference, digest) }
    }

    private func absence(
        of type: String, _ verifier: any ArtifactVerifier, _ reference: ImageReference, _ digest: Digest?
    ) -> VerifierReport {
        var report = VerifierReport(
            subject: reference.description, isSuccess: false, verifierName: verifier.name, verifierType: verifier.type,
            artifactType: type, message: "failed to verify artifact: \(reference)",
            errorReason:
                "the policy requires an artifact of type \(type.quoted), and none is associated with \"\(name(reference, digest))\"",
            remediation: "Attach it to the image, or remove the type from artifactVerificationPolicies",
            extensions: about(digest))
        report.failureClass = .unsigned
        return report
    }

    /// An image without anything that a verifier judges; without a verifier, too.
    func unsigned(
        _ reference: ImageReference, _ digest: Digest?, by verifier: (any ArtifactVerifier)?, isAlone: Bool = true
    ) -> VerifierReport {
        let types = verifier?.countedTypes ?? []
        let isAboutCosign = types.contains(MediaType.cosignSignature)
        let isAboutSignatures =
            types.isEmpty || isAboutCosign || types.contains { $0 == "*" || $0 == MediaType.notationSignature }
        let what =
            isAboutSignatures
            ? VerifierReport.unsigned
            : "no artifact of type \(types.map(\.quoted).joined(separator: " or ")) is associated with"
        // Alone it needs no name, and the report has the members that Ratify's has.
        let named = isAlone ? nil : verifier
        let whom = named.map { ", which the verifier \"\($0.name)\" asks for" } ?? ""
        var report = VerifierReport(
            subject: reference.description, isSuccess: false, verifierName: named?.name, verifierType: named?.type,
            artifactType: named?.countedTypes.first { $0 != "*" },
            message: "failed to verify artifact: \(reference)",
            errorReason: "\(what) \"\(name(reference, digest))\"\(whom)",
            remediation: isAboutCosign
                ? "Sign the image with cosign sign"
                    + (snapshot.stores.allSatisfy(\.listsCosignSignatures)
                        ? "" : "; signatures at a tag sha256-….sig are found by stores with cosignEnabled: true only")
                : isAboutSignatures
                    ? "Sign the image with notation or countersign sign, and push the signature to the same repository"
                    : "Attach such an artifact to the image, in the same repository",
            extensions: about(digest))
        report.failureClass = .unsigned
        return report
    }

    /// The reports on types that the policy requires and no verifier judges.
    func unjudged(_ evidence: [VerifierEvidence], _ reference: ImageReference) -> [VerifierReport] {
        snapshot.policy.unjudgedTypes(in: evidence).map { type in
            var report = VerifierReport(
                subject: reference.description, isSuccess: false, artifactType: type,
                message: "failed to verify artifact: \(reference)",
                errorReason: "the policy requires an artifact of type \(type.quoted), and no verifier judges that type",
                remediation:
                    "Add the type to a verifier's artifactTypes, or remove it from artifactVerificationPolicies")
            report.failureClass = .policy
            return report
        }
    }

    func tooMany(_ count: Int, examined: Int, _ reference: ImageReference) -> VerifierReport {
        VerifierReport(
            subject: reference.description, isSuccess: false,
            message: "failed to verify artifact: \(reference)",
            errorReason:
                "the image has \(count) artifacts to judge; only the first \(examined) were looked at",
            remediation: "Delete signatures that are no longer of use from the repository")
    }

    private func name(_ reference: ImageReference, _ digest: Digest?) -> String {
        (digest.map { reference.with(digest: $0) } ?? reference).description
    }

    private func about(_ digest: Digest?) -> JSONObject {
        digest.map { ["subjectDigest": .string($0.description)] } ?? [:]
    }
}

extension Judgement {
    /// Has the reports about a subject say what its digest, which is not the one that was asked for, has to do with the
    /// image.
    mutating func explain(_ subject: Subject) {
        guard let note = subject.note else { return }
        for index in reports.indices where reports[index].subjectDigest != nil {
            if case .manifest(let platform?) = subject.role {
                reports[index].extensions["platform"] = .string(platform.description)
            }
            if !reports[index].isSuccess { reports[index].errorReason = "\(reports[index].reason) (\(note))" }
        }
    }
}
