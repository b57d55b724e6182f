import NIOCore
import NIOHTTP1

extension ConnectionStateMachine {
    /// What the connection is doing.
    enum State {
        /// Between two requests.
        case idle
        /// The routes decide what to do with the request.
        case admitting(RequestHead)
        /// The body is coming.
        case receivingBody(RequestHead, AwaitedBody, [UInt8])
        /// The answer is written, and the rest of the body is read and dropped.
        case discardingBody(isLast: Bool)
        /// The request is complete, or was refused, and its answer is awaited.
        case answering(RequestHead)
        /// The last answer is being written.
        ///
        /// - Parameter lingers: whether the client may still be sending.
        case delivering(lingers: Bool)
        /// Our side is closed, and the client is given a moment to close its own.
        case lingering
        /// The connection is closed or about to be: all further events are ignored.
        case closed

        /// Whether the head of a request was taken and its end was not.
        var isInBody: Bool {
            switch self {
            case .admitting, .receivingBody, .discardingBody: true
            case .idle, .answering, .delivering, .lingering, .closed: false
            }
        }
    }

    /// What is known of what the client sends.
    struct Input {
        /// No more requests are taken: the client has closed its side or sent too many, or the provider is stopping.
        var isClosed = false
        /// All further input is dropped, before it is decoded.
        var isDiscarded = false
        /// What the decoder refused; it comes after everything in the backlog.
        var broken: BrokenHead?
        /// The first line of the request that is being received, as far as it has come.
        var firstLine = FirstLine()
        /// The last eight bytes of the body so far.
        var bodyEnd: UInt64?
    }

    /// The answers that are written and not flushed.
    struct Output {
        /// Whether the channel is writable, so whether the client reads its answers.
        var isWritable = true
        var unflushedBytes = 0
        /// Whether to flush once the input that was read is taken.
        var isFlushDue = false
    }

    /// Decoded parts that wait for the current request to be answered: those of one read, with a limit of requests.
    struct Backlog {
        private var parts = CircularBuffer<HTTPServerRequestPart>()
        /// How many requests begin in it.
        private(set) var requests = 0

        var isEmpty: Bool { parts.isEmpty }
        var last: HTTPServerRequestPart? { parts.last }

        mutating func append(_ part: HTTPServerRequestPart) {
            if case .head = part { requests += 1 }
            parts.append(part)
        }

        mutating func popFirst() -> HTTPServerRequestPart? {
            guard let part = parts.popFirst() else { return nil }
            if case .head = part { requests -= 1 }
            return part
        }

        mutating func removeAll() {
            parts.removeAll()
            requests = 0
        }
    }

    /// Whether the provider is stopping.
    enum Shutdown {
        case none
        /// Requests that were received are answered, then the connection ends.
        case quiescing
        /// The grace period is over: nothing is waited for any longer.
        case cut
    }
}
