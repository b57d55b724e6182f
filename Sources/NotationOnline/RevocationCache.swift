import Concurrency
import FoundationEssentials
import HTTP
import Notation
import PKI

/// Keeps verified OCSP answers and revocation lists until their own `nextUpdate`, or until those who ask want them
/// asked for anew ("Implementations MAY add support for caching CRLs and OCSP response"), bounded in bytes, and fetches
/// each of them once however many ask at a time.
///
/// What could not be fetched or verified is never kept, nor is the answer that a responder does not know a certificate.
public final class RevocationCache: Sendable {
    /// Where an answer comes from, and whom it is about. The issuer is part of it since it is the issuer's key that
    /// made the content trustworthy: a list that some other chain claims as its own is another entry.
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
        /// The time that it is of.
        let thisUpdate: Date
        /// Until when it may be used.
        var expires: Date
        let bytes: Int
        /// Whether it may be kept.
        var isKept = true

        /// Whether it is to stand in the place of another one. Of two of one time, the one that says revoked does, and
        /// the one that can be used for longer.
        fileprivate func replaces(_ other: Answer, until end: Date, insteadOf otherEnd: Date) -> Bool {
            guard thisUpdate == other.thisUpdate else { return thisUpdate > other.thisUpdate }
            switch (content, other.content) {
            case (.single(let new), .single(let old)) where new.isRevoked != old.isRevoked: return new.isRevoked
            case (.list(let new), .list(let old)):
                guard let number = new.list.number, let known = old.list.number, number != known else { break }
                return RevocationList.isGreater(number, than: known)
            default: break
            }
            return end > otherEnd
        }
    }

    /// Who asks for an answer, and what it must be.
    struct Request: Sendable {
        let key: Key
        let now: Date
        let deadline: ContinuousClock.Instant
        /// How long ago it may have been fetched.
        let maximumAge: TimeInterval
        /// Whether an answer is not older than what is known already.
        var isCurrent: @Sendable (Answer) -> Bool = { _ in true }
    }

    /// Fetches and verifies at a time, within limits of its own.
    typealias Fetch = @Sendable (Date) async -> Result<Answer, ValidationFailure>

    private struct Entry {
        let answer: Answer
        let fetch: Fetch
        let fetched: Date
        /// How long it is used at most, by whoever wants it to be shortest.
        var maximumAge: TimeInterval
        /// Whether anybody asked for it since it was fetched.
        var isUsed: Bool
        var notRefreshedBefore = Date.distantPast

        /// Until when it is used.
        var end: Date { min(answer.expires, fetched.addingTimeInterval(maximumAge)) }

        /// When it is fetched again in the background: in the last quarter of its life, six hours ahead at most, so
        /// that a source that is away for a while is back before the answer ends.
        var refreshTime: Date {
            let ahead = min(end.timeIntervalSince(fetched) / 4, 21_600)
            return max(end.addingTimeInterval(-ahead), notRefreshedBefore)
        }
    }

    private let entries: BoundedCache<Key, Entry>

    /// How many bytes are kept at most. Less than before makes room at once.
    public var maximumBytes: Int {
        get { entries.maximumCost }
        set { entries.maximumCost = newValue }
    }
    /// What nothing older may take back, longer than any answer is kept.
    let memory = RevocationMemory()
    private let fetches = SingleFlight<Key, Answer, ValidationFailure>()

    /// A cache of a size; 0 keeps nothing.
    public init(maximumBytes: Int = 64 << 20) { entries = BoundedCache(maximumCost: maximumBytes) }

    /// How many answers are kept, their bytes, and what they were worth so far.
    public var counts: CacheCounts { entries.counts }

    /// A verified answer: a kept one, or a new one. It ends when it is to be asked for anew.
    func answer(_ request: Request, fetch: @escaping Fetch) async throws(ValidationFailure) -> Answer {
        if let kept = kept(request) { return kept }
        let late = ValidationFailure("\(request.key.url) did not answer in time; ask again", isTransient: true)
        // Nobody would wait for it.
        guard .now < request.deadline, !Task.isCancelled else { throw late }
        var answer = try await fetches.value(for: request.key, deadline: request.deadline, leavingWith: { _ in late }) {
            [self] () async throws(ValidationFailure) -> Answer in
            let answer = try await fetch(request.now).get()
            if request.isCurrent(answer) { keep(answer, request, fetch) }
            return answer
        }
        answer.expires = min(answer.expires, request.now.addingTimeInterval(request.maximumAge))
        return answer
    }

    /// Calls ``refresh(now:)`` every few seconds until it is cancelled: for programs that verify for a long time.
    public func run() async {
        while !Task.isCancelled {
            await refresh()
            try? await Task.sleep(for: .seconds(5))
        }
    }

    /// Fetches again what will end soon and was used since it was fetched, so that nobody who verifies has to wait; and
    /// drops what has ended.
    public func refresh(now: Date = Date()) async {
        entries.removeExpired { now > $0.end }
        let due = entries.entries { $0.isUsed && $0.refreshTime <= now && now <= $0.end }
        _ = await due.concurrentMap(atMost: 8) { [self] key, entry in
            let answer: Answer?
            do throws(ValidationFailure) {
                answer = try await fetches.value(for: key, deadline: .now + .seconds(60)) {
                    () async throws(ValidationFailure) -> Answer in try await entry.fetch(now).get()
                }
            } catch { answer = nil }
            refreshed(key, entry, answer, now)
        }
    }

    /// Takes what came of a background fetch.
    private func refreshed(_ key: Key, _ entry: Entry, _ answer: Answer?, _ now: Date) {
        guard let answer else { return leave(key, now) }
        guard answer.isKept else {
            // The responder does not know the certificate any more: whoever asks next is to hear that.
            return entries.remove(key) { $0.fetched == entry.fetched }
        }
        let new = Entry(
            answer: answer, fetch: entry.fetch, fetched: now, maximumAge: entry.maximumAge, isUsed: false)
        guard answer.replaces(entry.answer, until: new.end, insteadOf: entry.end) else { return leave(key, now) }
        keep(new, key)
    }

    /// The kept answer is good to its end; a responder in trouble is not asked all the time.
    private func leave(_ key: Key, _ now: Date) {
        entries.change(key) { $0.notRefreshedBefore = now.addingTimeInterval(60) }
    }

    private func kept(_ request: Request) -> Answer? {
        let now = request.now
        let entry = entries.value(for: request.key) { entry in
            // The clock was set back: how old it is cannot be known.
            guard now <= entry.answer.expires, entry.fetched <= now.addingTimeInterval(SignatureVerifier.clockSkew)
            else { return .expired }
            // It is for others to use who accept older ones, until there is a new one.
            guard now <= entry.fetched.addingTimeInterval(request.maximumAge), request.isCurrent(entry.answer)
            else { return .miss }
            entry.isUsed = true
            entry.maximumAge = min(entry.maximumAge, request.maximumAge)
            return .hit
        }
        guard let entry else { return nil }
        var answer = entry.answer
        answer.expires = min(answer.expires, entry.fetched.addingTimeInterval(request.maximumAge))
        return answer
    }

    private func keep(_ answer: Answer, _ request: Request, _ fetch: @escaping Fetch) {
        guard answer.isKept else { return }
        keep(
            Entry(
                answer: answer, fetch: fetch, fetched: request.now, maximumAge: request.maximumAge, isUsed: true),
            request.key)
    }

    private func keep(_ entry: Entry, _ key: Key) { entries.insert(entry, for: key, cost: entry.answer.bytes) }
}
