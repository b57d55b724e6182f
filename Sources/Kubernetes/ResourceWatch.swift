import HTTP
import Quotation
import StrictJSON

/// What a watch tells.
package enum WatchEvent: Sendable {
    /// All objects, after the first list and after each later one: what is not among them is gone.
    case synced([JSONObject])
    /// An object is new or has changed.
    case changed(JSONObject)
    /// An object is gone; its last state.
    case deleted(JSONObject)
    /// The API server cannot be asked now; the watch goes on trying. For status and metrics.
    case failed(KubernetesError)
    /// After ``failed(_:)``: the watch is open again, and goes on where it was; nothing was missed.
    case resumed
}

extension KubernetesClient {
    /// Lists and watches objects for ever: through lost connections, restarts of the API server, and forgotten versions
    /// (410), with waits between failures.
    ///
    /// The sequence ends when its task is cancelled. It is pulled: a slow reader keeps the API server waiting, and
    /// nothing piles up here. One reader.
    package func watch(_ type: ResourceType, _ selection: ResourceSelection = .all) -> AsyncStream<WatchEvent> {
        let watch = ResourceWatch(self, type, selection)
        return AsyncStream { await watch.next() }
    }
}

/// The state of a watch between two events.
actor ResourceWatch {
    private let client: KubernetesClient
    private let type: ResourceType
    private let selection: ResourceSelection
    private let words: String
    /// Waits while the API server cannot be asked, and waits after what does not pass by itself: a server that has come
    /// back may say for a moment that a right or a type is missing, and that moment is not to cost a long wait.
    private var absence: Backoff
    private var refusals: Backoff
    /// Whether the last thing told is that the API server cannot be asked.
    private var isReportedLost = false
    /// To wait before the next attempt.
    private var wait: Duration?
    /// What has been seen; `nil`: list again.
    private var version: String?
    private var stream: (body: HTTPBody, opened: ContinuousClock.Instant)?
    /// What was sent that no message may repeat.
    private var sent = SentSecrets()
    private var lines: LineBuffer
    private var isTokenRenewed = false

    init(_ client: KubernetesClient, _ type: ResourceType, _ selection: ResourceSelection) {
        self.client = client
        self.type = type
        self.selection = selection
        words = "WATCH \(type)" + (selection.namespace.map { " in namespace \"\($0)\"" } ?? "")
        absence = client.options.backoff
        refusals = client.options.refusalBackoff
        lines = LineBuffer(maximumBytes: client.options.maximumEventBytes)
    }

    /// The next event; `nil` when the task was cancelled or the client shut down.
    func next() async -> WatchEvent? {
        while true {
            if let wait {
                self.wait = nil
                do { try await Task.sleep(for: wait) } catch { return nil }
            }
            guard !Task.isCancelled else { return nil }
            do throws(KubernetesError) {
                guard version != nil else {
                    let objects = try await list()
                    isReportedLost = false
                    return .synced(objects)
                }
                if stream == nil {
                    try await open()
                    if isReportedLost {
                        isReportedLost = false
                        return .resumed
                    }
                }
                if let event = try await read() { return event }
            } catch {
                stream = nil
                if error.kind == .cancelled { return nil }
                let isForgotten = error.kind == .gone && version != nil
                // What has happened since is unknown: list.
                if error.kind == .gone || error.kind == .malformed || error.kind == .tooLarge { version = nil }
                wait = nextWait(after: error)
                // An API server keeps versions for minutes only: nothing to report.
                if isForgotten { continue }
                isReportedLost = true
                return .failed(error)
            }
        }
    }

    /// Each kind of waits begins anew when the other one is over.
    private func nextWait(after error: KubernetesError) -> Duration {
        switch error.kind {
        case .unavailable, .throttled, .unauthorized, .gone, .conflict, .cancelled:
            refusals.reset()
            return absence.nextAttempt(retryAfter: error.retryAfter)
        case .configuration, .forbidden, .notFound, .alreadyExists, .invalid, .tooLarge, .malformed:
            absence.reset()
            return refusals.next(retryAfter: error.retryAfter)
        }
    }

    private func resetWaits() {
        absence.reset()
        refusals.reset()
    }

    private func list() async throws(KubernetesError) -> [JSONObject] {
        let list = try await client.list(type, selection, longestPause: client.options.backoff.longestPause)
        version = list.resourceVersion
        return list.items
    }

    private func open() async throws(KubernetesError) {
        var call = try client.call(.get, type, namespace: selection.namespace)
        let seconds = Int.random(in: client.options.watchSeconds)
        call.query =
            selection.query + [
                ("watch", "true"), ("resourceVersion", version ?? ""), ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", String(seconds)),
            ]
        let deadline = ContinuousClock.now + client.options.timeout
        while true {
            let token = try await client.token(words, deadline: deadline)
            let answer: HTTPStream
            do {
                answer = try await client.http.stream(
                    client.request(call, token: token, deadline: deadline),
                    idleTimeout: .seconds(seconds) + client.options.watchSilence)
            } catch { throw KubernetesError(error, host: client.host, request: words) }
            if answer.status == 200 {
                stream = (answer.body, .now)
                sent = answer.sent
                lines.clear()
                isTokenRenewed = false
                return
            }
            if answer.status == 401, !isTokenRenewed, await client.mayHaveOtherToken(than: token) {
                isTokenRenewed = true
                continue
            }
            isTokenRenewed = false
            var body: [UInt8] = []
            while body.count < 64 << 10, let more = try? await answer.body.next() { body += more }
            throw client.refusal(answer.status, answer.headers, body, answer.sent, words)
        }
    }

    /// The next event of the stream; `nil` when there is nothing to tell: a bookmark, or the end of the stream.
    private func read() async throws(KubernetesError) -> WatchEvent? {
        guard let stream else { return nil }
        while true {
            guard let line = try lines.next(orFault: client.error(.tooLarge, words, "an event is too large")) else {
                let bytes: [UInt8]?
                do { bytes = try await stream.body.next() } catch {
                    if error.kind == .cancelled { throw client.error(.cancelled, words, error.detail) }
                    // Lost: nothing is missed, the next one goes on from the same version.
                    ended(after: stream.opened)
                    return nil
                }
                guard let bytes else {
                    ended(after: stream.opened)
                    return nil
                }
                lines.append(bytes)
                continue
            }
            return try event(line)
        }
    }

    /// A stream is over. One that lasted is the ordinary case; many short ones in a row are not to be a storm.
    private func ended(after opened: ContinuousClock.Instant) {
        stream = nil
        if ContinuousClock.now - opened > .seconds(10) { resetWaits() } else { wait = absence.next() }
    }

    private func event(_ line: [UInt8]) throws(KubernetesError) -> WatchEvent? {
        let event = try client.parse(line, words)
        guard let kind = event["type"]?.string, let object = event["object"]?.object else {
            throw client.error(.malformed, words, "an event has no type or no object")
        }
        if kind == "ERROR" {
            let code = object["code"]?.integer ?? 500
            throw client.refusal(Int(clamping: code), [:], JSONValue.object(object).bytes, sent, words)
        }
        guard let version = object.resourceVersion, !version.isEmpty else {
            throw client.error(.malformed, words, "an event's object has no resource version")
        }
        self.version = version
        switch kind {
        case "BOOKMARK":
            resetWaits()
            return nil
        case "ADDED", "MODIFIED":
            resetWaits()
            return .changed(object)
        case "DELETED":
            resetWaits()
            return .deleted(object)
        default: throw client.error(.malformed, words, "an event of the unknown type \"\(kind.quoted)\"")
        }
    }
}

/// Splits bytes into lines.
struct LineBuffer {
    private let maximumBytes: Int
    private var bytes: [UInt8] = []
    private var start = 0
    private var searched = 0

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    mutating func clear() {
        bytes = []
        start = 0
        searched = 0
    }

    mutating func append(_ more: [UInt8]) {
        if start > 0 {
            bytes.removeFirst(start)
            searched -= start
            start = 0
        }
        bytes += more
    }

    /// The next whole line that is not empty; `nil` when more bytes are needed.
    mutating func next(orFault fault: @autoclosure () -> KubernetesError) throws(KubernetesError) -> [UInt8]? {
        while let end = bytes[searched...].firstIndex(of: 0x0A) {
            let line = bytes[start..<end]
            start = end + 1
            searched = start
            guard line.count <= maximumBytes else { throw fault() }
            if !line.isEmpty { return Array(line) }
        }
        searched = bytes.count
        guard searched - start <= maximumBytes else { throw fault() }
        return nil
    }
}
