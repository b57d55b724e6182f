import FoundationEssentials
import OCI
import PKI
import Synchronization

/// Keeps verified OCSP answers and revocation lists until their own `nextUpdate` ("Implementations MAY add support for
/// caching CRLs and OCSP response"), bounded in bytes, and fetches each of them once however many ask at a time.
///
/// What could not be fetched or verified is never kept, nor is the answer that a responder does not know a certificate.
public final class RevocationCache: Sendable {
    /// Where an answer comes from, and whom it is about. The issuer is part of it since it is the issuer's key that made
    /// the content trustworthy: a list that some other chain claims as its own is another entry.
    struct Key: Hashable, Sendable {
        let url: RevocationURL
        /// SHA-256 of the issuer's certificate.
        let issuer: [UInt8]
        /// The certificate's serial number; `nil` for lists.
        let serialNumber: [UInt8]?
    }

    /// What was fetched and verified.
    struct Answer: Sendable {
        enum Content: Sendable {
            case single(OCSPResponse.Single)
            case list(VerifiedRevocationList)
        }
        let content: Content
        /// Until when it may be used.
        let expires: Date
        let bytes: Int
        /// Whether it may be kept.
        var isKept = true
    }

    /// Fetches and verifies at a time, within limits of its own.
    typealias Fetch = @Sendable (Date) async -> Result<Answer, ValidationFailure>

    private struct Entry {
        let answer: Answer
        let fetch: Fetch
        let fetched: Date
        var lastUse: UInt64
        /// Whether anybody asked for it since it was fetched.
        var isUsed: Bool
        var notRefreshedBefore = Date.distantPast

        /// When it is fetched again in the background: in the last quarter of its life, an hour ahead at most.
        var refreshTime: Date {
            let ahead = min(answer.expires.timeIntervalSince(fetched) / 4, 3_600)
            return max(answer.expires.addingTimeInterval(-ahead), notRefreshedBefore)
        }
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var bytes = 0
        var uses: UInt64 = 0
        var counts = CacheCounts()
        var maximumBytes: Int

        mutating func remove(_ key: Key) {
            if let entry = entries.removeValue(forKey: key) { bytes -= entry.answer.bytes }
        }

        /// Makes room, for the sake of a new entry if there is one.
        mutating func shrink(for new: Key?) {
            guard bytes > maximumBytes else { return }
            // More than is needed makes room, so that a full cache is not sorted for each new entry.
            for (old, _) in entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
                guard bytes > maximumBytes - maximumBytes / 8, old != new else { break }
                remove(old)
                counts.evictions += 1
            }
        }
    }

    /// How many bytes are kept at most. Less than before makes room at once.
    public var maximumBytes: Int {
        get { state.withLock { $0.maximumBytes } }
        set {
            state.withLock { state in
                state.maximumBytes = newValue
                state.shrink(for: nil)
            }
        }
    }
    private let state: Mutex<State>
    private let fetches = SharedWork<Key, Result<Answer, ValidationFailure>>()

    /// A cache of a size; 0 keeps nothing.
    public init(maximumBytes: Int = 64 << 20) { state = Mutex(State(maximumBytes: maximumBytes)) }

    /// How many answers are kept, their bytes, and what they were worth so far.
    public var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            (counts.entries, counts.cost) = (state.entries.count, state.bytes)
            return counts
        }
    }

    /// A verified answer: a kept one, or a new one.
    func answer(
        for key: Key, now: Date, deadline: ContinuousClock.Instant, fetch: @escaping Fetch
    ) async throws(ValidationFailure) -> Answer {
        if let kept = kept(key, now) { return kept }
        let result = await fetches.value(for: key, deadline: deadline) { [self] in
            let result = await fetch(now)
            if case .success(let answer) = result { keep(answer, key, fetch, now, isUsed: true) }
            return result
        }
        guard let result else {
            throw ValidationFailure("\(key.url) did not answer in time; ask again", isPassing: true)
        }
        return try result.get()
    }

    /// Calls ``refresh(now:)`` every few seconds until it is cancelled: for programs that verify for a long time.
    public func run() async {
        while !Task.isCancelled {
            await refresh()
            try? await Task.sleep(for: .seconds(5))
        }
    }

    /// Fetches again what will end soon and was used since it was fetched, so that nobody who verifies has to wait; and drops
    /// what has ended.
    public func refresh(now: Date = Date()) async {
        let due = state.withLock { state in
            for (key, entry) in state.entries where now > entry.answer.expires { state.remove(key) }
            // A dictionary does not shrink by itself.
            if state.entries.isEmpty { state.entries = [:] }
            return state.entries.filter {
                $0.value.isUsed && $0.value.refreshTime <= now && now <= $0.value.answer.expires
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for (number, (key, entry)) in due.enumerated() {
                if number >= 8 { _ = await group.next() }
                group.addTask { [self] in
                    let result = await fetches.value(for: key, deadline: .now + .seconds(60)) {
                        await entry.fetch(now)
                    }
                    if case .success(let answer) = result, answer.expires > entry.answer.expires {
                        keep(answer, key, entry.fetch, now, isUsed: false)
                    } else {
                        // The kept answer is good to its end; a responder in trouble is not asked all the time.
                        state.withLock { $0.entries[key]?.notRefreshedBefore = now.addingTimeInterval(60) }
                    }
                }
            }
        }
    }

    private func kept(_ key: Key, _ now: Date) -> Answer? {
        state.withLock { state in
            guard let answer = state.entries[key]?.answer, now <= answer.expires else {
                state.remove(key)
                state.counts.misses += 1
                return nil
            }
            state.counts.hits += 1
            state.uses += 1
            state.entries[key]?.lastUse = state.uses
            state.entries[key]?.isUsed = true
            return answer
        }
    }

    private func keep(_ answer: Answer, _ key: Key, _ fetch: @escaping Fetch, _ now: Date, isUsed: Bool) {
        guard answer.isKept else { return }
        state.withLock { state in
            guard answer.bytes <= state.maximumBytes else { return }
            state.remove(key)
            state.uses += 1
            state.entries[key] = Entry(answer: answer, fetch: fetch, fetched: now, lastUse: state.uses, isUsed: isUsed)
            state.bytes += answer.bytes
            state.shrink(for: key)
        }
    }
}
