import NIOCore
import NIOHTTP1

/// The routes of a protocol, which answer the requests to a listener.
package protocol ProviderResponder: Sendable {
    /// Decides from its head what to do with a request. Called on the connection's event loop: it must not block.
    func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition
    /// The answer to input that is not an acceptable request. Called on the event loop, too.
    func refuse(_ fault: RequestFault, traceID: String) -> HTTPAnswer
}

/// What to do with a request, decided from its head.
package enum RequestDisposition: Sendable {
    /// Answer at once. The body, if there is one, is read and dropped.
    case answer(HTTPAnswer)
    /// Read the body first.
    case body(AwaitedBody)
    /// Authenticate the caller first; the result is the next disposition. Nothing more is read from the connection
    /// meanwhile.
    case admission(@Sendable () async -> RequestDisposition)
}

/// A body that is to be read, its limit, and the handler of the whole request.
package struct AwaitedBody: Sendable {
    /// The most bytes that are accepted.
    let maximum: Int
    /// Makes the answer to a body with more bytes.
    let tooLarge: @Sendable () -> HTTPAnswer
    /// Answers the whole request. Called on the event loop: it must not block.
    let answer: @Sendable ([UInt8], any EventLoop) -> ResponseAction
    /// Its share of the memory for all bodies, once it is larger than ``RequestBodyBudget/alwaysGranted``.
    var room: RequestBodyBudget.Share?

    /// A body of at most `maximum` bytes.
    ///
    /// - Parameters:
    ///   - tooLarge: makes the answer to a body with more bytes.
    ///   - answer: answers the whole request. Called on the event loop: it must not block.
    package init(
        maximum: Int, tooLarge: @escaping @Sendable () -> HTTPAnswer,
        answer: @escaping @Sendable ([UInt8], any EventLoop) -> ResponseAction
    ) {
        self.maximum = maximum
        self.tooLarge = tooLarge
        self.answer = answer
    }

    /// Whether there is memory for so many bytes of this body.
    mutating func hasRoom(for bytes: Int, in all: RequestBodyBudget) -> Bool {
        guard bytes > RequestBodyBudget.alwaysGranted else { return true }
        let share = room ?? RequestBodyBudget.Share(all)
        room = share
        return share.grow(to: bytes)
    }
}

/// The answer to a whole request.
package enum ResponseAction: Sendable {
    /// The answer is known already.
    case now(HTTPAnswer)
    /// The answer takes longer: it is made in a task.
    case later(@Sendable () async -> HTTPAnswer)
}

extension HTTPRequestHead {
    /// The path of the request's target, without the query (RFC 9112, section 3.2).
    package var path: String {
        let target = uri.utf8
        var start = target.startIndex
        if target.first != UInt8(ascii: "/") {
            // The absolute form, `https://host/path`: clients send it to proxies, but every server must accept it.
            guard let mark = uri.firstRange(of: "://"),
                let slash = target[mark.upperBound...].firstIndex(where: { "/?".utf8.contains($0) })
            else { return "/" }
            guard target[slash] == UInt8(ascii: "/") else { return "/" }
            start = slash
        }
        let end = target[start...].firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        return start == target.startIndex && end == target.endIndex ? uri : String(uri[start..<end])
    }
}
