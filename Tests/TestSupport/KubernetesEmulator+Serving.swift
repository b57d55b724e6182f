import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import StrictJSON

extension KubernetesEmulator {
    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    typealias Writer = NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>

    /// Listens, again after ``down()``.
    package func up() async throws {
        let context = context
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    let connection = try Connection(wrappingChannelSynchronously: channel)
                    self.state.withLock { state in
                        state.connections += 1
                        let number = state.connections
                        state.channels[ObjectIdentifier(channel)] = channel
                        state.serving[number] = Task {
                            await self.serve(connection)
                            self.state.withLock { state in
                                state.channels[ObjectIdentifier(channel)] = nil
                                state.serving[number] = nil
                            }
                        }
                    }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        state.withLock { $0.listener = listener }
    }

    /// Stops listening and breaks every connection; the objects stay.
    package func down() async {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        try? await listener?.close().get()
        let (channels, serving) = state.withLock { (Array($0.channels.values), Array($0.serving.values)) }
        for channel in channels { channel.close(promise: nil) }
        for task in serving { await task.value }
    }

    /// Ends the emulator.
    package func stop() async { await down() }

    private func serve(_ connection: Connection) async {
        try? await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body: [UInt8] = []
            for try await part in inbound {
                switch part {
                case .head(let value):
                    head = value
                    body = []
                case .body(let buffer): body += buffer.readableBytesView
                case .end:
                    guard let head else { return }
                    try await answer(Request(head, body), outbound, connection.channel)
                }
            }
        }
    }

    private func answer(_ request: Request, _ outbound: Writer, _ channel: any Channel) async throws {
        let fault = state.withLock { state -> Fault? in
            state.requests.append(request)
            guard let index = state.faults.firstIndex(where: { $0.left != 0 && $0.matches(request) }) else {
                return nil
            }
            if let left = state.faults[index].left { state.faults[index].left = left - 1 }
            return state.faults[index].fault
        }
        switch fault {
        case .status(let status, let retryAfter):
            var response = KubernetesAnswer.status(status, "InternalError", "the emulator was told to say \(status)")
            if let retryAfter { response.headers.append(("Retry-After", String(retryAfter))) }
            return try await write(response, outbound)
        case .reset: return try await channel.close().get()
        case .garbage(let text): return try await write(KubernetesAnswer(200, Array(text.utf8)), outbound)
        case .delay(let time): try await Task.sleep(for: time)
        case .lostAnswer:
            _ = respond(to: request)
            return try await channel.close().get()
        case nil: break
        }
        switch respond(to: request) {
        case .response(let response): try await write(response, outbound)
        case .watch(let watch): try await serve(watch, outbound, channel)
        }
    }

    private func write(_ response: KubernetesAnswer, _ outbound: Writer) async throws {
        var headers = HTTPHeaders(response.headers.map { ($0.name, $0.value) })
        headers.add(name: "Content-Type", value: "application/json")
        headers.add(name: "Content-Length", value: String(response.body.count))
        try await outbound.write(
            .head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status), headers: headers)))
        try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: response.body))))
        try await outbound.write(.end(nil))
    }
}

/// An answer before it is sent.
struct KubernetesAnswer: Sendable {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]

    init(_ status: Int, _ body: [UInt8]) {
        self.status = status
        self.body = body
    }

    init(_ status: Int, _ object: JSONObject) { self.init(status, JSONValue.object(object).bytes) }

    /// A `Status` of a failure.
    static func status(_ code: Int, _ reason: String, _ message: String) -> KubernetesAnswer {
        KubernetesAnswer(code, failure(code, reason, message))
    }

    static func failure(_ code: Int, _ reason: String, _ message: String) -> JSONObject {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
            "reason": .string(reason), "code": .number(String(code)),
        ]
    }
}

enum KubernetesReply: Sendable {
    case response(KubernetesAnswer)
    case watch(EmulatedWatch)
}

extension KubernetesEmulator.Request {
    init(_ head: HTTPRequestHead, _ body: [UInt8]) {
        let components = URLComponents(string: head.uri)
        method = head.method.rawValue
        path = components?.path ?? head.uri
        var query: [String: String] = [:]
        for item in components?.queryItems ?? [] { query[item.name] = item.value ?? "" }
        self.query = query
        headers = head.headers.map { ($0.name, $0.value) }
        self.body = body
    }
}
