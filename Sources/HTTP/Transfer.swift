import CCurl

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

    private(set) var handle: UnsafeMutableRawPointer?
    private var connectTo: UnsafeMutablePointer<curl_slist>?
    private var headerList: UnsafeMutablePointer<curl_slist>?
    let errorText: UnsafeMutablePointer<CChar>
    /// Who is asked about addresses, if anybody is.
    private var judge: UnsafeMutablePointer<ccurl_judge>?

    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    private var headerBytes = 0
    private(set) var isPastHeaders = false
    private(set) var body: [UInt8] = []
    private var discardedBytes = 0
    /// Its part of the budget, from its first bytes on, and how many bytes were asked for.
    private(set) var share: BodyBudget.Share?
    private var grantedBytes = 0
    /// Whether its body was freed for others: it can only end as a fault.
    private(set) var hasGivenWay = false
    /// What asks for room for it; set by its engine.
    var budget: (pool: BodyBudget, evict: @Sendable () -> Void)?
    /// From when on, and from how many bytes on, its rate is measured; `nil` while it is not waited for a body.
    private var measured: (since: ContinuousClock.Instant, bytes: Int)?
    /// Why a callback stopped the transfer.
    private(set) var stop: Stop?
    /// The first address that it was not allowed to go to, and what that is.
    private(set) var refused: String?
    private(set) var hasPermittedAddress = false

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

    /// Tells ThreadSanitizer that another thread goes on with the transfer from here: it cannot see the order that the locks
    /// make by which transfers are handed over. See ``takeOver()``.
    func handOver() { ccurl_hand_over(Unmanaged.passUnretained(self).toOpaque()) }

    /// Tells ThreadSanitizer that this thread goes on where another one has handed over.
    func takeOver() { ccurl_take_over(Unmanaged.passUnretained(self).toOpaque()) }

    /// Sets every option of the handle. Returns what went wrong, `nil` when nothing did.
    func prepare(
        _ handle: UnsafeMutableRawPointer, trust: TrustAnchors, identity: ClientIdentity?, now: ContinuousClock.Instant
    ) -> String? {
        self.handle = handle
        var setup = HandleSetup(handle: handle)
        let exchange = exchange
        setAddress(&setup)
        // Only what the strict reader of URLs let through, and exactly as written.
        setup.set(CURLOPT_PROTOCOLS_STR, "http,https")
        setup.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        setup.set(CURLOPT_PATH_AS_IS, 1)
        setup.set(CURLOPT_FOLLOWLOCATION, 0)
        // No decompression: digests are of the bytes that travel, and a small body cannot become a huge one.
        setup.set(CURLOPT_HTTP_CONTENT_DECODING, 0)

        setup.set(CURLOPT_NOSIGNAL, 1)
        setup.set(CURLOPT_TCP_NODELAY, 1)
        // A peer that has gone and come back without a word, as after a crash, must be noticed within seconds of its return
        // by whoever only listens. A stream may go over a connection that another exchange has opened: all have this.
        setup.set(CURLOPT_TCP_KEEPALIVE, 1)
        setup.set(CURLOPT_TCP_KEEPIDLE, 10)
        setup.set(CURLOPT_TCP_KEEPINTVL, 4)
        // A cancelled transfer must not make the thread wait for its name resolution to end.
        setup.set(CURLOPT_QUICK_EXIT, 1)
        setup.check(ccurl_set_private_sockets(handle))
        // The proxy's own address is the operator's choice.
        if exchange.proxy == nil, exchange.addresses.privateAddresses != .allowed { setJudge(&setup) }
        let left = min(exchange.connectTimeout, exchange.deadline - now)
        setup.set(CURLOPT_CONNECTTIMEOUT_MS, max(1, left.wholeMilliseconds))
        setup.set(CURLOPT_MAXAGE_CONN, max(1, Int(exchange.idleConnectionLife.components.seconds)))
        if exchange.needsFreshConnection { setup.set(CURLOPT_FRESH_CONNECT, 1) }

        if exchange.url.scheme == .https {
            setup.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
            // Rather wait for a handshake to tell whether its connection can be shared than make many connections.
            setup.set(CURLOPT_PIPEWAIT, exchange.needsFreshConnection ? 0 : 1)
        } else {
            setup.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        }
        setup.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        setup.set(CURLOPT_SSL_VERIFYPEER, 1)
        setup.set(CURLOPT_SSL_VERIFYHOST, 2)
        setup.check(ccurl_set_trust(handle, trust.pointer))
        if let identity {
            setup.set(CURLOPT_SSLCERT_BLOB, identity.certificates)
            setup.set(CURLOPT_SSLKEY_BLOB, identity.key)
            // Unset, OpenSSL would ask for a password at the terminal when the key has one.
            setup.set(CURLOPT_KEYPASSWD, "")
        }

        // Always set: unset, libcurl would look into the environment by itself.
        setup.set(CURLOPT_PROXY, exchange.proxy?.url ?? "")
        setup.set(CURLOPT_NOPROXY, "")
        if let user = exchange.proxy?.user { setup.set(CURLOPT_PROXYUSERNAME, user) }
        if let password = exchange.proxy?.password { setup.set(CURLOPT_PROXYPASSWORD, password) }
        setup.set(CURLOPT_HEADEROPT, Int(CURLHEADER_SEPARATE))
        setup.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)

        setMethodAndBody(&setup)
        setHeaders(&setup)

        let this = Unmanaged.passUnretained(self).toOpaque()
        setup.check(
            ccurl_set_data_callback(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
                Transfer.deliver(data, size * count, context) { $0.received(headerLine: $1) ? .taken : .stop }
            })
        setup.check(ccurl_set_pointer(handle, CURLOPT_HEADERDATA, this))
        setup.check(
            ccurl_set_data_callback(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
                Transfer.deliver(data, size * count, context) { $0.received(body: $1) }
            })
        setup.check(ccurl_set_pointer(handle, CURLOPT_WRITEDATA, this))
        setup.check(ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText))
        return setup.problem
    }

    private func setAddress(_ setup: inout HandleSetup) {
        guard let name = exchange.tlsServerName, exchange.url.scheme == .https, name != exchange.url.host else {
            // A proxy is asked for the whole URL, which libcurl makes of it.
            guard exchange.proxy == nil else { return setup.set(CURLOPT_URL, exchange.url.text) }
            // libcurl reads and writes the URL again and again, a character at a time: it gets to see where to connect,
            // and what to ask for there as it is sent.
            setup.set(CURLOPT_URL, exchange.url.origin)
            return setup.set(CURLOPT_REQUEST_TARGET, exchange.url.target)
        }
        // The URL's host is the one that the certificate is held against; the connection goes to another one.
        setup.set(CURLOPT_URL, exchange.url.onHost(name).text)
        let host = exchange.url.host.contains(":") ? "[\(exchange.url.host)]" : exchange.url.host
        connectTo = curl_slist_append(nil, "\(name):\(exchange.url.port):\(host):\(exchange.url.port)")
        guard connectTo != nil else { return setup.problem = "there is no memory for the address" }
        setup.check(ccurl_set_list(setup.handle, CURLOPT_CONNECT_TO, connectTo))
    }

    private func setJudge(_ setup: inout HandleSetup) {
        let judge = UnsafeMutablePointer<ccurl_judge>.allocate(capacity: 1)
        judge.initialize(
            to: ccurl_judge(
                address: { bytes, length, context in
                    guard let context else { return false }
                    let address = IPAddress(bytes: Array(UnsafeBufferPointer(start: bytes, count: length)))
                    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().permits(address)
                },
                connection: { text, context in
                    guard let context, let address = IPAddress(String(cString: text)) else { return false }
                    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().permits(address)
                }, context: Unmanaged.passUnretained(self).toOpaque()))
        self.judge = judge
        setup.check(ccurl_set_judge(setup.handle, judge))
    }

    /// Whether the exchange may go to an address; remembers what it was if not.
    private func permits(_ address: IPAddress) -> Bool {
        if let scope = exchange.addresses.refusal(of: address) {
            refused = refused ?? "\(address) is \(scope.words)"
            return false
        }
        hasPermittedAddress = true
        return true
    }

    private func setMethodAndBody(_ setup: inout HandleSetup) {
        switch exchange.method {
        case .head: setup.set(CURLOPT_NOBODY, 1)
        case .get where exchange.body == nil: setup.set(CURLOPT_HTTPGET, 1)
        case .delete where exchange.body == nil: setup.set(CURLOPT_CUSTOMREQUEST, exchange.method.rawValue)
        case .get, .post, .put, .patch, .delete:
            setup.set(CURLOPT_POST, 1)
            setup.set(body: exchange.body ?? [])
            setup.set(CURLOPT_CUSTOMREQUEST, exchange.method.rawValue)
        }
    }

    private func setHeaders(_ setup: inout HandleSetup) {
        setup.set(CURLOPT_USERAGENT, exchange.headers["User-Agent"] ?? exchange.userAgent)
        var lines: [String] = []
        for (name, value) in exchange.headers.fields where !HTTPHeaders.areEqual(name, "User-Agent") {
            // libcurl's way to send a header without a value is a semicolon.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // Not libcurl's own: a form's content type on every body, and a round trip before large ones.
        if exchange.headers["Content-Type"] == nil { lines.append("Content-Type:") }
        lines.append("Expect:")
        if exchange.tlsServerName != nil { lines.append("Host: \(exchange.url.authority)") }
        for line in lines {
            guard let longer = curl_slist_append(headerList, line) else {
                setup.problem = "there is no memory for the headers"
                return
            }
            headerList = longer
        }
        setup.check(ccurl_set_list(setup.handle, CURLOPT_HTTPHEADER, headerList))
    }

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

    private static func deliver(
        _ data: UnsafeMutablePointer<CChar>?, _ length: Int, _ context: UnsafeMutableRawPointer?,
        to receive: (Transfer, UnsafeRawBufferPointer) -> Reception
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

    private enum Reception { case taken, pause, stop }

    private func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        headerBytes += bytes.count
        // What is usual needs no asking.
        guard headerBytes <= BodyBudget.step || isGranted(headerBytes) else {
            stop = .noRoom
            return false
        }
        guard headerBytes <= Transfer.maximumHeaderBytes else {
            stop = .malformed("the answer's headers are larger than \(Transfer.maximumHeaderBytes) bytes")
            return false
        }
        var line = bytes[...]
        while let last = line.last, last == 0x0A || last == 0x0D { line = line.dropLast() }
        if line.starts(with: "HTTP/".utf8) {
            // A further status line begins the answer proper after an interim one (100, 103).
            let code = line.drop { $0 != 0x20 }.drop { $0 == 0x20 }.prefix { $0 != 0x20 }
            status = Int(String(decoding: code, as: UTF8.self)) ?? 0
            headers = HTTPHeaders()
            isPastHeaders = false
            return true
        }
        if isPastHeaders { return true }  // Trailers: nothing here uses them.
        if line.isEmpty {
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
        // "No whitespace is allowed between the field name and colon" (RFC 9112, section 5.1): it would be another name, and the
        // header, a link to the next page for instance, not be there.
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(HTTPHeaders.isTokenByte),
            // A lone CR is no end of a line here, and is one to others: what follows would be a header to them (section 2.2).
            line[colon...].allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) })
        else {
            stop = .malformed("the answer has a malformed header line")
            return false
        }
        var value = line[(colon + 1)...]
        while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
        headers.add(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
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
        // No memory is reserved by words alone. But for whose beginning there is no room need not come at all.
        guard length <= BodyBudget.alwaysGranted || isGranted(BodyBudget.alwaysGranted + BodyBudget.step) else {
            stop = .noRoom
            return false
        }
        return true
    }

    /// Frees what has come, for others. The transfer ends before it takes anything more.
    func giveUpBody() {
        hasGivenWay = true
        body = []
        headers = HTTPHeaders()
    }

    /// Whether there is room for so many bytes of this transfer in all.
    private func isGranted(_ bytes: Int) -> Bool {
        guard bytes > grantedBytes, let budget else { return true }
        let share = self.share ?? budget.pool.begin(host, evict: budget.evict)
        self.share = share
        let more = (bytes - grantedBytes + BodyBudget.step - 1) / BodyBudget.step * BodyBudget.step
        guard budget.pool.take(share, more) == .granted else { return false }
        grantedBytes += more
        return true
    }

    /// Whether the body has come slower than ``minimumRate`` for ``rateTime``; to be asked again and again.
    func isTooSlow(_ now: ContinuousClock.Instant) -> Bool {
        guard let start = measured, now - start.since >= Transfer.rateTime, exchange.stream == nil else { return false }
        let received = body.count + discardedBytes
        measured = (now, received)
        return received - start.bytes < Transfer.minimumRate * Int(Transfer.rateTime.components.seconds)
    }

    /// Goes on after a pause.
    func goOn() {
        guard let handle, let stream = exchange.stream else { return }
        deadline = .now + stream.idleTimeout
        curl_easy_pause(handle, CURLPAUSE_CONT)
    }

    private func received(body bytes: UnsafeRawBufferPointer) -> Reception {
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
        guard isGranted(headerBytes + body.count + bytes.count) else {
            stop = .noRoom
            return .stop
        }
        body.append(contentsOf: bytes)
        return .taken
    }
}
