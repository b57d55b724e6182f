import FoundationEssentials
import Synchronization

/// Sends requests through another client, so that a host that refuses some (429) is asked more slowly by all.
///
/// Each host has one queue. One refusal holds up everybody's requests to that host for as long as it asks, and
/// afterwards they go at the rate that it was seen to allow, instead of each request finding out for itself. A request
/// whose turn cannot come before its deadline fails at once, as throttled. Work that has begun goes before work that
/// has not (``HTTPRequest/Place``): otherwise everybody would begin, and nobody end, within their deadlines.
public final class PacedHTTPClient: HTTPSending {
    private typealias Turn = Result<Void, Refusal>

    private enum Refusal: Error { case throttled, late, cancelled }

    private struct Host {
        var queue: HostQueue
        var waiting: [UInt64: CheckedContinuation<Turn, Never>] = [:]
        /// When the next timer looks at the queue.
        var timer: ContinuousClock.Instant?
    }

    private struct State {
        var hosts: [String: Host] = [:]
        var lastID: UInt64 = 0

        /// Makes room. Names are cheap: one that owns a domain can have more of them refuse requests than are worth
        /// remembering, and then nothing is remembered of those that nobody is asking now.
        mutating func forgetSome(_ now: ContinuousClock.Instant) {
            hosts = hosts.filter { !$0.value.queue.isIdle(now: now) }
            if hosts.count >= PacedHTTPClient.maximumHosts { hosts = hosts.filter { $0.value.queue.isInUse } }
        }
    }

    /// How many hosts are remembered now.
    var rememberedHosts: Int { state.withLock { $0.hosts.count } }

    private let inner: any HTTPSending
    private let maximumInFlight: Int
    private let state = Mutex(State())

    /// How many hosts are remembered; references name any host they like.
    static let maximumHosts = 1024
    /// A host that refuses the same request so often is not worth more.
    private static let maximumRefusals = 16

    /// A client.
    ///
    /// - Parameters:
    ///   - inner: what sends.
    ///   - maximumInFlight: how many requests to one host may be under way at once.
    public init(_ inner: any HTTPSending, maximumInFlight: Int = 64) {
        self.inner = inner
        self.maximumInFlight = maximumInFlight
    }

    /// Sends a request when its turn comes. See ``HTTPSending/send(_:)``.
    public func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        guard let host = (try? request.parsedURL())?.authority else { return try await inner.send(request) }
        var request = request
        let isRetried = request.retry.covers(request.method)
        request.retry.retriesThrottled = false
        var attempts = 0
        var last: HTTPError?
        while true {
            do { try await turn(at: host, request, attempts: attempts) } catch {
                // What the host said is more to the point than that there is no time to ask it again.
                throw error.kind == .throttled ? last ?? error : error
            }
            let sent = ContinuousClock.now
            do {
                var response = try await inner.send(request)
                let isRefused = response.status == 429
                let wait = response.headers["Retry-After"].flatMap { RetryAfter.parse($0, now: Date()) }
                finish(host, sent: sent, isAnswered: !isRefused, refusal: isRefused ? (wait, ()) : nil)
                response.attempts += attempts
                return response
            } catch {
                guard error.kind == .throttled else {
                    finish(host, sent: sent, isAnswered: error.kind.isAnswer, refusal: nil)
                    throw error
                }
                finish(host, sent: sent, isAnswered: false, refusal: (error.retryAfter, ()))
                attempts += error.attempts
                var error = error
                error.attempts = attempts
                guard isRetried, attempts < Self.maximumRefusals else { throw error }
                last = error
            }
        }
    }

    /// What a host that limits requests is seen to allow now, in words; `nil` when it limits none.
    public func limit(of host: String) -> String? {
        let now = ContinuousClock.now
        return state.withLock { state -> String? in
            guard let queue = state.hosts[host]?.queue, let pace = queue.pace, !pace.isOver(now: now) else {
                return nil
            }
            let waiting = queue.waiters.isEmpty ? "" : ", \(queue.waiters.count) wait for their turn"
            let pause = pace.resumes > now ? " and asks to wait \((pace.resumes - now).components.seconds + 1) s" : ""
            return "\(host) limits requests (429, throttled)\(pause)\(waiting)"
        }
    }

    // MARK: Turns

    private func turn(at host: String, _ request: HTTPRequest, attempts: Int) async throws(HTTPError) {
        // Nearly always nobody waits.
        if request.deadline > .now, state.withLock({ $0.hosts[host]?.queue.goAtOnce() }) == true { return }
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let turn = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Turn, Never>) in
                update(host) { entry in
                    entry.waiting[id] = continuation
                    entry.queue.add(
                        id, precedence: request.place.precedence, group: request.place.group,
                        deadline: request.deadline)
                }
                if Task.isCancelled { giveUp(id, at: host) }
            }
        } onCancel: {
            giveUp(id, at: host)
        }
        guard case .failure(let refusal) = turn else { return }
        func error(_ kind: HTTPError.Kind, _ detail: String) -> HTTPError {
            HTTPError(kind: kind, host: host, method: request.method, attempts: attempts, detail: detail)
        }
        switch refusal {
        case .cancelled: throw error(.cancelled, "the call was cancelled")
        case .late: throw error(.timeout, "the time for this call was over before its turn to be sent came")
        case .throttled:
            let pause = state.withLock { $0.hosts[host]?.queue.pace }.map { max($0.resumes - .now, .zero) }
            var error = error(
                .throttled, "too many requests, status 429: the turn of this one cannot come within its time")
            if let pause, pause > .zero { error.retryAfter = .seconds(pause.components.seconds + 1) }
            throw error
        }
    }

    private func giveUp(_ id: UInt64, at host: String) {
        let continuation = state.withLock { state -> CheckedContinuation<Turn, Never>? in
            guard state.hosts[host]?.queue.remove(id) == true else { return nil }
            return state.hosts[host]?.waiting.removeValue(forKey: id)
        }
        continuation?.resume(returning: .failure(.cancelled))
    }

    private func finish(
        _ host: String, sent: ContinuousClock.Instant, isAnswered: Bool, refusal: (retryAfter: Duration?, Void)?
    ) {
        let now = ContinuousClock.now
        let hasWaiters = state.withLock { state in
            state.hosts[host]?.queue.finish(sent: sent, isAnswered: isAnswered, refusal: refusal, now: now)
            return state.hosts[host]?.queue.waiters.isEmpty == false
        }
        // Somebody's turn may have come.
        if hasWaiters { update(host) { _ in } }
    }

    /// Changes a host's queue, and wakes those whose wait is over.
    private func update(_ host: String, _ change: (inout Host) -> Void) {
        let now = ContinuousClock.now
        var resumed: [(CheckedContinuation<Turn, Never>, Turn)] = []
        var timer: ContinuousClock.Instant?
        state.withLock { state in
            var entry =
                state.hosts.removeValue(forKey: host)
                ?? Host(queue: HostQueue(maximumInFlight: maximumInFlight, now: now))
            change(&entry)
            let step = entry.queue.step(now: now)
            for (ids, turn) in [
                (step.go, Turn.success(())), (step.throttled, .failure(.throttled)), (step.late, .failure(.late)),
            ] {
                for id in ids { entry.waiting.removeValue(forKey: id).map { resumed.append(($0, turn)) } }
            }
            if let wake = step.wake, entry.timer.map({ wake < $0 }) ?? true {
                entry.timer = wake
                timer = wake
            }
            if state.hosts.count >= Self.maximumHosts { state.forgetSome(now) }
            state.hosts[host] = entry
        }
        for (continuation, turn) in resumed { continuation.resume(returning: turn) }
        guard let timer else { return }
        Task { [weak self] in
            try? await Task.sleep(until: timer, tolerance: .milliseconds(2), clock: .continuous)
            self?.update(host) { entry in if entry.timer == timer { entry.timer = nil } }
        }
    }
}

extension HTTPError.Kind {
    /// Whether the host did answer, whatever it said.
    fileprivate var isAnswer: Bool {
        switch self {
        case .status, .responseTooLarge, .tooManyRedirects, .redirectRefused: true
        default: false
        }
    }
}
