import FoundationEssentials
import OCI
import OCIRegistry

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A user name and password from the command line or the environment, as `notation` takes them. They are for the
/// registry of one reference: to no other host are they sent.
struct GivenCredentials: RegistryCredentials {
    private let endpoint: String
    private let credential: RegistryCredential

    /// Credentials for the registry of a reference.
    ///
    /// - Parameters:
    ///   - user: the user; without one the password is an identity token.
    ///   - password: the password.
    init(user: String, password: String, for reference: ImageReference) {
        endpoint = reference.endpoint
        credential = user.isEmpty ? .identityToken(password) : .basic(user: user, password: password)
    }

    func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential { endpoint == self.endpoint ? credential : .anonymous }

    // MARK: The environment

    /// `NOTATION_USERNAME` and `NOTATION_PASSWORD`, empty where they are not set. They leave this process's environment
    /// when they are first looked at, so that no program that it starts inherits them.
    static let ofEnvironment: (user: String, password: String) = {
        let environment = ProcessInfo.processInfo.environment
        for name in ["NOTATION_USERNAME", "NOTATION_PASSWORD"] { unsetenv(name) }
        return (environment["NOTATION_USERNAME"] ?? "", environment["NOTATION_PASSWORD"] ?? "")
    }()
}
