import NIOCore
import NIOHTTP1

@testable import ProviderServer

/// Drives a ``ConnectionStateMachine`` by hand: tells events, and gives the actions in words.
struct ConnectionDriver {
    var machine = ConnectionDriver.closedMachine()

    /// A connection that is not open yet.
    static func closedMachine() -> ConnectionStateMachine {
        ConnectionStateMachine(
            timeouts: PhaseTimeouts(handshake: .seconds(1), idle: .seconds(30), header: .seconds(3), body: .seconds(4)),
            heads: NIOHTTPDecoderLimitConfiguration(), room: RequestBodyBudget(maximumBytes: 64 << 10))
    }

    /// A connection that is open, without TLS.
    init() {
        _ = after { $0.opened(isTLS: false) }
    }

    /// What is done after an event, until there is nothing more to do.
    mutating func after(_ event: (inout ConnectionStateMachine) -> Void) -> [String] {
        event(&machine)
        var words: [String] = []
        while let action = machine.nextAction() {
            words.append(ConnectionDriver.word(action))
            if case .write(let response) = action { machine.willWrite(bytes: response.answer.body.count) }
        }
        return words
    }

    mutating func receive(_ part: HTTPServerRequestPart) -> [String] { after { $0.received(part) } }

    /// A whole request whose body is wanted, up to where its answer is due.
    mutating func receiveRequest() {
        _ = after { $0.bytesArrived() }
        _ = receive(.head(ConnectionDriver.head()))
        _ = after { $0.decided(.body(ConnectionDriver.body())) }
        _ = receive(.end(nil))
    }

    static func head(
        _ version: HTTPVersion = .http1_1, _ more: [(String, String)] = [], hosts: [String] = ["x"]
    ) -> HTTPRequestHead {
        HTTPRequestHead(
            version: version, method: .POST, uri: "/", headers: HTTPHeaders(hosts.map { ("Host", $0) } + more))
    }

    static func answer(_ body: String = "yes", refusal: Refusal? = nil) -> HTTPAnswer {
        HTTPAnswer(status: .ok, body: Array(body.utf8), traceID: "t", refusal: refusal)
    }

    static func body(maximum: Int = 32 << 10) -> AwaitedBody {
        AwaitedBody(
            maximum: maximum, tooLarge: { answer("too large", refusal: Refusal("o", "k", "r", isLast: false)) },
            answer: { _, _ in .now(answer()) })
    }

    static func word(_ action: ConnectionAction) -> String {
        switch action {
        case .dispatch: "dispatch"
        case .admit: "admit"
        case .handOver(_, let bytes): "hand over \(bytes.count)"
        case .refuse(let fault): "refuse \(fault.kind.rawValue)"
        case .report(let fault): "report \(fault.kind.rawValue)"
        case .writeContinue: "continue"
        case .write(let response):
            "write " + String(decoding: response.answer.body.prefix(20), as: UTF8.self)
                + (response.connection.map { ", \($0)" } ?? "")
        case .flush: "flush"
        case .read: "read"
        case .enter(let phase, let time): "\(phase) " + (time.map { "\($0.nanoseconds / 1_000_000_000) s" } ?? "-")
        case .cancelWork: "cancel"
        case .end(let ending): "end: \(ending)"
        }
    }
}
