import NotationOnline
import ServiceLifecycle
import ServiceMetrics
import Synchronization

/// The revocation answers of the process, kept over changes of the configuration: all verifiers share them, for their
/// content is verified and public.
///
/// How many bytes they may take is the cluster's to say. Each verifier that says so has a wish, for as long as it
/// lives; the largest one counts.
package final class RevocationAnswers: Service {
    /// What one verifier wishes, until it goes.
    package final class Wish: Sendable {
        fileprivate let bytes: Int
        private let answers: RevocationAnswers
        private let number: UInt64

        fileprivate init(_ bytes: Int, of answers: RevocationAnswers, number: UInt64) {
            (self.bytes, self.answers, self.number) = (bytes, answers, number)
        }

        deinit { answers.withdraw(number) }
    }

    private struct Wishes {
        var bytes: [UInt64: Int] = [:]
        var lastNumber: UInt64 = 0
    }

    /// How many bytes are kept unless the configuration says otherwise.
    package static let usualBytes = 64 << 20

    /// The answers.
    package let cache = RevocationCache(maximumBytes: RevocationAnswers.usualBytes)
    private let wishes = Mutex(Wishes())

    /// No answers yet.
    package init() {}

    /// Takes a verifier's wish for so many bytes into account while it is held.
    package func wish(bytes: Int) -> Wish {
        let number = wishes.withLock { wishes in
            wishes.lastNumber += 1
            wishes.bytes[wishes.lastNumber] = bytes
            fit(wishes)
            return wishes.lastNumber
        }
        return Wish(bytes, of: self, number: number)
    }

    private func withdraw(_ number: UInt64) {
        wishes.withLock { wishes in
            wishes.bytes[number] = nil
            fit(wishes)
        }
    }

    private func fit(_ wishes: Wishes) {
        let bytes = wishes.bytes.values.max() ?? RevocationAnswers.usualBytes
        if cache.maximumBytes != bytes { cache.maximumBytes = bytes }
    }

    /// Says how much is kept.
    package func report(to metrics: MetricsRegistry) {
        let counts = cache.counts
        metrics.gauge(
            "countersign_revocation_cache_entries", [], Double(counts.entries),
            help: "OCSP answers and revocation lists that are kept.")
        metrics.gauge(
            "countersign_revocation_cache_bytes", [], Double(counts.cost),
            help: "The bytes of the OCSP answers and revocation lists that are kept.")
    }

    /// Fetches answers again before they end, until graceful shutdown.
    package func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { [self] in
                await cache.refresh()
                try await Task.sleep(for: .seconds(5))
            }
        }
    }
}
