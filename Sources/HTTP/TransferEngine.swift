import CCurl
import Concurrency
import Synchronization

/// Runs transfers on one thread of its own, over libcurl's multi interface. Connections, their pool and their caps
/// belong to it; so do the trusted authorities, which never change in its life.
///
/// `@unchecked Sendable`: `inbox` is a lock; `multi` is used by the engine's thread alone; of `events` any thread may
/// wake, and it lives as long as the engine; `thread` is written once before `init` returns; `active`, `streams`,
/// `queue`, `nextRateCheck` and `nextDeadline` are touched by the engine's thread alone.
final class TransferEngine: @unchecked Sendable {
    private enum Mode { case running, draining, stopping }

    private struct Inbox {
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        /// Those that waited for their reader, or for room in the budget.
        var resumed: [Transfer] = []
        /// Those whose bytes other hosts need.
        var evicted: [Transfer] = []
        var mode = Mode.running
        /// Whether the thread is done with the handle.
        var isClosed = false
        /// Whether a wakeup is under way that the thread has not seen yet: one is enough.
        var isWoken = false
        var isJoined = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let inbox = Mutex(Inbox())
    private let trust: TrustAnchors
    private let identity: ClientIdentity?
    private let multi: UnsafeMutableRawPointer
    private let events: OpaquePointer
    private var thread = pthread_t()

    private var active: [UnsafeMutableRawPointer: Transfer] = [:]
    /// No transfer's deadline is earlier.
    private var nextDeadline: ContinuousClock.Instant?
    /// How many of the transfers are streams, whose deadlines move.
    private var streams = 0
    /// Those that wait for a connection.
    private var queue: ConnectionQueue
    /// When the rates of all bodies are looked at next.
    private var nextRateCheck = ContinuousClock.now
    private let budget: ResponseBodyBudget

    private static let rateCheckInterval = Duration.milliseconds(500)

    /// Starts an engine and its thread.
    init(
        trust: TrustAnchors, identity: ClientIdentity?, maximumConnectionsPerHost: Int, maximumConnections: Int,
        budget: ResponseBodyBudget
    ) throws(HTTPError) {
        guard let multi = curl_multi_init() else { throw .configuration("libcurl cannot be initialised") }
        guard let events = ccurl_events_new(multi) else {
            curl_multi_cleanup(multi)
            throw .configuration("there is no memory or no file descriptor for outbound requests")
        }
        self.trust = trust
        self.identity = identity
        self.multi = multi
        self.events = events
        self.budget = budget
        queue = ConnectionQueue(perHost: maximumConnectionsPerHost, all: maximumConnections)
        let options: [(CURLMoption, Int)] = [
            (CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX)),
            // Hosts say how many streams they take; libcurl's own limit of 100 would only add connections.
            (CURLMOPT_MAX_CONCURRENT_STREAMS, 1000),
            // Idle connections are kept up to this number. libcurl's own choice, four times the transfers of the
            // moment, closes connections between bursts.
            (CURLMOPT_MAXCONNECTS, maximumConnections),
            (CURLMOPT_MAX_HOST_CONNECTIONS, maximumConnectionsPerHost),
            (CURLMOPT_MAX_TOTAL_CONNECTIONS, maximumConnections),
        ]
        for (option, value) in options where ccurl_multi_set_long(multi, option, value) != CURLM_OK {
            curl_multi_cleanup(multi)
            inbox.withLock { $0.isJoined = true }
            throw .configuration("libcurl refuses the connection limits")
        }
        let started = ccurl_thread_start(
            &thread,
            { context in
                guard let context else { return }
                Unmanaged<TransferEngine>.fromOpaque(context).takeRetainedValue().run()
            }, Unmanaged.passRetained(self).toOpaque())
        guard started == 0 else {
            Unmanaged.passUnretained(self).release()
            curl_multi_cleanup(multi)
            inbox.withLock { $0.isJoined = true }
            throw .configuration("the thread for outbound requests cannot be started")
        }
    }

    deinit {
        // The thread holds the engine, so it has ended or is just ending.
        if !inbox.withLock({ $0.isJoined }) { ccurl_thread_detach(thread) }
        ccurl_events_free(events)
    }

    /// Runs an exchange; `nil` when the engine takes no more: the client has a new one, or none.
    func perform(_ exchange: Exchange) async -> Result<Answer, Fault>? { await perform(Transfer(exchange)) }

    /// Runs a transfer; of a stream, until its head has arrived.
    func perform(_ transfer: Transfer) async -> Result<Answer, Fault>? {
        let refused = Fault(kind: .cancelled, detail: "", isWorthRetrying: false)
        var isAccepted = true
        var mustWake = false
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.continuation = continuation
                transfer.handOver()
                isAccepted = inbox.withLock { inbox in
                    guard inbox.mode == .running else { return false }
                    inbox.submitted.append(transfer)
                    mustWake = TransferEngine.mustWake(&inbox)
                    return true
                }
                if mustWake { ccurl_events_wake(events) }
                if !isAccepted {
                    transfer.continuation = nil
                    continuation.resume(returning: Result<Answer, Fault>.failure(refused))
                }
            }
        } onCancel: {
            cancel(transfer)
        }
        transfer.takeOver()
        return isAccepted ? result : nil
    }

    /// Ends a transfer, if it has not ended.
    func cancel(_ transfer: Transfer) {
        transfer.handOver()
        tell { $0.cancelled.append(transfer) }
    }

    /// Goes on with a transfer that waited for its reader, or for room.
    func resume(_ transfer: Transfer) {
        transfer.handOver()
        tell { $0.resumed.append(transfer) }
    }

    /// Takes no more transfers and ends when those under way have ended.
    func retire() { leave(.draining) }

    /// Ends at once; transfers under way fail as cancelled.
    func stop() { leave(.stopping) }

    /// Returns when the thread has ended and its connections are closed; to be called after ``stop()`` or
    /// ``retire()``.
    func ended() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isClosed = inbox.withLock { inbox in
                if !inbox.isClosed { inbox.waiters.append(continuation) }
                return inbox.isClosed
            }
            if isClosed { continuation.resume() }
        }
        // The thread has nothing left to do but return.
        let mustJoin = inbox.withLock { inbox in
            defer { inbox.isJoined = true }
            return !inbox.isJoined
        }
        if mustJoin { ccurl_thread_join(thread) }
    }

    /// Whether the thread has ended.
    var isEnded: Bool { inbox.withLock { $0.isClosed } }

    private func leave(_ mode: Mode) {
        tell { if $0.mode != .stopping { $0.mode = mode } }
    }

    /// Tells the thread something, unless it is done.
    private func tell(_ change: (inout Inbox) -> Void) {
        let mustWake = inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            change(&inbox)
            return TransferEngine.mustWake(&inbox)
        }
        if mustWake { ccurl_events_wake(events) }
    }

    private static func mustWake(_ inbox: inout Inbox) -> Bool {
        guard !inbox.isWoken, !inbox.isClosed else { return false }
        inbox.isWoken = true
        return true
    }

    /// Ends a transfer whose bytes another host needs.
    private func giveWay(_ transfer: Transfer) {
        // Nearly always another of this engine's transfers asks for the room, on its thread: the memory is free at
        // once, and not only when the thread has taken whatever has come on all other connections.
        if ccurl_thread_is_current(thread) { transfer.giveUpBody() }
        transfer.handOver()
        tell { $0.evicted.append(transfer) }
    }

    // MARK: On the thread

    private func run() {
        while true {
            let (submitted, cancelled, resumed, evicted, mode) = inbox.withLock { inbox in
                defer {
                    inbox.submitted = []
                    inbox.cancelled = []
                    inbox.resumed = []
                    inbox.evicted = []
                    inbox.isWoken = false
                }
                return (inbox.submitted, inbox.cancelled, inbox.resumed, inbox.evicted, inbox.mode)
            }
            for transfers in [submitted, cancelled, resumed, evicted] {
                for transfer in transfers { transfer.takeOver() }
            }
            for transfer in cancelled where !transfer.isFinished {
                transfer.isCancelled = true
                if transfer.handle != nil { end(transfer, cancelledResult("the call was cancelled")) }
                if queue.remove(transfer) { transfer.finish(cancelledResult("the call was cancelled")) }
            }
            for transfer in evicted where transfer.handle != nil {
                end(transfer, .failure(transfer.noRoom("this body gave way to those of other hosts")))
            }
            for transfer in submitted { start(transfer) }
            for transfer in resumed {
                transfer.goOn()
                // Only what is returned to libcurl while it reads from the network ends a transfer by itself.
                if transfer.stop != nil { end(transfer, transfer.outcome(CURLE_WRITE_ERROR, trust: trust)) }
            }
            if mode == .stopping {
                for transfer in queue.removeAll() { transfer.finish(cancelledResult("the client was shut down")) }
                for transfer in Array(active.values) { end(transfer, cancelledResult("the client was shut down")) }
            }
            if mode != .running, active.isEmpty, queue.isEmpty { break }

            ccurl_events_tick(events)
            var code = CURLE_OK
            while let handle = ccurl_multi_next_done(multi, &code) {
                if let transfer = active[handle] { end(transfer, transfer.outcome(code, trust: trust)) }
            }
            expire()
            ccurl_events_wait(events, millisecondsToWait)
        }
        close()
    }

    private func cancelledResult(_ detail: String) -> Result<Answer, Fault> {
        .failure(Fault(kind: .cancelled, detail: detail, isWorthRetrying: false))
    }

    /// Starts a transfer when a connection may be had for it.
    private func start(_ transfer: Transfer) {
        if transfer.isCancelled { return transfer.finish(cancelledResult("the call was cancelled")) }
        guard transfer.exchange.deadline > .now else { return transfer.finish(transfer.timeout()) }
        guard transfer.exchange.stream != nil || queue.mayStart(transfer, budget) else {
            queue.add(transfer)
            nextDeadline = min(nextDeadline ?? transfer.exchange.deadline, transfer.exchange.deadline)
            return
        }
        begin(transfer)
    }

    private func begin(_ transfer: Transfer) {
        let now = ContinuousClock.now
        func fail(_ detail: String) {
            transfer.finish(.failure(Fault(kind: .configuration, detail: detail, isWorthRetrying: false)))
        }
        // Each has a handle of its own. Used again, it would keep a pointer to the last header of the transfer before,
        // which is freed, and a header line that begins with a space, which whoever answers may send, is appended there
        // (libcurl before 8.5).
        guard let handle = curl_easy_init() else {
            return fail("there is no memory for a request")
        }
        let orders = ResponseBodyBudget.Orders(
            giveWay: { [weak self, weak transfer] in if let self, let transfer { self.giveWay(transfer) } },
            goOn: { [weak self, weak transfer] in if let self, let transfer { self.resume(transfer) } })
        transfer.budget = (budget, orders)
        if let problem = transfer.prepare(handle, trust: trust, identity: identity, now: now) {
            fail(problem)
            curl_easy_cleanup(handle)
            return
        }
        guard curl_multi_add_handle(multi, handle) == CURLM_OK else {
            fail("libcurl does not take the request")
            curl_easy_cleanup(handle)
            return
        }
        active[handle] = transfer
        if transfer.exchange.stream != nil { streams += 1 } else { queue.began(transfer) }
        nextDeadline = min(nextDeadline ?? transfer.exchange.deadline, transfer.exchange.deadline)
    }

    private func end(_ transfer: Transfer, _ result: Result<Answer, Fault>) {
        guard let handle = transfer.handle else { return }
        active[handle] = nil
        if transfer.exchange.stream != nil { streams -= 1 } else { queue.ended(transfer) }
        curl_multi_remove_handle(multi, handle)
        // This comes first: the handle points to the headers and the error text of the transfer.
        curl_easy_cleanup(handle)
        transfer.finish(result)
        while let next = queue.next(budget) { begin(next) }
    }

    private func expire() {
        let now = ContinuousClock.now
        if streams > 0 {
            nextDeadline = [active.values.lazy.map(\.deadline).min(), queue.nextDeadline].compactMap(\.self).min()
        }
        if now >= nextRateCheck {
            nextRateCheck = now + TransferEngine.rateCheckInterval
            for transfer in Array(active.values) {
                if transfer.isTooSlow(now) { end(transfer, transfer.tooSlow()) }
                if transfer.waitsTooLong(now) { end(transfer, transfer.noRoomInTime()) }
            }
            budget.wake()
        }
        guard let due = nextDeadline, due <= now else { return }
        for transfer in queue.removeLate(now) { transfer.finish(transfer.timeout()) }
        for transfer in Array(active.values) where transfer.deadline <= now {
            end(transfer, transfer.timeout())
        }
        nextDeadline = [active.values.lazy.map(\.deadline).min(), queue.nextDeadline].compactMap(\.self).min()
    }

    /// Until the next deadline, rounded up; libcurl wakes for its own timers.
    private var millisecondsToWait: Int32 {
        guard var next = nextDeadline else { return 60_000 }
        if active.count > streams { next = min(next, nextRateCheck) }
        return Int32(min(max(0, (next - .now).wholeMilliseconds + 1), 60_000))
    }

    private func close() {
        curl_multi_cleanup(multi)
        let waiters = inbox.withLock { inbox in
            inbox.isClosed = true
            inbox.cancelled = []
            inbox.resumed = []
            inbox.evicted = []
            defer { inbox.waiters = [] }
            return inbox.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
