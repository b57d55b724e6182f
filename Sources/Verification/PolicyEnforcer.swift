/// What a set of outcomes means for the image.
package enum PolicyVerdict: Sendable, Equatable {
    case success
    case failure
    /// What is known decides neither way: a passing fault hides an outcome that matters.
    case undecided
}

/// An outcome as the policy sees it.
package struct PolicyEvidence: Sendable, Equatable {
    /// The type of the artifact that was judged.
    package var artifactType: String
    /// Whether it verified; `nil` when a passing fault hides that.
    package var isSuccess: Bool?

    /// Evidence about one artifact.
    package init(artifactType: String, isSuccess: Bool?) {
        self.artifactType = artifactType
        self.isSuccess = isSuccess
    }
}

/// Decides from all outcomes whether an image may run.
package protocol PolicyEnforcer: Sendable {
    /// The verdict. No evidence at all is a failure.
    func verdict(on evidence: [PolicyEvidence]) -> PolicyVerdict
}

/// Ratify's `config-policy`: for every artifact type, or `default`, must `any` or `all` of its artifacts verify.
///
/// A type that the policy names must be there with a success; a type that is there without being named follows
/// `default`, which is `all` unless set.
package struct ConfigPolicy: PolicyEnforcer, Equatable {
    /// The rule for one artifact type.
    package enum Rule: String, Sendable, Equatable {
        case any, all
    }

    /// Rules by artifact type, without `default`.
    package var rules: [String: Rule]
    /// The rule for types that are not named.
    package var defaultRule: Rule

    /// A policy with the given rules.
    package init(rules: [String: Rule] = [:], defaultRule: Rule = .all) {
        self.rules = rules
        self.defaultRule = defaultRule
    }

    package func verdict(on evidence: [PolicyEvidence]) -> PolicyVerdict {
        guard !evidence.isEmpty else { return .failure }
        var verdict = PolicyVerdict.success
        for type in Set(rules.keys).union(evidence.map(\.artifactType)) {
            let results = evidence.filter { $0.artifactType == type }.map(\.isSuccess)
            switch rules[type] ?? defaultRule {
            case .any where results.contains(true): continue
            case .all where !results.isEmpty && results.allSatisfy({ $0 == true }): continue
            case .any where results.contains(nil): verdict = .undecided
            case .all where results.contains(nil) && !results.contains(false): verdict = .undecided
            // One type that definitely fails decides, whatever is hidden in another.
            default: return .failure
            }
        }
        return verdict
    }
}
