import Encoding
import FoundationEssentials
import HTTP
import StrictJSON

/// A token and how long it is good for. Its description does not show it.
package struct AzureToken: Hashable, Sendable, CustomStringConvertible {
    /// The token.
    package let value: String
    /// When it was asked for.
    package let obtained: ContinuousClock.Instant
    /// How long it is good for from then on, by its issuer's count: no two clocks need to agree.
    package let lifetime: Duration
    /// After what time the issuer wants it to be renewed, when it says so.
    package let refreshIn: Duration?

    /// A token.
    package init(value: String, obtained: ContinuousClock.Instant, lifetime: Duration, refreshIn: Duration? = nil) {
        self.value = value
        self.obtained = obtained
        self.lifetime = lifetime
        self.refreshIn = refreshIn
    }

    /// From when on it is not used any more: ahead of its end, since a request takes its time.
    package var expires: ContinuousClock.Instant { obtained + lifetime - min(lifetime / 10, .seconds(60)) }
    /// From when on another one is fetched in the background.
    package var renewal: ContinuousClock.Instant { obtained + min(refreshIn ?? lifetime * 0.75, lifetime * 0.75) }

    /// Says only that it is a token.
    package var description: String { "a token" }

    /// Whether a text can be a token: it is sent in a header or a form.
    static func isUsable(_ value: String) -> Bool {
        !value.isEmpty && value.utf8.count <= 64 * 1024 && value.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Reads the answer of a token endpoint (RFC 6749, section 5.1) or of the metadata service.
    static func read(
        _ response: HTTPResponse, asked: ContinuousClock.Instant, now: Date, endpoint: String, purpose: String
    ) throws(AzureError) -> AzureToken {
        guard let document = try? StrictJSON.parse(response.body), let value = document["access_token"]?.string,
            isUsable(value)
        else { throw AzureError(.malformed, endpoint: endpoint, detail: "\(purpose): the answer holds no token") }
        let left = document["expires_on"]?.lenientInteger.map { $0 - Int64(now.timeIntervalSince1970) }
        guard let seconds = document["expires_in"]?.lenientInteger ?? left, seconds > 0 else {
            throw AzureError(
                .malformed, endpoint: endpoint,
                detail: "\(purpose): the answer does not say how long the token is good for")
        }
        let refresh = document["refresh_in"]?.lenientInteger.flatMap { $0 > 0 ? Duration.seconds($0) : nil }
        return AzureToken(
            value: value, obtained: asked, lifetime: .seconds(min(seconds, 48 * 3600)), refreshIn: refresh)
    }

    /// How long a JWT is good for (RFC 7519, sections 4.1.4 and 4.1.6); `nil` when it does not say. It is not
    /// verified: whoever gave it may say how long to keep it.
    static func lifetime(ofJWT token: String, now: Date) -> Duration? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, token.utf8.count <= 64 * 1024 else { return nil }
        guard let claims = Base64.decodeLeniently(String(parts[1])).flatMap({ try? StrictJSON.parse($0) }),
            let expiry = claims["exp"]?.integer, expiry > 0, expiry < 1 << 40
        else { return nil }
        let start = claims["iat"]?.integer.flatMap { $0 > 0 && $0 < expiry ? $0 : nil }
        return .seconds(expiry - (start ?? Int64(now.timeIntervalSince1970)))
    }
}

/// Who asks.
package struct AzureIdentity: Hashable, Sendable, CustomStringConvertible {
    /// How it proves itself.
    package enum Kind: String, Hashable, Sendable {
        case workloadIdentity = "workload identity"
        case managedIdentity = "managed identity"
    }

    /// How it proves itself.
    package let kind: Kind
    /// Where it asks.
    package let authority: String
    /// Its tenant, where that matters.
    package let tenant: String
    /// Its client id; empty for a system-assigned identity.
    package let client: String

    /// What a person knows it by.
    package var description: String {
        client.isEmpty ? "the system-assigned \(kind.rawValue)" : "\(kind.rawValue) \(client)"
    }
}

/// Gets tokens for one identity.
package protocol AzureTokenSource: Sendable {
    /// Who asks.
    var identity: AzureIdentity { get }

    /// Gets a token, from Azure.
    ///
    /// - Parameter note: told of each fault that is tried again, for callers who cannot wait for the end of it.
    func fetch(
        _ scope: AzureScope, deadline: ContinuousClock.Instant, note: @escaping @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> AzureToken
}
