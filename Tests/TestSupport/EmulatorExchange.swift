import Foundation
import NIOCore
import NIOHTTP1

/// What an emulator can do about a request: answer it at once, answer it piece by piece, or break the connection.
struct EmulatorExchange: Sendable {
    /// Ends the connection when it is thrown.
    struct Broken: Error {}

    let method: HTTPMethod
    let channel: any Channel
    let outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>

    /// Sends an answer; to `HEAD` without its body.
    func send(_ answer: EmulatorAnswer) async throws {
        var headers = HTTPHeaders(answer.headers.map { ($0.name, $0.value) })
        if !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: String(answer.body.count))
        }
        try await begin(answer.status, headers)
        if method != .HEAD {
            let size = answer.pace?.bytes ?? max(1, answer.body.count)
            for start in stride(from: 0, to: answer.body.count, by: size) {
                if start > 0, let pace = answer.pace { try await Task.sleep(for: pace.every) }
                try await write(answer.body[start..<min(start + size, answer.body.count)])
            }
        }
        if answer.isCutShort { throw Broken() }
        try await end()
    }

    /// Sends the head of an answer.
    func begin(_ status: Int, _ headers: HTTPHeaders) async throws {
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        try await outbound.write(.head(head))
    }

    /// Sends a piece of the body.
    func write(_ bytes: some Collection<UInt8> & Sendable) async throws {
        try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
    }

    /// Ends the answer.
    func end() async throws { try await outbound.write(.end(nil)) }

    /// Ends the connection with a reset.
    func reset() async throws -> Never {
        // Lingering for no time makes the end of the connection a reset.
        if let socket = channel as? any SocketOptionProvider {
            try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        throw Broken()
    }
}

/// An answer of an emulator before it is sent.
struct EmulatorAnswer: Sendable {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Sends the body in pieces, with time between them.
    var pace: (bytes: Int, every: Duration)?
    /// Announces more than it sends, then ends the connection.
    var isCutShort = false
}
