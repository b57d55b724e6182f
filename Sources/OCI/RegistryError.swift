/// What went wrong while asking a registry, an image layout or a source of credentials.
public struct RegistryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller can act on.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The registry says that there is no such manifest, blob or repository.
        case notFound
        /// The registry refuses the credentials, or wants some where there are none.
        case unauthorized
        /// The registry knows the caller and refuses.
        case forbidden
        /// 429, still after the retries that the deadline allowed.
        case throttled
        /// No answer that means anything: name lookup, connection, TLS, or a 5xx status that stayed.
        case unavailable
        /// The deadline passed.
        case timeout
        /// The caller was cancelled.
        case cancelled
        /// Content that is not what its digest says.
        case digestMismatch
        /// Content that has another size than its descriptor says.
        case sizeMismatch
        /// An answer or a document that breaks its specification.
        case malformed
        /// Content larger than the limit.
        case tooLarge
        /// More entries or pages than the limit.
        case tooMany
        /// The source of credentials is broken: a configuration file that cannot be read, a helper that fails.
        case credentials
        /// The registry refuses what was asked with a status that has no kind of its own.
        case refused
        /// A file of an image layout cannot be read or written.
        case storage
    }

    /// What a caller can act on.
    public let kind: Kind
    /// The registry's host, or the directory of an image layout.
    public let host: String
    /// What was asked for: `library/nginx:1.27`, `library/nginx@sha256:…`; empty when it is about the host as a whole.
    public let subject: String
    /// What happened, and what to do about it.
    public let detail: String
    /// When the registry said how long to wait: that long.
    public let retryAfter: Duration?

    /// Whether what we were configured with is at fault: a file that is not there, a program that is not installed.
    /// Asking again is of no use before somebody has mended it.
    public let isConfiguration: Bool

    /// An error with the given fields.
    public init(
        _ kind: Kind, host: String, subject: String = "", detail: String, retryAfter: Duration? = nil,
        isConfiguration: Bool = false
    ) {
        self.kind = kind
        self.host = host
        self.subject = subject
        self.detail = detail
        self.retryAfter = retryAfter
        self.isConfiguration = isConfiguration
    }

    /// Whether the same question may well have another answer in a moment, or when somebody has mended what is
    /// configured (``isConfiguration``). Such a fault says nothing about the image
    /// and must never be kept as a verdict on it.
    public var isTransient: Bool {
        switch kind {
        case .throttled, .unavailable, .timeout, .cancelled, .credentials, .storage: true
        case .notFound, .unauthorized, .forbidden, .digestMismatch, .sizeMismatch, .malformed, .tooLarge, .tooMany,
            .refused:
            false
        }
    }

    /// What happened, where, and what to do, for a person.
    public var description: String { subject.isEmpty ? "\(host): \(detail)" : "\(host): \(subject): \(detail)" }
}
