import Concurrency
import FoundationEssentials
import OCI
import StrictJSON
import Synchronization

/// Images that a full verification has lately admitted, for when a registry, a token endpoint or a vault is down
/// (`cache.staleIfError`).
///
/// It answers for digests only: while the registry is down, nobody knows whether a tag has moved. A denial, also one by
/// another replica, removes the entry, so none is ever turned into an admission. After a change of the configuration or
/// of the trusted certificates no earlier entry is found.
package final class VerifiedImages: Sendable {
    private struct Entry {
        let decision: Decision
        let verified: KeptTime
        /// The earliest expiry of the certificates, signatures and revocation answers that it rests on.
        let validUntil: Date?
        /// A number of its own for each verification.
        let number: UInt64
    }

    private struct State {
        var lastNumber: UInt64 = 0
        /// When images were last denied. A verification that began before that must not admit the image afterwards.
        var denials: [DecisionCache.Key: ContinuousClock.Instant] = [:]
        var denialBytes = 0
        /// Verifications that began before this are ignored: the denials before it are no longer remembered.
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

    /// Changed while the lock of `state` is held, so that a denial and the removal of an entry are atomic.
    private let entries: BoundedCache<DecisionCache.Key, Entry>
    private let state = Mutex(State())

    /// Nothing kept.
    package init(maximumBytes: Int = VerifiedImages.usualBytes) { entries = BoundedCache(maximumCost: maximumBytes) }

    /// How many bytes the images that are kept take at most.
    var maximumBytes: Int { entries.maximumCost }

    /// How many are kept, their bytes, how often one was used, and how often there was none.
    package var counts: CacheCounts { entries.counts }

    private static func bytes(of key: DecisionCache.Key) -> Int {
        256 + key.reference.utf8.count + (key.namespace?.utf8.count ?? 0)
    }

    /// Records the verdict of a full verification, which listed the referrers anew.
    ///
    /// - Parameters:
    ///   - key: with the reference by digest.
    ///   - began: when the verification began: an admission is ignored if the image was denied since.
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

    /// Records a denial, such as one by another replica.
    package func deny(_ key: DecisionCache.Key, now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            entries.remove(key)
            state.deny(key, now)
        }
    }

    /// The admission of an image within the window, as a decision that says that it is an earlier one; `nil` when there
    /// is none to use in place of the verification that failed.
    ///
    /// - Parameter keep: caches the decision for that long. It runs under the lock that denials take: a later denial
    ///   finds the entry that it must remove, and an earlier one leaves nothing to cache.
    /// - Returns: the decision, and how much longer it may be used.
    package func decision(
        for key: DecisionCache.Key, insteadOf fault: TransientFault, window: Duration,
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
                // Counts a miss, and removes the entry.
                _ = entries.value(for: key, now: now) { _ in .expired }
                return nil
            }
            return (entry, age)
        }
    }
}

extension Decision {
    /// This earlier admission, used while a fault lasts, with reports that say so.
    fileprivate func standing(inFor fault: TransientFault, age: Duration) -> Decision {
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
