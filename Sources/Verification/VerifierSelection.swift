import OCI

/// The verifiers of a configuration, and which of them look at an image.
struct VerifierSelection: Sendable {
    let verifiers: [any ArtifactVerifier]
    /// The waiver of each verifier, if it has one, in the order of ``verifiers`` (``ArtifactVerifier/waiver(for:)``).
    let waivers: [VerifierReport?]
    /// The indices of the verifiers without a waiver.
    let active: [Int]

    init(_ verifiers: [any ArtifactVerifier], _ reference: ImageReference) {
        self.verifiers = verifiers
        let waivers = verifiers.map { $0.waiver(for: reference) }
        self.waivers = waivers
        active = waivers.indices.filter { waivers[$0] == nil }
    }

    /// The indices of the verifiers that judge an artifact. A verifier with a waiver is not asked: it would accept
    /// anything. An artifact of unknown type is judged by all others: it may be what each of them looks for.
    func judges(of artifact: Descriptor) -> [Int] {
        active.filter { artifact.artifactType.map(verifiers[$0].canVerify(artifactType:)) ?? true }
    }

    /// The type under which an artifact counts that a verifier judges. If it is unknown, it is the first type the verifier judges.
    func type(of artifact: Descriptor, for verifier: Int) -> String {
        let verifier = verifiers[verifier]
        return verifier.countedType(of: artifact.artifactType ?? verifier.artifactTypes.first { $0 != "*" } ?? "")
    }
}

/// What one verifier found.
struct Findings: Sendable {
    var reports: [VerifierReport] = []
    var outcomes: [PolicyEvidence] = []

    mutating func add(_ report: VerifierReport, _ type: String, _ isSuccess: Bool?) {
        reports.append(report)
        outcomes.append(PolicyEvidence(artifactType: type, isSuccess: isSuccess))
    }
}
