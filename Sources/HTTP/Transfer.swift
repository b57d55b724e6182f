import CCurl
import Concurrency

/// An exchange under way: its libcurl handle and what has arrived.
///
/// `@unchecked Sendable`: `exchange` never changes; `continuation` is set before the transfer is put into the
/// engine's inbox (a lock); everything else is touched by the engine's thread alone, libcurl's callbacks included,
/// which run inside that thread's calls.
final class Transfer: @unchecked Sendable {
    /// The most bytes of header lines of one answer.
    static let maximumHeaderBytes = 256 << 10
    /// The most bytes of a body nobody will see that are read to keep the connection usable.
    static let maximumDiscardedBytes = 64 << 10
    /// Slower than so many bytes a second, over ``rateTime``, no body may come: it keeps what it holds from others.
    static let minimumRate = 1024
    static let rateTime = Duration.seconds(3)

    let exchange: Exchange
    /// The host and port of its URL: whose it is among others.
    let host: String
    /// When the transfer ends at the latest. A stream's moves on with all that arrives.
    private(set) var deadline: ContinuousClock.Instant
    var continuation: CheckedContinuation<Result<Answer, Fault>, Never>?

    /// Whether cancellation arrived before the transfer itself did.
    var isCancelled = false
    var isFinished = false

    var handle: UnsafeMutableRawPointer?
    var connectTo: UnsafeMutablePointer<curl_slist>?
    var headerList: UnsafeMutablePointer<curl_slist>?
    let errorText: UnsafeMutablePointer<CChar>
    /// Who is asked about addresses, if anybody is.
    var judge: UnsafeMutablePointer<ccurl_judge>?

    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    private var headerBytes = 0
    private(set) var isPastHeaders = false
    private(set) var body: [UInt8] = []
    private var discardedBytes = 0
    /// Its part of the budget, from its first bytes on, and how many bytes were asked for.
    private(set) var share: ResponseBodyBudget.Share?
    private var grantedBytes = 0
    /// How long the body is going to be, as its host says.
    private var expectedBytes: Int?
    /// Whether its body was freed for others: it can only end as a fault.
    private(set) var hasGivenWay = false
    /// What asks for room for it; set by its engine.
    var budget: (pool: ResponseBodyBudget, orders: ResponseBodyBudget.Orders)?
    /// Since when there was no room for what has come; it is not read meanwhile.
    private var waitsSince: ContinuousClock.Instant?
    /// From when on, and from how many bytes on, its rate is measured; `nil` while it is not waited for a body.
    private var measured: (since: ContinuousClock.Instant, bytes: Int)?
    /// Why a callback stopped the transfer.
    private(set) var stop: Stop?
    /// The first address that it was not allowed to go to, and what that is.
    var refused: String?
    var hasPermittedAddress = false

    enum Stop {
        case tooLarge
        /// There is no room for its bytes in the budget.
        case noRoom
        /// Enough of a body that nobody will see.
        case enough
        case malformed(String)
    }

    init(_ exchange: Exchange) {
        self.exchange = exchange
        host = exchange.url.authority
        deadline = exchange.deadline
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        takeOver()
        errorText.deallocate()
        judge?.deallocate()
    }

    /// Tells ThreadSanitizer that another thread goes on with the transfer from here: it cannot see the order that the
    /// locks make by which transfers are handed over. See ``takeOver()``.
    func handOver() { ccurl_hand_over(Unmanaged.passUnretained(self).toOpaque()) }

    /// Tells ThreadSanitizer that this thread goes on where another one has handed over.
    func takeOver() { ccurl_take_over(Unmanaged.passUnretained(self).toOpaque()) }

    /// Ends the transfer's use of its handle and resumes who waits for it.
    func finish(_ result: Result<Answer, Fault>) {
        isFinished = true
        handle = nil
        // What is not part of the answer by now never will be.
        (share, body, budget) = (nil, [], nil)
        curl_slist_free_all(headerList)
        headerList = nil
        curl_slist_free_all(connectTo)
        connectTo = nil
        if let stream = exchange.stream {
            switch result {
            case .success: stream.buffer.end(nil)
            case .failure(let fault): stream.buffer.end(fault)
            }
        }
        let waiter = continuation
        continuation = nil
        handOver()
        waiter?.resume(returning: result)
    }

    // MARK: What arrives

    static func deliver(
        _ data: UnsafeMutablePointer<CChar>?, _ length: Int, _ context: UnsafeMutableRawPointer?,
        to receive: (Transfer, UnsafeRawBufferPointer) -> BodyDisposition
    ) -> Int {
        guard length > 0 else { return 0 }
        guard let data, let context else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        // Anything but the length tells libcurl to stop.
        switch receive(transfer, UnsafeRawBufferPointer(start: data, count: length)) {
        case .taken: return length
        case .pause: return Int(CURL_WRITEFUNC_PAUSE)
        case .stop: return 0
        }
    }

    enum BodyDisposition { case taken, pause, stop }

    func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        headerBytes += bytes.count
        // What is usual needs no asking. A head cannot wait.
        guard headerBytes <= ResponseBodyBudget.step || room(for: headerBytes) == .granted else {
            stop = .noRoom
            return false
        }
        guard headerBytes <= Transfer.maximumHeaderBytes else {
            stop = .malformed("the answer's headers are larger than \(Transfer.maximumHeaderBytes) bytes")
            return false
        }
        var line = bytes[...]
        while let last = line.last, last == 0x0A || last == 0x0D { line = line.dropLast() }
        // After the body it is no status line, but a malformed field: the head is not to be forgotten.
        if !isPastHeaders, line.starts(with: "HTTP/".utf8) {
            // A further status line begins the answer proper after an interim one (100, 103).
            let code = line.drop { $0 != 0x20 }.drop { $0 == 0x20 }.prefix { $0 != 0x20 }
            status = Int(String(decoding: code, as: UTF8.self)) ?? 0
            headers = HTTPHeaders()
            return true
        }
        if line.isEmpty, !isPastHeaders {
            isPastHeaders = status >= 200
            guard isPastHeaders else { return true }
            if let stream = exchange.stream {
                deadline = .now + stream.idleTimeout
                let waiter = continuation
                continuation = nil
                handOver()
                waiter?.resume(returning: .success(Answer(status: status, headers: headers, body: [])))
                return true
            }
            measured = (.now, 0)
            return acceptAnnouncedLength()
        }
        // The end of the fields after the body.
        guard !line.isEmpty else { return true }
        // "No whitespace is allowed between the field name and colon" (RFC 9112, section 5.1): it would be another
        // name, and the header, a link to the next page for instance, not be there.
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(HTTPHeaders.isTokenByte),
            // A lone CR is no end of a line here, and is one to others: what follows would be a header to them (section
            // 2.2).
            line[colon...].allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) })
        else {
            stop = .malformed("the answer has a malformed header line")
            return false
        }
        var value = line[(colon + 1)...]
        while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
        let name = String(decoding: line[..<colon], as: UTF8.self)
        if isPastHeaders {
            // A field after the body is not one of the head (RFC 9110, section 6.5.1), and nothing here uses it. But
            // one that would say that there is more must not go unseen.
            guard HTTPHeaders.areEqual(name, "Link") else { return true }
            stop = .malformed("the answer has a Link field after its body")
            return false
        }
        headers.add(name, String(decoding: value, as: UTF8.self))
        return true
    }

    /// Refuses a body that is announced as too large before any of it is read.
    private func acceptAnnouncedLength() -> Bool {
        guard exchange.method != .head, status != 204, status != 304, !exchange.discardsBody(ofStatus: status),
            let length = headers["Content-Length"].flatMap({ Int($0) })
        else { return true }
        guard length <= exchange.maximumResponseBytes else {
            stop = .tooLarge
            return false
        }
        // No memory is reserved by words alone: they say only whether it may begin now.
        expectedBytes = length
        return true
    }

    /// Frees what has come, for others. The transfer ends before it takes anything more.
    func giveUpBody() {
        hasGivenWay = true
        body = []
        headers = HTTPHeaders()
    }

    /// Whether there is room for so many bytes of this transfer in all.
    private func room(for bytes: Int, mayWait: Bool = false) -> ResponseBodyBudget.Answer {
        guard bytes > grantedBytes, let budget else { return .granted }
        let usual = min(exchange.maximumResponseBytes, ResponseBodyBudget.usualBodyBytes)
        let share = self.share ?? budget.pool.begin(host, expected: expectedBytes ?? usual, budget.orders)
        self.share = share
        let more =
            (bytes - grantedBytes + ResponseBodyBudget.step - 1) / ResponseBodyBudget.step * ResponseBodyBudget.step
        let answer = budget.pool.take(share, more, mayWait: mayWait)
        if answer == .granted { grantedBytes += more }
        return answer
    }

    /// Whether the body has come slower than ``minimumRate`` for ``rateTime``; to be asked again and again.
    func isTooSlow(_ now: ContinuousClock.Instant) -> Bool {
        guard let start = measured, now - start.since >= Transfer.rateTime, exchange.stream == nil, waitsSince == nil
        else { return false }
        let received = body.count + discardedBytes
        measured = (now, received)
        return received - start.bytes < Transfer.minimumRate * Int(Transfer.rateTime.components.seconds)
    }

    /// Whether it has waited for room for ``rateTime``.
    func waitsTooLong(_ now: ContinuousClock.Instant) -> Bool {
        waitsSince.map { now - $0 >= Transfer.rateTime } ?? false
    }

    /// Goes on after a pause. What has come meanwhile is taken at once: it may have to end then.
    func goOn() {
        guard let handle else { return }
        if let stream = exchange.stream { deadline = .now + stream.idleTimeout } else if waitsSince == nil { return }
        curl_easy_pause(handle, CURLPAUSE_CONT)
    }

    func received(body bytes: UnsafeRawBufferPointer) -> BodyDisposition {
        if hasGivenWay {
            stop = .noRoom
            return .stop
        }
        if let stream = exchange.stream {
            guard stream.buffer.offer(bytes) else {
                // Whoever reads takes as long as it takes.
                deadline = .now + .seconds(365 * 86_400)
                return .pause
            }
            deadline = .now + stream.idleTimeout
            return .taken
        }
        if exchange.discardsBody(ofStatus: status) {
            discardedBytes += bytes.count
            if discardedBytes > Transfer.maximumDiscardedBytes { stop = .enough }
            return stop == nil ? .taken : .stop
        }
        guard bytes.count <= exchange.maximumResponseBytes - body.count else {
            stop = .tooLarge
            return .stop
        }
        switch room(for: headerBytes + body.count + bytes.count, mayWait: true) {
        case .granted: break
        case .wait:
            waitsSince = waitsSince ?? .now
            return .pause
        case .refused:
            stop = .noRoom
            return .stop
        }
        body.append(contentsOf: bytes)
        if waitsSince != nil {
            // Its host was not asked for anything meanwhile.
            waitsSince = nil
            measured = (.now, body.count)
        }
        return .taken
    }
}
