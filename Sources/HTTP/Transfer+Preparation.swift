import CCurl
import IPAddresses

/// What libcurl is asked for.
extension Transfer {
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
        // A peer that has gone and come back without a word, as after a crash, must be noticed within seconds of its
        // return by whoever only listens. A stream may go over a connection that another exchange has opened: all have
        // this.
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
}
