import NIOCore
import NIOHTTP1

/// What a connection is to do now, as ``ConnectionStateMachine`` decides.
enum ConnectionAction {
    /// Find out what becomes of a request whose head has come, and tell ``ConnectionStateMachine/decided(_:)``.
    case dispatch(HTTPRequestHead)
    /// Find out who asks, which takes a while, and tell ``ConnectionStateMachine/decided(_:)``.
    case admit(@Sendable () async -> RequestDisposition)
    /// Hand a whole request over, and tell ``ConnectionStateMachine/answered(_:)``; at once
    /// ``ConnectionStateMachine/answerTakesTime()`` when the answer is not at hand.
    case handOver(AwaitedBody, [UInt8])
    /// Make the answer to what is not taken as a request, and tell ``ConnectionStateMachine/answered(_:)``.
    case refuse(RequestFault)
    /// Count and log requests that are not answered at all.
    case report(RequestFault)
    /// Tell the client to send the body (RFC 9110, section 10.1.1).
    case writeContinue
    /// Write an answer, and tell ``ConnectionStateMachine/willWrite(bytes:)``.
    case write(Response)
    /// Send what was written.
    case flush
    /// Read more.
    case read
    /// Time the phase that has begun. Without a time it has no end of its own.
    case enter(ConnectionPhase, TimeAmount?)
    /// Stop whatever is waited for: its answer comes all the same.
    case cancelWork
    /// Take the next step towards the connection's end.
    case end(Ending)

    /// An answer, and how it is written.
    struct Response {
        let answer: JSONAnswer
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
        /// Send what was written, and tell ``ConnectionStateMachine/delivered()`` when it is on its way.
        case whenDelivered
        /// Close our side, and wait for the client's for a while, of which ``ConnectionStateMachine/lingeringEnded()``
        /// is the end.
        case linger
        /// Close.
        case close
        /// Close what was idle for too long, without waiting for the client's word.
        case idle
        /// The same, of a connection that makes room for others.
        case displaced
        /// Close, because the client took too long over this phase.
        case expired(ConnectionPhase)
    }
}

/// What is waited for on a connection.
enum ConnectionPhase: String {
    case handshake, idle, head, body, answer, delivery, closed
}

/// How long the phases of a connection may take.
struct PhaseTimeouts: Sendable {
    let handshake: TimeAmount
    let idle: TimeAmount
    let header: TimeAmount
    let body: TimeAmount
}
