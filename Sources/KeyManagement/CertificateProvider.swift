import FoundationEssentials
import PKI

/// Where trusted certificates come from: a value in the configuration, files, a vault.
///
/// A provider answers at once from memory. Those whose source can change look at it again in ``run()``, and keep the
/// last good set when that fails.
package protocol CertificateProvider: Sendable {
    /// The name by which verifiers refer to it.
    var name: String { get }
    /// The kind of source: `inline`, `files`, `azurekeyvault`.
    var type: String { get }
    /// Whether it is a source of certificates. One of public keys alone has none to wait for.
    var offersCertificates: Bool { get }
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
    /// A stream of the generations from now on: each change gives one element, and a slow reader sees the newest. It
    /// ends with the provider, or with its reader.
    func changes() -> AsyncStream<UInt64>
}

extension CertificateProvider {
    /// Whether there is what the provider is for: certificates, or public keys where it has nothing else.
    package var isReady: Bool { offersCertificates ? current() != nil : !status.keys.isEmpty }
}
