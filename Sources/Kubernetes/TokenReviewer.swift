import Concurrency
import FoundationEssentials
import OCI
import Quotation
import StrictJSON

/// What is known of the bearer of a token.
package enum TokenReview: Sendable, Hashable {
    /// The user that the API server confirmed: `system:serviceaccount:NAMESPACE:NAME` for a service account.
    case user(String)
    /// The token is nobody's, has expired, or is for somebody else; why.
    case unknown(String)
    /// It could not be found out now; why.
    case unavailable(String)
}

/// Confirms bearer tokens with the API server (TokenReview, `authentication.k8s.io/v1`).
///
/// An answer is remembered for a short time under the token's digest, so that Kyverno's calls do not become as many
/// calls to the API server; the token itself is kept nowhere.
package final class TokenReviewer: Sendable {
    /// The audience of tokens for this service and no other: a token that was sent to somebody else opens nothing here.
    package static let ownAudience = "countersign"
    /// Stands for the API server's own audience, whatever that is in a cluster: tokens of Kyverno up to 1.15 have no
    /// other.
    package static let apiServersAudience = "api-server"

    private let client: KubernetesClient
    private let audiences: [String]
    private let acceptsServersAudience: Bool
    private let flights = SingleFlight<Digest, TokenReview, Never>()
    private let answers: BoundedCache<Digest, TokenReview>

    /// How long a confirmed token is taken for good: it may be revoked meanwhile.
    private static let confirmedLife = Duration.seconds(60)
    /// How long a refused one is taken for bad: it never becomes good, but its memory is bounded.
    private static let refusedLife = Duration.seconds(10)
    /// How many tokens are reviewed at once: strangers must not make us a burden to the API server.
    private static let maximumFlights = 32
    private static let timeout = Duration.seconds(5)

    /// A reviewer.
    ///
    /// - Parameter audiences: one of these must be among a token's audiences; ``apiServersAudience`` stands for the API
    ///   server's own.
    /// - Parameter maximumBytes: how many bytes the answers take that are remembered: of about a thousand tokens.
    package init(
        client: KubernetesClient, audiences: [String] = [TokenReviewer.ownAudience], maximumBytes: Int = 512 << 10
    ) {
        answers = BoundedCache(maximumCost: maximumBytes)
        self.client = client
        self.audiences = audiences.filter { $0 != TokenReviewer.apiServersAudience }
        acceptsServersAudience = audiences.contains(TokenReviewer.apiServersAudience)
    }

    /// How many bytes the answers take that are remembered.
    package var maximumBytes: Int { answers.maximumCost }
    /// How many answers are remembered, their bytes, about, and what they were worth so far.
    package var counts: CacheCounts { answers.counts }

    /// Who the bearer of a token is. The answer is there by the deadline.
    package func review(_ token: String, deadline: ContinuousClock.Instant) async -> TokenReview {
        let key = Digest(of: Array(token.utf8))
        if let known = answers.value(for: key) { return known }
        guard flights.count < TokenReviewer.maximumFlights else {
            return .unavailable("too many tokens are being reviewed at once; ask again in a moment")
        }
        let identity = await flights.value(for: key, deadline: deadline) { [self] in
            let identity = await asked(token, deadline: .now + TokenReviewer.timeout)
            keep(identity, for: key)
            return identity
        }
        return identity ?? .unavailable("the Kubernetes API server \(client.host) did not review the token in time")
    }

    private func keep(_ identity: TokenReview, for key: Digest) {
        let life: Duration
        let name: String
        switch identity {
        case .user(let user): (life, name) = (TokenReviewer.confirmedLife, user)
        case .unknown(let reason): (life, name) = (TokenReviewer.refusedLife, reason)
        // A fault is no answer.
        case .unavailable: return
        }
        let bytes = 384 + name.utf8.count
        guard bytes <= maximumBytes / 16 else { return }
        answers.insert(identity, for: key, cost: bytes, expires: .now + life)
    }

    private func asked(_ token: String, deadline: ContinuousClock.Instant) async -> TokenReview {
        guard !audiences.isEmpty else {
            // An empty list asks for the API server's own audience: nobody's is taken for it by mistake.
            guard acceptsServersAudience else { return .unknown("no audience of tokens is let in") }
            return await review(token, audiences: [], deadline: deadline)
        }
        let first = await review(token, audiences: audiences, deadline: deadline)
        guard case .unknown = first, acceptsServersAudience else { return first }
        return await review(token, audiences: [], deadline: deadline)
    }

    /// What to do about a token of another audience.
    private var remedy: String {
        guard let wanted = audiences.first else { return "" }
        return
            "; Kyverno from 1.16 on sends tokens for \"\(wanted)\" with apiCallToken.audience=\(wanted) in the values of"
            + " its chart; for another audience see --kyverno-audiences"
    }

    private func review(
        _ token: String, audiences: [String], deadline: ContinuousClock.Instant
    ) async -> TokenReview {
        var specification: JSONObject = ["token": .string(token)]
        if !audiences.isEmpty { specification["audiences"] = .array(audiences.map(JSONValue.string)) }
        let status: JSONValue?
        do {
            status = try await client.create(
                .tokenReview,
                [
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": .object(specification),
                ], deadline: deadline)["status"]
        } catch { return .unavailable("the token could not be reviewed: \(error)") }
        guard let status = status?.object else {
            return .unavailable("the Kubernetes API server \(client.host) answered a token review without a status")
        }
        guard status["authenticated"]?.bool == true, let name = status["user"]?["username"]?.string, !name.isEmpty
        else {
            let reason = status["error"]?.string.map { ": \(SentSecrets([token]).quote($0))" } ?? ""
            return .unknown("the token is not valid: it has expired, or is for another audience\(reason)\(remedy)")
        }
        // A server that knows nothing of audiences names none: then the token is for the server itself, and it is for
        // the client to refuse it (authentication.k8s.io/v1, TokenReviewStatus.audiences).
        let granted: [String]
        switch status["audiences"] {
        case nil, .null: granted = []
        case .some(let list):
            guard let audiences = list.strings else {
                return .unavailable(
                    "the Kubernetes API server \(client.host) answered a token review with audiences that are no list of texts"
                )
            }
            granted = audiences
        }
        guard audiences.isEmpty || granted.contains(where: audiences.contains) else {
            return .unknown("the token is for another audience than \(audiences.joined(separator: ", "))\(remedy)")
        }
        return .user(name)
    }
}
