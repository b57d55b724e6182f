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
