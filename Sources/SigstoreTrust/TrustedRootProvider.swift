import KeyManagement
import Sigstore

/// A key management provider of a trusted root of Sigstore (type `sigstore`).
package final class TrustedRootProvider: TrustedRootSource {
    package let name: String
    package let type = "sigstore"
    private let origin: any TrustedRootOrigin
    private let interval: Duration

    /// How often a repository is asked unless somebody wants something else.
    package static let refreshInterval = Duration.seconds(24 * 3600)
    /// How often a file is read.
    package static let fileInterval = Duration.seconds(10)

    /// A provider of what an origin gives.
    ///
    /// - Parameter interval: how often ``run()`` looks there.
    package init(name: String, origin: any TrustedRootOrigin, interval: Duration = TrustedRootProvider.refreshInterval)
    {
        self.name = name
        self.origin = origin
        self.interval = interval
    }

    package var verifier: BundleVerifier? { origin.holder.verifier }
    package var isFixed: Bool { origin.isFixed }
    package func current() -> CertificateSet? { nil }
    package var status: ProviderStatus { origin.holder.status }
    package var generation: UInt64 { origin.holder.generation }
    package func changes() -> AsyncStream<UInt64> { origin.holder.changes() }

    package var fingerprintParts: [[UInt8]] {
        let sha256 = origin.holder.sha256
        return [Array((sha256 == nil ? "no trusted root" : "trusted root").utf8)] + (sha256.map { [$0] } ?? [])
    }

    package func refresh() async { await origin.look() }

    package func run() async {
        while !Task.isCancelled {
            guard let wait = origin.wait(interval: interval) else { return }
            guard wait > .zero else {
                await origin.look()
                continue
            }
            do { try await Task.sleep(for: wait, clock: .continuous) } catch { return }
        }
    }
}
