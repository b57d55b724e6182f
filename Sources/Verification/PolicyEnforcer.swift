/// What a set of outcomes means for the image.
package enum PolicyVerdict: Sendable, Equatable {
    case success
    case failure
    /// The known outcomes decide neither way: a transient fault hides one that matters.
    case undecided
}

/// An outcome as the policy sees it.
package struct PolicyEvidence: Sendable, Equatable {
    /// The type of the artifact that was judged.
    package var artifactType: String
    /// Whether it verified; `nil` when a transient fault hides that.
    package var isSuccess: Bool?

    /// Evidence about one artifact.
    package init(artifactType: String, isSuccess: Bool?) {
        self.artifactType = artifactType
        self.isSuccess = isSuccess
    }
}

/// What one verifier has to say about an image, as the policy sees it.
package struct VerifierEvidence: Sendable, Equatable {
    /// The artifact types that it judges; `*` stands for all.
    package var artifactTypes: [String]
    /// Whether its own policy exempts the image (``ArtifactVerifier/waiver(for:)``).
    package var isWaived: Bool
    /// Whether it cannot judge any artifact now, so that its verdict is not known.
    package var isDegraded: Bool
    /// The outcome of each artifact that it judged.
    package var outcomes: [PolicyEvidence]

    /// Evidence of one verifier.
    package init(
        artifactTypes: [String], isWaived: Bool = false, isDegraded: Bool = false, outcomes: [PolicyEvidence]
    ) {
        self.artifactTypes = artifactTypes
        self.isWaived = isWaived
        self.isDegraded = isDegraded
        self.outcomes = outcomes
    }

    func judges(_ type: String) -> Bool { artifactTypes.contains { $0 == "*" || $0 == type } }
}

/// Decides from all outcomes whether an image may run.
package protocol PolicyEnforcer: Sendable {
    /// The artifact types of which an image must have at least one, in a fixed order.
    var requiredTypes: [String] { get }
    /// Which digests of an image must be signed; `nil`: the one that was asked for.
    var signedBy: SubjectSelection? { get }

    /// The verdict by the outcomes of one verifier, which has no waiver and is not degraded. Without outcomes it is a
    /// failure.
    func verdict(of verifier: VerifierEvidence) -> PolicyVerdict
}

extension PolicyEnforcer {
    /// The verdict on an image. Every verifier without a waiver must be satisfied: one that finds no artifact has
    /// failed, and the waiver of another verifier does not help it. No evidence at all is a failure.
    package func verdict(on evidence: [VerifierEvidence]) -> PolicyVerdict {
        guard !evidence.isEmpty, unjudgedTypes(in: evidence).isEmpty else { return .failure }
        let verdicts = evidence.filter { !$0.isWaived }.map { $0.isDegraded ? .undecided : verdict(of: $0) }
        // One definite failure decides, whatever a fault hides elsewhere.
        if verdicts.contains(.failure) { return .failure }
        return verdicts.contains(.undecided) ? .undecided : .success
    }

    /// The required types that no verifier judges.
    func unjudgedTypes(in evidence: [VerifierEvidence]) -> [String] {
        requiredTypes.filter { type in !evidence.contains { $0.judges(type) } }
    }

    /// The required types that the verifier judges, and of which it found no artifact.
    func missingTypes(in verifier: VerifierEvidence) -> [String] {
        requiredTypes.filter { type in
            verifier.judges(type) && !verifier.outcomes.contains { $0.artifactType == type }
        }
    }
}

/// Ratify's `config-policy`: for every artifact type, or `default`, must `any` or `all` of its artifacts verify.
///
/// Of a type that the policy names an image must have an artifact that verifies. A type that the policy does not name
/// follows `default`, which is `all` unless set. That holds for each verifier by itself: where two verifiers judge the
/// same type, an image must satisfy both.
package struct ConfigPolicy: PolicyEnforcer, Equatable {
    /// The rule for one artifact type.
    package enum Rule: String, Sendable, Equatable {
        case any, all
    }

    /// Rules by artifact type, without `default`.
    package var rules: [String: Rule]
    /// The rule for types that are not named.
    package var defaultRule: Rule
    /// Which digests of an image the rules hold for, each by itself.
    package var signedBy: SubjectSelection?

    /// A policy with the given rules.
    package init(rules: [String: Rule] = [:], defaultRule: Rule = .all, signedBy: SubjectSelection? = nil) {
        self.rules = rules
        self.defaultRule = defaultRule
        self.signedBy = signedBy
    }

    package var requiredTypes: [String] { rules.keys.sorted() }

    package func verdict(of verifier: VerifierEvidence) -> PolicyVerdict {
        guard !verifier.outcomes.isEmpty, missingTypes(in: verifier).isEmpty else { return .failure }
        var verdict = PolicyVerdict.success
        for type in Set(verifier.outcomes.map(\.artifactType)) {
            let results = verifier.outcomes.filter { $0.artifactType == type }.map(\.isSuccess)
            switch rules[type] ?? defaultRule {
            case .any where results.contains(true): continue
            case .all where results.allSatisfy({ $0 == true }): continue
            case .any where results.contains(nil): verdict = .undecided
            case .all where results.contains(nil) && !results.contains(false): verdict = .undecided
            // One type that definitely fails decides, whatever a fault hides in another.
            default: return .failure
            }
        }
        return verdict
    }
}
