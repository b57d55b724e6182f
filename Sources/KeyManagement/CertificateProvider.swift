import FoundationEssentials
import PKI

/// Where trusted certificates and public keys come from: a value in the configuration, files, a vault.
///
/// A provider answers at once from memory. Those whose source can change look at it again in ``run()``, and keep the
/// last good set when that fails.
package protocol CertificateProvider: Sendable {
    /// The name by which verifiers refer to it.
    var name: String { get }
    /// The kind of source: `inline`, `files`, `azurekeyvault`, `sigstore`.
    var type: String { get }
    /// Whether it is a source of certificates. One of public keys alone has none to wait for.
    var offersCertificates: Bool { get }
    /// Whether it is a source of public keys.
    var offersKeys: Bool { get }
    /// Whether what it gives stands in the configuration itself: there is no source to look at again.
    var isFixed: Bool { get }
    /// The certificates in force; nil as long as there were never any, and when the source says that there are none.
    func current() -> CertificateSet?
    /// The public keys in force: those that the source lets be used and that could be read.
    var keys: [TrustedKey] { get }
    /// Whether there is what the provider is for.
    var isReady: Bool { get }
    /// A number that grows whenever the certificates or keys in force change, to others or to none. It changes in the
    /// same moment as they do.
    var generation: UInt64 { get }
    /// What tells the trust that it gives from any other, the same in every process: part of
    /// ``TrustedCertificates/fingerprint``.
    var fingerprintParts: [[UInt8]] { get }
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
    /// A source of one or the other, unless a provider says that it can be both or neither.
    package var offersKeys: Bool { !offersCertificates }

    /// Of the type `inline`, unless a provider knows better.
    package var isFixed: Bool { type == "inline" }

    /// None, unless a provider has some.
    package var keys: [TrustedKey] { [] }

    /// Certificates, or public keys where there is nothing else.
    package var isReady: Bool { offersCertificates ? current() != nil : !keys.isEmpty }

    /// The certificates and the keys, with how many there are of each.
    package var fingerprintParts: [[UInt8]] {
        let certificates = current()?.certificates ?? []
        let keys = keys
        return [Array("\(certificates.count) certificates, \(keys.count) keys".utf8)] + certificates.map(\.sha256)
            + keys.flatMap { [Array($0.name.utf8), Array($0.version.utf8), $0.key.spkiDER] }
    }
}
