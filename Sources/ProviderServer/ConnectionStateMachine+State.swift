import NIOCore
import NIOHTTP1

extension ConnectionStateMachine {
    /// What a connection is at.
    enum State {
        /// Between two requests.
        case idle
        /// What becomes of the request is being found out.
        case admitting(RequestHead)
        /// The body is coming.
        case receivingBody(RequestHead, AwaitedBody, [UInt8])
        /// The answer is written, and the rest of the body is read and dropped.
        case discardingBody(isLast: Bool)
        /// The request is whole, its answer takes a while.
        case answering(RequestHead)
        /// The last answer is on its way.
        ///
        /// - Parameter lingers: whether the client may be sending still.
        case delivering(lingers: Bool)
        /// Our side is closed, and the client's end is waited for.
        case lingering
        /// Nothing more is done.
        case closed

        /// Whether more is to come of a request.
        var isInBody: Bool {
            switch self {
            case .admitting, .receivingBody, .discardingBody: true
            case .idle, .answering, .delivering, .lingering, .closed: false
            }
        }
    }

    /// What is known of what the client sends.
    struct Input {
        /// No more requests are taken: the client sends nothing more, or is not listened to any more.
        var isClosed = false
        /// Whatever comes is dropped, before it is decoded.
        var isDiscarded = false
        /// What came after the backlog is not HTTP.
        var broken: BrokenHead?
        /// What has come of the line that a request begins with.
        var firstLine = FirstLine()
        /// The last bytes of the body that is coming.
        var bodyEnd: UInt64?
    }

    /// What was written, and is not sent yet.
    struct Output {
        /// Whether the client takes what it is sent.
        var isWritable = true
        var unflushedBytes = 0
        /// It is to be sent once what has been read is looked at.
        var isFlushDue = false
    }

    /// What has been read and not looked at: what one read brings, and few requests of that.
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
        /// What has been asked is answered, and then the connection ends.
        case quiescing
        /// Time is up: nothing is waited for any longer.
        case cut
    }
}
