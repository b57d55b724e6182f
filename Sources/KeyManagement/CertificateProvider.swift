import FoundationEssentials
import PKI

/// Where trusted certificates come from: a value in the configuration, files, a vault.
///
/// A provider answers at once from memory. Those whose source can change look at it again in ``run()``, and keep the last
/// good set when that fails.
package protocol CertificateProvider: Sendable {
    /// The name by which verifiers refer to it.
    var name: String { get }
    /// The kind of source: `inline`, `files`, `azurekeyvault`.
    var type: String { get }
    /// The certificates in force; nil as long as there were never any, and when the source says that there are none.
    func current() -> CertificateSet?
    /// A number that grows whenever the certificates in force change, to others or to none.
    var generation: UInt64 { get }
    /// How the last look at the source went.
    var status: ProviderStatus { get }
    /// Looks at the source now.
    func refresh() async
    /// Looks at the source again and again until the task is cancelled. Returns at once where nothing can change.
    func run() async
    /// A stream of the generations from now on: each change gives one element, and a slow reader sees the newest. It ends
    /// with the provider, or with its reader.
    func changes() -> AsyncStream<UInt64>
}

/// How a provider is doing, in the terms of the status of a KeyManagementProvider resource.
package struct ProviderStatus: Hashable, Sendable {
    /// What is known of one certificate.
    package struct Properties: Hashable, Sendable {
        /// The name in the source.
        package let name: String
        /// The version in the source.
        package let version: String
        /// The subject.
        package let subject: String
        /// The SHA-256 of the DER, in hexadecimal.
        package let fingerprint: String
        /// When it becomes valid.
        package let notBefore: Date
        /// When it expires.
        package let notAfter: Date

        init(_ entry: TrustedCertificate) {
            name = entry.name
            version = entry.version
            subject = entry.certificate.subject.rfc2253
            fingerprint = entry.certificate.sha256Hex
            notBefore = entry.certificate.notBefore
            notAfter = entry.certificate.notAfter
        }
    }

    /// Whether the last look at the source gave all that it should. When it did not, an earlier set may still be in force.
    package var isSuccess: Bool
    /// What went wrong; nil when nothing did.
    package var error: String?
    /// The error, cut to what fits a table.
    package var briefError: String? {
        guard let error else { return nil }
        return error.count <= 80 ? error : error.prefix(79) + "…"
    }
    /// When the source was last read with success.
    package var lastFetched: Date?
    /// The certificates in force.
    package var properties: [Properties]
    /// The certificates that were offered and refused.
    package var refused: [RefusedCertificate]

    /// A provider that was not read yet.
    package static let notRead = ProviderStatus(
        isSuccess: false, error: "the certificates were not read yet", lastFetched: nil, properties: [], refused: [])
}
