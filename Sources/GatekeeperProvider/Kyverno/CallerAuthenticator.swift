/// Tells who the bearer of a token is. Kyverno proves itself with the token of its service account, which only the
/// API server can confirm.
package protocol CallerAuthenticator: Sendable {
    /// Who sent the token. The answer is there by the deadline.
    func authenticate(token: String, deadline: ContinuousClock.Instant) async -> CallerIdentity
}

/// What is known of a caller.
package enum CallerIdentity: Sendable, Hashable {
    /// The user that the API server confirmed: `system:serviceaccount:NAMESPACE:NAME` for a service account.
    case user(String)
    /// The token is nobody's, or has expired.
    case unknown(String)
    /// It could not be found out now.
    case unavailable(String)
}

/// The listener for Kyverno, beside Gatekeeper's: it asks for a client certificate, but does not insist.
package struct KyvernoListener: Sendable, Hashable {
    /// Kyverno's controllers that evaluate policies, as its chart names them in the namespace `kyverno`.
    package static let defaultUsers: Set<String> = [
        "system:serviceaccount:kyverno:kyverno-admission-controller",
        "system:serviceaccount:kyverno:kyverno-background-controller",
        "system:serviceaccount:kyverno:kyverno-reports-controller",
    ]

    /// Where it listens.
    package var address: ListenAddress
    /// The users that a token may belong to.
    package var users: Set<String>

    /// A listener, by default for Kyverno's own service accounts.
    package init(address: ListenAddress, users: Set<String> = KyvernoListener.defaultUsers) {
        self.address = address
        self.users = users
    }
}
