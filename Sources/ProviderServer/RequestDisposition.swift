import NIOCore
import NIOHTTP1

/// What a listener answers its requests with: the routes of a protocol.
package protocol ProviderResponder: Sendable {
    /// What becomes of a request whose head has come. Called on the connection's event loop: nothing may wait here.
    func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition
    /// The answer to what is not taken as a request.
    func refuse(_ fault: RequestFault, traceID: String) -> JSONAnswer
}

/// What becomes of a request, as far as its head tells.
package enum RequestDisposition: Sendable {
    /// The answer is known. What there is of a body is read and dropped.
    case answer(JSONAnswer)
    /// The body is wanted.
    case body(AwaitedBody)
    /// Who asks is to be found out first. Nothing more is read from the connection meanwhile.
    case admission(@Sendable () async -> RequestDisposition)
}

/// A body that is wanted, and what it is wanted for.
package struct AwaitedBody: Sendable {
    /// The most bytes that are taken.
    let maximum: Int
    /// The answer to a body with more.
    let tooLarge: @Sendable () -> JSONAnswer
    /// The answer to the whole request. Called on the event loop: nothing may wait here.
    let answer: @Sendable ([UInt8], any EventLoop) -> ResponseAction
    /// Its part of what all bodies may take, once it is large.
    var room: RequestRoom.Share?

    /// A body of so many bytes at most.
    ///
    /// - Parameters:
    ///   - tooLarge: the answer to a body with more.
    ///   - answer: the answer to the whole request. Called on the event loop: nothing may wait there.
    package init(
        maximum: Int, tooLarge: @escaping @Sendable () -> JSONAnswer,
        answer: @escaping @Sendable ([UInt8], any EventLoop) -> ResponseAction
    ) {
        self.maximum = maximum
        self.tooLarge = tooLarge
        self.answer = answer
    }

    /// Whether there is room for so many bytes of it.
    mutating func hasRoom(for bytes: Int, in all: RequestRoom) -> Bool {
        guard bytes > RequestRoom.alwaysGranted else { return true }
        let share = room ?? RequestRoom.Share(all)
        room = share
        return share.grow(to: bytes)
    }
}

/// The answer to a whole request.
package enum ResponseAction: Sendable {
    /// It is at hand.
    case now(JSONAnswer)
    /// It takes a while.
    case later(@Sendable () async -> JSONAnswer)
}

extension HTTPRequestHead {
    /// The path of the request's target, without the query (RFC 9112, section 3.2).
    package var path: String {
        let target = uri.utf8
        var start = target.startIndex
        if target.first != UInt8(ascii: "/") {
            // The absolute form, `https://host/path`: only proxies are asked so, and it must be understood.
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
