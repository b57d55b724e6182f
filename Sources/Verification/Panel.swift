import OCI

/// The verifiers of a configuration, and which of them look at an image.
struct Panel: Sendable {
    let verifiers: [any ArtifactVerifier]
    /// The reports of those whose own policy asks for no look, in the order of ``verifiers``.
    let waivers: [VerifierReport?]
    /// The places of the others.
    let active: [Int]

    init(_ verifiers: [any ArtifactVerifier], _ reference: ImageReference) {
        self.verifiers = verifiers
        let waivers = verifiers.map { $0.waiver(for: reference) }
        self.waivers = waivers
        active = waivers.indices.filter { waivers[$0] == nil }
    }

    /// The places of those that judge an artifact. One that waived its judgement is not asked: it would find everything
    /// good. An artifact whose type nobody could learn is everybody's: it may be what each looks for.
    func judges(of artifact: Descriptor) -> [Int] {
        active.filter { artifact.artifactType.map(verifiers[$0].canVerify(artifactType:)) ?? true }
    }

    /// The type that an artifact has for a verifier: where it could not be learned, that for which it may be taken.
    func type(of artifact: Descriptor, for verifier: Int) -> String {
        artifact.artifactType ?? verifiers[verifier].artifactTypes.first { $0 != "*" } ?? ""
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
