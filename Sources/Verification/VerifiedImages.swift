import FoundationEssentials
import StrictJSON
import Synchronization

/// Images that were admitted by a whole verification not long ago, for when a registry, a token endpoint or a vault is
/// down (`cache.staleIfError`).
///
/// It answers for digests only: while the registry cannot be asked, nobody knows whether a tag has moved. A denial
/// removes what was kept, so none is ever turned into an admission; and a new configuration or new trusted certificates
/// never see what was kept under the former ones.
package final class VerifiedImages: Sendable {
    private struct Entry {
        let decision: Decision
        let verified: ContinuousClock.Instant
        /// When the first certificate, signature or revocation answer that it rests on ends.
        let validUntil: Date?
        let bytes: Int
    }

    private struct State {
        var entries: [DecisionCache.Key: Entry] = [:]
        var bytes = 0
        var admissions: UInt64 = 0

        mutating func remove(_ key: DecisionCache.Key) {
            if let entry = entries.removeValue(forKey: key) { bytes -= entry.bytes }
        }
    }

    private let maximumBytes: Int
    private let state = Mutex(State())

    /// Nothing kept.
    package init(maximumBytes: Int = 32 << 20) { self.maximumBytes = maximumBytes }

    /// How many are kept, and how often one was admitted so far.
    package var counts: (images: Int, bytes: Int, admissions: UInt64) {
        state.withLock { ($0.entries.count, $0.bytes, $0.admissions) }
    }

    /// Takes note of a verdict that was just reached, referrers listed and all.
    ///
    /// - Parameter key: with the reference by digest.
    package func note(
        _ decision: Decision, for key: DecisionCache.Key, validUntil: Date?, window: Duration,
        now: ContinuousClock.Instant = .now
    ) {
        let bytes = 512 + 4 * decision.reportsJSON.count + 2 * key.reference.utf8.count
        state.withLock { state in
            state.remove(key)
            guard decision.isSuccess, window > .zero, bytes <= maximumBytes else { return }
            state.entries[key] = Entry(
                decision: decision.withoutDetails, verified: now, validUntil: validUntil, bytes: bytes)
            state.bytes += bytes
            guard state.bytes > maximumBytes else { return }
            for (key, entry) in state.entries where entry.verified + window < now { state.remove(key) }
            guard state.bytes > maximumBytes else { return }
            for (key, _) in state.entries.sorted(by: { $0.value.verified < $1.value.verified }) {
                guard state.bytes > maximumBytes - maximumBytes / 10 else { break }
                state.remove(key)
            }
        }
    }

    /// What was decided on an image within the window, as a decision that says so; `nil` when nothing may stand in for
    /// the verification that failed.
    ///
    /// - Returns: the decision, and how much longer it may be used.
    package func decision(
        for key: DecisionCache.Key, insteadOf fault: PassingFault, window: Duration,
        now: ContinuousClock.Instant = .now, time: Date = Date()
    ) -> (decision: Decision, validFor: Duration)? {
        let entry = state.withLock { state -> Entry? in
            guard let entry = state.entries[key] else { return nil }
            guard entry.verified + window > now, entry.validUntil.map({ time < $0 }) ?? true else {
                state.remove(key)
                return nil
            }
            state.admissions += 1
            return entry
        }
        guard let entry else { return nil }
        let age = entry.verified.duration(to: now)
        var left = window - age
        if let end = entry.validUntil { left = min(left, .seconds(end.timeIntervalSince(time))) }
        let seconds = age.components.seconds
        let reports = entry.decision.reports.map { report in
            var report = report
            report.message += "; verified \(seconds) s ago, which counts while this lasts: \(fault)"
            report.extensions["stale"] = [
                "ageSeconds": .number(String(seconds)), "cause": .string(fault.description),
            ]
            return report
        }
        let decision = Decision(
            isSuccess: true, reference: entry.decision.reference, digest: entry.decision.digest, reports: reports)
        return (decision, left)
    }
}
