import CCurl
import Concurrency
import IPAddresses

/// What a transfer comes to.
extension Transfer {
    /// The outcome once libcurl is done with the handle.
    func outcome(_ code: CURLcode, trust: TrustAnchors) -> Result<Answer, Fault> {
        if hasGivenWay { return .failure(noRoom("this body gave way to those of other hosts")) }
        if code == CURLE_OK { return .success(answer(body)) }
        if let refused, !hasPermittedAddress || code == CURLE_ABORTED_BY_CALLBACK {
            let detail = "not asked: \(refused)"
            return .failure(Fault(kind: .addressRefused, detail: detail, isWorthRetrying: false))
        }
        switch stop {
        case .enough: return .success(answer([]))
        case .tooLarge:
            let limit = exchange.maximumResponseBytes
            let fault = Fault(
                kind: .responseTooLarge(limit), detail: "the answer is larger than the limit of \(limit) bytes",
                isWorthRetrying: false)
            return .failure(fault)
        case .noRoom: return noRoomInTime()
        case .malformed(let problem):
            return .failure(Fault(kind: .protocolFault, detail: problem, isWorthRetrying: false))
        case nil:
            let report = CurlReport(
                code: code, text: String(cString: errorText), phase: phase, exchange: exchange, trustCount: trust.count,
                connectStatus: long(CURLINFO_HTTP_CONNECTCODE))
            return .failure(report.fault)
        }
    }

    /// There is no room for this transfer. Sent again at once, it would only be refused again.
    func noRoom(_ reason: String) -> Fault {
        let limit = (budget?.pool.maximumBytes ?? ResponseBodyBudget.usualBytes) >> 20
        return Fault(
            kind: .overBudget,
            detail: "\(reason): the process keeps at most \(limit) MiB of them (executor.maximumDownloadBytes)",
            isWorthRetrying: false)
    }

    /// The outcome when there was no room for the body, or not in time.
    func noRoomInTime() -> Result<Answer, Fault> {
        .failure(noRoom("too many bytes of answers are under way or wait, most of them from this host"))
    }

    /// The outcome when the body comes too slowly.
    func tooSlow() -> Result<Answer, Fault> {
        .failure(
            Fault(
                kind: .tooSlow,
                detail:
                    "the host sends less than \(Transfer.minimumRate) bytes a second, over \(Transfer.rateTime.components.seconds) s: \(phase.words)",
                isWorthRetrying: false))
    }

    private func answer(_ body: [UInt8]) -> Answer {
        if let share { budget?.pool.complete(share, body.count) }
        let peer = exchange.proxy == nil ? handle.flatMap { ccurl_get_peer($0) } : nil
        let address = peer.flatMap { IPAddress(String(cString: $0)) }
        return Answer(status: status, headers: headers, body: body, share: share, address: address)
    }

    /// The outcome when the deadline has passed.
    func timeout() -> Result<Answer, Fault> {
        .failure(
            Fault(kind: .timeout, detail: "the time for this call ended while \(phase.words)", isWorthRetrying: true))
    }

    private var phase: TransferPhase {
        if isPastHeaders { return .receiving(body.count) }
        if time(CURLINFO_PRETRANSFER_TIME_T) > 0 { return .waiting }
        if time(CURLINFO_NAMELOOKUP_TIME_T) == 0 { return .resolving }
        if time(CURLINFO_CONNECT_TIME_T) == 0 { return .connecting }
        return .handshake
    }

    private func time(_ info: CURLINFO) -> Int64 {
        var value: Int64 = 0
        if let handle { ccurl_get_offset(handle, info, &value) }
        return value
    }

    private func long(_ info: CURLINFO) -> Int {
        var value = 0
        if let handle { ccurl_get_long(handle, info, &value) }
        return value
    }
}
