import OCI
import Quotation

/// What a caller proves itself with at a registry. It never shows its secret in a description.
public enum RegistryCredential: Hashable, Sendable, CustomStringConvertible {
    /// None.
    case anonymous
    /// A user name and a password (or an access token in its place).
    case basic(user: String, password: String)
    /// An OAuth 2 refresh token, to be exchanged at the registry's token endpoint.
    case identityToken(String)
    /// A bearer token, to be sent as it is.
    case bearer(String)

    /// The kind of the credential, and the user's name.
    public var description: String {
        switch self {
        case .anonymous: "no credentials"
        case .basic(let user, _): "user \"\(user.quoted)\""
        case .identityToken: "an identity token"
        case .bearer: "a bearer token"
        }
    }
}

/// Where credentials come from.
public protocol RegistryCredentials: Sendable {
    /// The credential for a repository.
    ///
    /// - Parameters:
    ///   - endpoint: ``ImageReference/endpoint``: the host, with its port if there is one, that is talked to.
    ///   - repository: the repository, for sources that tell them apart.
    /// - Throws: ``RegistryError`` when the source is broken; having nothing for this registry is no error but
    ///   ``RegistryCredential/anonymous``.
    func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential

    /// Told that a registry refused a credential: a source that keeps credentials forgets this one.
    func credentialRejected(_ credential: RegistryCredential, for endpoint: String, repository: String) async
}

extension RegistryCredentials {
    /// Nothing to forget.
    public func credentialRejected(_ credential: RegistryCredential, for endpoint: String, repository: String) async {}
}

/// No credentials, ever.
public struct AnonymousCredentials: RegistryCredentials {
    /// No credentials.
    public init() {}

    /// ``RegistryCredential/anonymous``.
    public func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential { .anonymous }
}
