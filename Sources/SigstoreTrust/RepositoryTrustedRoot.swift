import Concurrency
import Encoding
import FoundationEssentials
import KeyManagement
import Sigstore
import Synchronization
import TUF

/// What the trusted root of a repository tells its owner, once for each change.
package enum TrustedRootNotice: Hashable, Sendable {
    /// The repository was asked, and gave a trusted root that is not the one before, or did so again after a fault.
    case fetched(fingerprint: String, versions: [String: Int64], validUntil: Date)
    /// Something is wrong, in words.
    case failing(String)
    /// What was seen cannot be kept: a later process may accept what is older.
    case forgetful(String)
}

/// The trusted root of an instance of Sigstore, from its TUF repository.
///
/// Until the repository has been asked with success the one that is compiled in is in force, if there is one. From then
/// on it is the last good one, until its own expiry: who can keep updates away can do so for no longer than that. A
/// repository that is not to be trusted changes nothing.
package final class RepositoryTrustedRoot: TrustedRootOrigin {
    /// What tells one repository from another, and what it may be trusted for.
    package struct Place: Hashable, Sendable {
        /// The repository's URL.
        package let url: String
        /// Where trust in it begins.
        package let root: [UInt8]
        /// Where what was seen is kept; nil where it is kept for the life of the process.
        package let directory: String?
        /// A file of authorities that are trusted for TLS beside the system's.
        package let authorities: String?

        /// A place.
        package init(url: String, root: [UInt8], directory: String? = nil, authorities: String? = nil) {
            self.url = url
            self.root = root
            self.directory = directory
            self.authorities = authorities
        }
    }

    private struct State {
        var lastLook: ContinuousClock.Instant?
        var failures = 0
        /// Whether a whole update, of this process or of one before it, has ever been good.
        var wasGood = false
        /// Waits are jittered: replicas start together.
        var jitter = 1.0
        /// What was told last of faults; nil when all is well.
        var told: String?
        var toldOfStore = false
    }

    package let holder: TrustedRootHolder
    package let isFixed = false
    private let place: Place
    private let repository: TrustedRootRepository
    private let roots: LoadedRoots
    private let retry: Duration
    private let notice: @Sendable (TrustedRootNotice) -> Void
    private let now: @Sendable () -> Date
    private let state = Mutex(State())
    private let looks = SingleFlight<String, Void, Never>()

    /// How long one look may take.
    private static let lookTime = Duration.seconds(60)
    /// The longest wait after a look that failed, and while no trusted root is in force.
    private static let longestRetry = (known: Duration.seconds(600), unknown: Duration.seconds(30))
    /// The shortest wait after one that succeeded.
    private static let shortestWait = Duration.seconds(60)

    /// A trusted root that was not fetched yet.
    ///
    /// - Parameters:
    ///   - shipped: a trusted root of the same instance, in JSON, that is in force until one was fetched.
    ///   - retry: the wait after a look that failed; it doubles for each further one.
    ///   - notice: told of each change.
    package init(
        _ place: Place, fetcher: any RepositoryFetcher, shipped: [UInt8]? = nil, origins: TrustedRootOrigins,
        retry: Duration = .seconds(5), notice: @escaping @Sendable (TrustedRootNotice) -> Void = { _ in },
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(TrustedRootError) {
        self.place = place
        self.retry = retry
        self.notice = notice
        self.now = now
        roots = origins.roots
        let store: any MetadataStore = place.directory.map(DirectoryMetadataStore.init) ?? MemoryMetadataStore()
        repository = TrustedRootRepository(fetcher, root: place.root, store: store)
        holder = TrustedRootHolder(now: now)
        if let shipped {
            holder.install(
                try roots.root(parsing: shipped),
                TrustedRootHolder.Description(source: "compiled in; \(place.url) was not asked yet"))
        }
    }

    package func look() async {
        _ = await looks.value(for: place.url, deadline: nil) { [self] in await update() }
    }

    package func wait(interval: Duration) -> Duration? {
        let state = state.withLock { $0 }
        guard let last = state.lastLook else { return .zero }
        let end = holder.validUntil.map { Duration.seconds(max(0, $0.timeIntervalSince(now()))) }
        var wait: Duration
        if state.failures == 0 {
            // Well before it ends, whatever the interval.
            wait = max(min(interval, end.map { $0 / 2 } ?? interval), Self.shortestWait) * (0.9 + 0.2 * state.jitter)
        } else {
            let longest = holder.verifier == nil ? Self.longestRetry.unknown : Self.longestRetry.known
            wait = retry
            for _ in 1..<min(state.failures, 16) where wait < longest { wait = wait * 2 }
            wait = min(wait, longest, interval) * (0.5 + 0.5 * state.jitter)
        }
        wait -= .now - last
        // Once more in the moment that it ends, so that all hear of it.
        return max(.zero, min(wait, end ?? wait))
    }

    private func update() async {
        let time = now()
        // What a process before this one has kept is good at once.
        if place.directory != nil, state.withLock({ $0.lastLook == nil }),
            let kept = try? await repository.lastGood(at: time)
        {
            install(kept, read: nil)
        }
        do throws(TrustedRootFault) {
            let fetched = try await repository.update(at: time, deadline: .now + Self.lookTime)
            let faults = await repository.storeFaults
            let isOther = install(fetched, read: time, warnings: faults.prefix(1).map(Self.warning))
            note(nil)
            tell(fetched, isOther: isOther, faults)
        } catch {
            await keep(after: error, at: time)
            note(error)
            tell(error)
        }
    }

    @discardableResult
    private func install(
        _ fetched: FetchedTrustedRoot, read: Date?, error: String? = nil, isConfiguration: Bool = false,
        warnings: [String] = []
    ) -> Bool {
        state.withLock { $0.wasGood = true }
        let root = roots.root(of: fetched.bytes) { fetched.root }
        return holder.install(
            root,
            TrustedRootHolder.Description(
                source: place.url, versions: fetched.versions, validUntil: fetched.validUntil, read: read),
            error: error, isConfiguration: isConfiguration, warnings: warnings)
    }

    /// After a look that failed: what was good before is looked at again. It may have expired, and the update may have
    /// come as far as a new root of the repository, whose keys are the ones that count.
    private func keep(after fault: TrustedRootFault, at time: Date) async {
        let isLasting = !fault.isTransient
        guard state.withLock({ $0.wasGood }) else {
            let consequence = holder.verifier == nil ? "" : "; the trusted root that is compiled in is in force"
            return holder.fail("\(place.url): \(fault)\(consequence)", isConfiguration: isLasting)
        }
        do throws(TrustedRootFault) {
            let kept = try await repository.lastGood(at: time)
            install(
                kept, read: nil, error: "\(place.url): \(fault); \(Self.consequence(kept.validUntil))",
                isConfiguration: isLasting)
        } catch {
            // What is signed cannot be read: nothing says that the one before is not good any more.
            if error.isUnreadable, let end = holder.validUntil {
                return holder.fail("\(place.url): \(fault); \(Self.consequence(end))", isConfiguration: isLasting)
            }
            holder.withdraw(
                "\(place.url): \(fault); the last good trusted root cannot be used any more: \(error)",
                isConfiguration: isLasting)
        }
    }

    private static func consequence(_ end: Date) -> String {
        "the last good trusted root stays in force until \(UTC.text(end))"
    }

    private func note(_ fault: TrustedRootFault?) {
        state.withLock { state in
            state.lastLook = .now
            state.failures = fault == nil ? 0 : state.failures + 1
            state.jitter = Double.random(in: 0...1)
        }
    }

    // MARK: Notices

    private static func warning(_ fault: String) -> String {
        "what was seen cannot be kept (\(fault)): a later process may accept what is older"
    }

    private func tell(_ fetched: FetchedTrustedRoot, isOther: Bool, _ faults: [String]) {
        let (isNews, isForgetful) = state.withLock { state in
            defer {
                state.told = nil
                state.toldOfStore = !faults.isEmpty
            }
            return (isOther || state.told != nil, !faults.isEmpty && !state.toldOfStore)
        }
        if isForgetful, let fault = faults.first { notice(.forgetful(Self.warning(fault))) }
        guard isNews, let properties = holder.status.trustedRoot else { return }
        notice(
            .fetched(
                fingerprint: properties.fingerprint, versions: fetched.versions, validUntil: fetched.validUntil))
    }

    /// Tells of a fault once. The words of one that passes may differ each time.
    private func tell(_ fault: TrustedRootFault) {
        let inForce = holder.verifier == nil ? "none" : "some"
        let key = "\(inForce) \(fault.isTransient ? "passing" : fault.description)"
        let isNews = state.withLock { state in
            defer { state.told = key }
            return state.told != key
        }
        if isNews, let error = holder.status.error { notice(.failing(error)) }
    }
}
