import Kubernetes
import Kyverno

extension TokenReviewer: CallerAuthenticator {
    package func authenticate(token: String, deadline: ContinuousClock.Instant) async -> CallerIdentity {
        switch await review(token, deadline: deadline) {
        case .user(let name): .user(name)
        case .unknown(let reason): .unknown(reason)
        case .unavailable(let reason): .unavailable(reason)
        }
    }
}
