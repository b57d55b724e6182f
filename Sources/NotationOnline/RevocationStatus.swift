import FoundationEssentials
import Notation

/// What is known of one certificate's revocation.
enum RevocationStatus: Sendable {
    /// It is not revoked, or names no source that could say so. The time is when the answer ends, `nil` for never.
    case good(until: Date?)
    /// It is revoked: who says so, since when and why.
    case revoked(ValidationFailure)
    /// It cannot be determined ("revocation unavailable").
    case unknown(ValidationFailure)
}

extension ValidationFailure {
    /// Several failures as one. It is transient when one of them is: the source that could not be reached may yet give
    /// the answer that the others did not.
    static func joined(_ failures: [ValidationFailure]) -> ValidationFailure {
        ValidationFailure(
            failures.map(\.description).joined(separator: "; "), isTransient: failures.contains(where: \.isTransient))
    }
}
