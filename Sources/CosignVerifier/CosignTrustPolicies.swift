import OCI
import Quotation

/// The trust policies of a verifier. Exactly one of them is for an image, or none.
package struct CosignTrustPolicies: Sendable {
    /// The policies, in their order.
    package let policies: [CosignTrustPolicy]
    private let global: Int?

    /// The most scopes of all policies together.
    package static let maximumScopes = 2_000

    /// Policies, validated as a whole: each name once, no image within two scopes.
    package init(_ policies: [CosignTrustPolicy]) throws(CosignPolicyError) {
        guard !policies.isEmpty else {
            throw CosignPolicyError("trustPolicies", "is empty: it says whose signatures count for which images")
        }
        var names: Set<String> = []
        var global: Int?
        var scopes: [CosignScope] = []
        for (index, policy) in policies.enumerated() {
            guard names.insert(policy.name).inserted else {
                throw CosignPolicyError(
                    "name", "is \"\(policy.name.quoted)\", which another policy has too", policy: index)
            }
            guard !policy.scopes.isEmpty else {
                guard global == nil else {
                    throw CosignPolicyError(
                        "scopes", "is * in two policies; one can be for all other images", policy: index)
                }
                global = index
                continue
            }
            for scope in policy.scopes {
                if let other = scopes.first(where: scope.overlaps) {
                    throw CosignPolicyError(
                        "scopes",
                        "has \"\(scope.description.quoted)\", and \"\(other.description.quoted)\" fits some of its images too: each image "
                            + "must be within one scope", policy: index)
                }
                scopes.append(scope)
                guard scopes.count <= Self.maximumScopes else {
                    throw CosignPolicyError("scopes", "are more than \(Self.maximumScopes) in all", policy: index)
                }
            }
        }
        self.policies = policies
        self.global = global
    }

    /// The policy of an image, and whether that depends on the tag that was asked for.
    ///
    /// A scope with a digest is for that digest however it is asked for. A scope with a tag is for what is asked for by
    /// this tag. Nobody can tell which tags a digest has: an image that is asked for by digest in a repository of which
    /// only tags are in scopes is refused, since any other policy would be one that the asker chose.
    ///
    /// - Parameter digest: the digest that is judged.
    func policy(
        for reference: ImageReference, digest: Digest
    ) throws(NoPolicy) -> (policy: CosignTrustPolicy, isBoundToTag: Bool) {
        var fitting: (policy: CosignTrustPolicy, fit: CosignScope.Fit)?
        var ofTags: CosignTrustPolicy?
        for policy in policies {
            for scope in policy.scopes {
                switch scope.fit(reference, digest: digest) {
                case nil: continue
                case .digest?: return (policy, false)
                case .someTag?: ofTags = ofTags ?? policy
                case let fit?: fitting = (policy, fit)
                }
            }
        }
        if let fitting { return (fitting.policy, fitting.fit == .tag) }
        if let ofTags {
            throw NoPolicy(
                description:
                    "the image is asked for by its digest, and trust policy \"\(ofTags.name.quoted)\" is for tags of "
                    + "\(reference.scopeName) only: nobody can tell which tags a digest has",
                remediation:
                    "Give the policy the scopes \"\(reference.scopeName):*\" and \"\(reference.scopeName)@*\", or one "
                    + "with the digest")
        }
        // Scopes of tags of this repository are for other tags. By its digest the image would be refused.
        let isBoundToTag =
            reference.digest == nil
            && policies.contains { policy in
                policy.scopes.contains { $0.isForTags(of: reference) }
            }
        if let global { return (policies[global], isBoundToTag) }
        throw NoPolicy(
            description: "no trust policy has a scope that fits \"\(reference)\"",
            remediation: "Add a scope that fits the image to a policy in trustPolicies, or use an image that one fits")
    }

    /// Why no policy is for an image.
    struct NoPolicy: Error, Hashable, Sendable, CustomStringConvertible {
        let description: String
        let remediation: String
    }
}
