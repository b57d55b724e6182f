import FoundationEssentials
import OCI
import StrictJSON
import Synchronization

/// Images that were admitted by a whole verification not long ago, for when a registry, a token endpoint or a vault is
/// down (`cache.staleIfError`).
///
/// It answers for digests only: while the registry cannot be asked, nobody knows whether a tag has moved. A denial, from
/// wherever it was heard, removes what was kept, so none is ever turned into an admission; and a new configuration or new
/// trusted certificates never see what was kept under the former ones.
package final class VerifiedImages: Sendable {
    private struct Entry {
        let decision: Decision
        let verified: KeptTime
        /// When the first certificate, signature or revocation answer that it rests on ends.
        let validUntil: Date?
        let bytes: Int
        /// Another one for each verification.
        let number: UInt64
    }

    private struct State {
        var entries: [DecisionCache.Key: Entry] = [:]
        var bytes = 0
        var lastNumber: UInt64 = 0
        /// Without what is kept, which is known.
        var counts = CacheCounts()
        /// When images were last denied, for verifications that began before that and end after it.
        var denials: [DecisionCache.Key: ContinuousClock.Instant] = [:]
        var denialBytes = 0
        /// Verifications that began before this count for nothing: there were more denials than are remembered.
        var floor: ContinuousClock.Instant?

        mutating func remove(_ key: DecisionCache.Key) {
            if let entry = entries.removeValue(forKey: key) { bytes -= entry.bytes }
        }

        mutating func deny(_ key: DecisionCache.Key, _ now: ContinuousClock.Instant) {
            remove(key)
            if denials.updateValue(now, forKey: key) == nil { denialBytes += VerifiedImages.bytes(of: key) }
            if denialBytes > VerifiedImages.maximumDenialBytes { (denials, denialBytes, floor) = ([:], 0, now) }
        }

        /// Whether a verification is newer than the last denial of its image.
        mutating func isNews(_ key: DecisionCache.Key, began: ContinuousClock.Instant) -> Bool {
            guard began > floor ?? began - .seconds(1) else { return false }
            guard let denied = denials[key] else { return true }
            guard began > denied else { return false }
            denials[key] = nil
            denialBytes -= VerifiedImages.bytes(of: key)
            return true
        }
    }

    /// How many bytes the images that are kept take at most: some ten thousand.
    package static let usualBytes = 32 << 20
    /// The bytes of the denials that are remembered for verifications under way.
    static let maximumDenialBytes = 1 << 20

    let maximumBytes: Int
    private let state = Mutex(State())

    /// Nothing kept.
    package init(maximumBytes: Int = VerifiedImages.usualBytes) { self.maximumBytes = maximumBytes }

    /// How many are kept, their bytes, how often one stood in, and how often there was none.
    package var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            (counts.entries, counts.cost) = (state.entries.count, state.bytes)
            return counts
        }
    }

    private static func bytes(of key: DecisionCache.Key) -> Int {
        256 + key.reference.utf8.count + (key.namespace?.utf8.count ?? 0)
    }

    /// Takes note of a verdict that was just reached, referrers listed and all.
    ///
    /// - Parameters:
    ///   - key: with the reference by digest.
    ///   - began: when the verification began: an admission counts for nothing if the image was denied since.
    package func note(
        _ decision: Decision, for key: DecisionCache.Key, validUntil: Date?, window: Duration,
        began: ContinuousClock.Instant, now: ContinuousClock.Instant = .now, time: Date = Date()
    ) {
        guard decision.isSuccess else { return deny(key, now: now) }
        let bytes = VerifiedImages.bytes(of: key) + 256 + 4 * decision.reportsJSON.count
        state.withLock { state in
            guard state.isNews(key, began: began) else { return }
            state.remove(key)
            guard window > .zero, bytes <= maximumBytes else { return }
            state.lastNumber += 1
            state.entries[key] = Entry(
                decision: decision.withoutDetails, verified: KeptTime(instant: now, time: time),
                validUntil: validUntil, bytes: bytes, number: state.lastNumber)
            state.bytes += bytes
            guard state.bytes > maximumBytes else { return }
            for (key, entry) in state.entries where entry.verified.age(now, time).map({ $0 >= window }) ?? true {
                state.remove(key)
            }
            guard state.bytes > maximumBytes else { return }
            for (key, _) in state.entries.sorted(by: { $0.value.number < $1.value.number }) {
                guard state.bytes > maximumBytes - maximumBytes / 10 else { break }
                state.remove(key)
                state.counts.evictions += 1
            }
        }
    }

    /// Takes note of a denial that was heard: from another replica, for instance.
    package func deny(_ key: DecisionCache.Key, now: ContinuousClock.Instant = .now) {
        state.withLock { $0.deny(key, now) }
    }

    /// What was decided on an image within the window, as a decision that says so; `nil` when nothing may stand in for
    /// the verification that failed.
    ///
    /// - Parameter keep: keeps the decision for so long. While it does, no denial of the image can be noted: one that
    ///   comes in afterwards finds what it must remove, and one that came before leaves nothing to keep.
    /// - Returns: the decision, and how much longer it may be used.
    package func decision(
        for key: DecisionCache.Key, insteadOf fault: PassingFault, window: Duration,
        now: ContinuousClock.Instant = .now, time: Date = Date(),
        keep: (Decision, Duration) -> Void = { _, _ in }
    ) -> (decision: Decision, validFor: Duration)? {
        while let (entry, age) = entry(key, window, now, time) {
            var left = window - age
            if let end = entry.validUntil { left = min(left, .seconds(end.timeIntervalSince(time))) }
            let decision = entry.decision.standing(inFor: fault, age: age)
            let isStillKept = state.withLock { state in
                guard state.entries[key]?.number == entry.number else { return false }
                state.counts.hits += 1
                keep(decision, left)
                return true
            }
            if isStillKept { return (decision, left) }
        }
        return nil
    }

    private func entry(
        _ key: DecisionCache.Key, _ window: Duration, _ now: ContinuousClock.Instant, _ time: Date
    ) -> (Entry, age: Duration)? {
        state.withLock { state in
            guard let entry = state.entries[key] else {
                state.counts.misses += 1
                return nil
            }
            guard let age = entry.verified.age(now, time), age < window, entry.validUntil.map({ time < $0 }) ?? true
            else {
                state.remove(key)
                state.counts.misses += 1
                return nil
            }
            return (entry, age)
        }
    }
}

extension Decision {
    /// An earlier admission that counts while a fault lasts, and says so.
    fileprivate func standing(inFor fault: PassingFault, age: Duration) -> Decision {
        let seconds = age.components.seconds
        let reports = reports.map { report in
            var report = report
            report.message += "; verified \(seconds) s ago, which counts while this lasts: \(fault)"
            report.extensions["stale"] = [
                "ageSeconds": .number(String(seconds)), "cause": .string(fault.description),
            ]
            return report
        }
        return Decision(isSuccess: true, reference: reference, digest: digest, reports: reports, leftOut: leftOut)
    }
}
