import NIOCore
import NIOHTTP1

/// What a connection must do next, as ``ConnectionStateMachine`` decides.
enum ConnectionAction {
    /// Pass the head of a request to the routes, and their decision to ``ConnectionStateMachine/decided(_:)``.
    case dispatch(HTTPRequestHead)
    /// Authenticate the caller, which takes longer, and pass the decision to ``ConnectionStateMachine/decided(_:)``.
    case admit(@Sendable () async -> RequestDisposition)
    /// Pass a whole request to the routes, and their answer to ``ConnectionStateMachine/answered(_:)``. If it comes
    /// later, call ``ConnectionStateMachine/answerTakesTime()`` at once.
    case handOver(AwaitedBody, [UInt8])
    /// Make the answer to input that is not an acceptable request, and pass it to
    /// ``ConnectionStateMachine/answered(_:)``.
    case refuse(RequestFault)
    /// Count and log requests that get no answer.
    case report(RequestFault)
    /// Tell the client to send the body (RFC 9110, section 10.1.1).
    case writeContinue
    /// Write an answer, and report its size to ``ConnectionStateMachine/willWrite(bytes:)``.
    case write(Response)
    /// Flush what was written.
    case flush
    /// Read more.
    case read
    /// Start the timer of the phase that has begun. Without a time the phase has no deadline.
    case enter(ConnectionPhase, TimeAmount?)
    /// Cancel the work under way. Its answer still comes.
    case cancelWork
    /// Take the next step towards the connection's end.
    case end(Ending)

    /// An answer, and how it is written.
    struct Response {
        let answer: HTTPAnswer
        /// Whether it answers a HEAD request, and has no body.
        let isHead: Bool
        /// The field `Connection`, where there must be one.
        let connection: Connection?
        /// Whether nothing is answered after it.
        var isLast: Bool { connection == .close }
    }

    enum Connection: Equatable {
        case close, keepAlive
    }

    /// The steps towards a connection's end.
    enum Ending: Equatable {
        /// Flush what was written, and call ``ConnectionStateMachine/delivered()`` when the write has completed.
        case whenDelivered
        /// Close our side, give the client a moment to close its own, then call
        /// ``ConnectionStateMachine/lingeringEnded()``.
        case linger
        /// Close.
        case close
        /// Close a connection that was idle for too long, without waiting for TLS's closing alert of the client.
        case idle
        /// The same for a connection that makes room for others.
        case displaced
        /// Close because the client took too long in this phase.
        case expired(ConnectionPhase)
    }
}

/// What a connection waits for: the client (`handshake` to `body`), our answer (`answer`), or, while more requests are
/// there to answer, that the client reads its answers (`backpressure`).
enum ConnectionPhase: String {
    case handshake, idle, head, body, answer
    /// In metrics and log lines `delivery`, as in the releases before it had this name.
    case backpressure = "delivery"
    case closed
}

/// How long the phases of a connection may take. `backpressure` has the time of `idle`, `answer` has none.
struct PhaseTimeouts: Sendable {
    let handshake: TimeAmount
    let idle: TimeAmount
    let header: TimeAmount
    let body: TimeAmount
}
