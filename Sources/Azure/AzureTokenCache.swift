import Concurrency
import FoundationEssentials

/// One exchange with Azure that is over, for metrics.
package struct AzureExchange: Sendable {
    /// What was exchanged.
    package enum Kind: Hashable, Sendable {
        /// An identity's proof for an access token.
        case accessToken
        /// An access token for a registry's refresh token.
        case registryToken
        /// An access token for a certificate or key of a vault, by its name.
        case vaultObject(String)
    }

    /// What was exchanged.
    package let kind: Kind
    /// How long it took.
    package let duration: Duration
    /// Why it failed; `nil` when it did not.
    package let fault: AzureError.Kind?
}

/// Told of exchanges.
package typealias AzureObserver = @Sendable (AzureExchange) -> Void

/// The access tokens of the process, one for each identity and scope: got once for all who need it, and renewed ahead
/// of their end.
package final class AzureTokenCache: Sendable {
    private struct Question: Hashable, Sendable {
        let identity: AzureIdentity
        let scope: AzureScope
    }

    /// Longer than the metadata service may need to come back (70 seconds, by its documentation).
    private let keeper = TokenKeeper<Question>(maximumEntries: 256, workTime: .seconds(75))
    private let observe: AzureObserver

    /// An empty cache.
    package init(observe: @escaping AzureObserver = { _ in }) { self.observe = observe }

    /// How many tokens are kept, their bytes, about, and what they were worth so far.
    package var counts: CacheCounts { keeper.counts }
    /// How many bytes they take at most.
    package var maximumBytes: Int { keeper.maximumBytes }

    /// An access token.
    ///
    /// - Parameter heard: told of faults on the way by whoever begins to get the token.
    package func token(
        from source: any AzureTokenSource, for scope: AzureScope, deadline: ContinuousClock.Instant,
        heard: @escaping @Sendable (AzureError) -> Void = { _ in }
    ) async throws(AzureError) -> AzureToken {
        let identity = source.identity
        let timeout = AzureError(
            .timeout, endpoint: AzureTokenCache.host(identity.authority),
            detail: "getting a token for \(identity): no answer within the time allowed")
        return try await keeper.token(
            for: Question(identity: identity, scope: scope), deadline: deadline, timeout: timeout
        ) { [observe] (deadline, note) async throws(AzureError) -> AzureToken in
            let start = ContinuousClock.now
            do throws(AzureError) {
                let token = try await source.fetch(scope, deadline: deadline) { fault in
                    note(fault)
                    heard(fault)
                }
                observe(AzureExchange(kind: .accessToken, duration: .now - start, fault: nil))
                return token
            } catch {
                observe(AzureExchange(kind: .accessToken, duration: .now - start, fault: error.kind))
                throw error
            }
        }
    }

    /// Forgets a token that was refused.
    package func forget(_ token: AzureToken, from source: any AzureTokenSource, for scope: AzureScope) {
        keeper.forget(Question(identity: source.identity, scope: scope), value: token.value)
    }

    private static func host(_ url: String) -> String {
        let rest = url.split(separator: "://").last ?? ""
        return String(rest.prefix { $0 != "/" })
    }
}
