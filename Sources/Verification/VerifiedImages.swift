import Concurrency
import FoundationEssentials
import OCI
import StrictJSON
import Synchronization

/// Images that were admitted by a whole verification not long ago, for when a registry, a token endpoint or a vault is
/// down (`cache.staleIfError`).
///
/// It answers for digests only: while the registry cannot be asked, nobody knows whether a tag has moved. A denial,
/// from wherever it was heard, removes what was kept, so none is ever turned into an admission; and a new configuration
/// or new trusted certificates never see what was kept under the former ones.
package final class VerifiedImages: Sendable {
    private struct Entry {
        let decision: Decision
        let verified: KeptTime
        /// When the first certificate, signature or revocation answer that it rests on ends.
        let validUntil: Date?
        /// Another one for each verification.
        let number: UInt64
    }

    private struct State {
        var lastNumber: UInt64 = 0
        /// When images were last denied, for verifications that began before that and end after it.
        var denials: [DecisionCache.Key: ContinuousClock.Instant] = [:]
        var denialBytes = 0
        /// Verifications that began before this count for nothing: there were more denials than are remembered.
        var floor: ContinuousClock.Instant?

        mutating func deny(_ key: DecisionCache.Key, _ now: ContinuousClock.Instant) {
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

    /// Changed while the lock of `state` is held, so that a denial and what it takes back are one.
    private let entries: BoundedCache<DecisionCache.Key, Entry>
    private let state = Mutex(State())

    /// Nothing kept.
    package init(maximumBytes: Int = VerifiedImages.usualBytes) { entries = BoundedCache(maximumCost: maximumBytes) }

    /// How many bytes the images that are kept take at most.
    var maximumBytes: Int { entries.maximumCost }

    /// How many are kept, their bytes, how often one stood in, and how often there was none.
    package var counts: CacheCounts { entries.counts }

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
            guard window > .zero else { return entries.remove(key) }
            state.lastNumber += 1
            entries.insert(
                Entry(
                    decision: decision.withoutDetails, verified: KeptTime(instant: now, time: time),
                    validUntil: validUntil, number: state.lastNumber),
                for: key, cost: bytes, expires: now + window, now: now)
        }
    }

    /// Takes note of a denial that was heard: from another replica, for instance.
    package func deny(_ key: DecisionCache.Key, now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            entries.remove(key)
            state.deny(key, now)
        }
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
            let isStillKept = state.withLock { _ in
                let same = entries.value(for: key, now: now, countsMisses: false) {
                    $0.number == entry.number ? .hit : .miss
                }
                guard same != nil else { return false }
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
        state.withLock { _ in
            guard let entry = entries.peek(key, now: now), let age = entry.verified.age(now, time), age < window,
                entry.validUntil.map({ time < $0 }) ?? true
            else {
                // Counted, and forgotten.
                _ = entries.value(for: key, now: now) { _ in .expired }
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
