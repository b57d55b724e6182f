/// Why a trust policy for cosign's signatures cannot be used.
package struct CosignPolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The member of the policy at fault, `scopes` for instance.
    package let member: String
    /// What is wrong with it and what is expected.
    package let problem: String
    /// Which of several policies it is, counted from 0; nil when that is known from where the error comes.
    package let policy: Int?

    /// A fault in a member of a policy.
    package init(_ member: String, _ problem: String, policy: Int? = nil) {
        self.member = member
        self.problem = problem
        self.policy = policy
    }

    /// Where and what.
    package var description: String { "\(member) \(problem)" }
}
