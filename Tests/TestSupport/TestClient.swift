import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import StrictJSON

/// A TLS client that keeps its connection as long as the test wants, as Gatekeeper does.
package final class TestClient: Sendable {
    /// What came back.
    package struct Reply: Sendable {
        package let status: Int
        package let headers: [String: String]
        package let body: [UInt8]

        package var json: JSONValue { get throws { try StrictJSON.parse(body) } }
        package var text: String { String(decoding: body, as: UTF8.self) }
    }

    package enum Failure: Error { case closed, timeout, malformed(String) }

    /// How to connect: no TLS at all without `trusting`.
    package struct Options: Sendable {
        package var identity: Identity?
        package var trusting: CertificateAuthority?
        package var maximumVersion: TLSVersion?
        /// The name that the server's certificate must have.
        package var serverName = "localhost"

        package init(
            identity: Identity? = nil, trusting: CertificateAuthority? = nil, maximumVersion: TLSVersion? = nil
        ) {
            self.identity = identity
            self.trusting = trusting
            self.maximumVersion = maximumVersion
        }
    }

    package let channel: any Channel
    private let inbox: Inbox

    private init(channel: any Channel, inbox: Inbox) {
        self.channel = channel
        self.inbox = inbox
    }

    package static func connect(port: Int, _ options: Options = Options()) async throws -> TestClient {
        let inbox = Inbox()
        var context: NIOSSLContext?
        if let authority = options.trusting {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .certificates(
                try NIOSSLCertificate.fromPEMBytes(Array(authority.certificate.pem.utf8)))
            configuration.maximumTLSVersion = options.maximumVersion
            configuration.shutdownTimeout = .milliseconds(200)
            if let identity = options.identity {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(identity.chainPEM.utf8))
                    .map { .certificate($0) }
                configuration.privateKey = .privateKey(
                    try NIOSSLPrivateKey(bytes: Array(identity.keyPEM.utf8), format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
        }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [context, options] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: options.serverName))
                    }
                    try channel.pipeline.syncOperations.addHandler(InboxHandler(inbox: inbox))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return TestClient(channel: channel, inbox: inbox)
    }

    /// Connects, posts once and leaves.
    package static func post(
        port: Int, _ options: Options = Options(), path: String = "/ratify/gatekeeper/v1/verify", body: String
    ) async throws -> Reply {
        let client = try await connect(port: port, options)
        defer { client.close() }
        return try await client.ask("POST", path, body: body)
    }

    /// Connects, asks once and leaves.
    package static func ask(port: Int, _ options: Options = Options(), method: String, path: String) async throws
        -> Reply
    {
        let client = try await connect(port: port, options)
        defer { client.close() }
        return try await client.ask(method, path)
    }

    package func ask(_ method: String, _ path: String, headers: [String] = [], body: String = "") async throws -> Reply
    {
        let lines = ["\(method) \(path) HTTP/1.1", "Host: localhost", "Content-Type: application/json"] + headers
        let length = method == "POST" || method == "PUT" ? ["Content-Length: \(body.utf8.count)"] : []
        try await send((lines + length + ["", ""]).joined(separator: "\r\n") + body)
        return try await reply(isHead: method == "HEAD")
    }

    /// Asks for verdicts as Gatekeeper does.
    package func verify(_ keys: [String], headers: [String] = []) async throws -> Reply {
        try await ask("POST", "/ratify/gatekeeper/v1/verify", headers: headers, body: TestClient.request(keys))
    }

    package static func request(_ keys: [String]) -> String {
        let value: JSONValue = [
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
            "request": ["keys": .array(keys.map(JSONValue.string))],
        ]
        return value.text
    }

    package func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)).get() }

    /// The next reply.
    package func reply(isHead: Bool = false) async throws -> Reply {
        let head = try await inbox.take(through: Array("\r\n\r\n".utf8))
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n").filter { !$0.isEmpty }
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Failure.malformed(String(decoding: head, as: UTF8.self))
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1] : ""
        }
        let length = isHead ? 0 : Int(headers["content-length"] ?? "0") ?? 0
        return Reply(status: status, headers: headers, body: try await inbox.take(count: length))
    }

    /// Waits until the server has closed the connection, or the time is over.
    package func isClosed(within time: Duration) async -> Bool {
        let end = ContinuousClock.now + time
        while channel.isActive && ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(5)) }
        return !channel.isActive
    }

    /// The serial number of the server's certificate.
    package var serverSerialNumber: [UInt8]? {
        get async throws { try await channel.nioSSL_peerCertificate().get()?.serialNumber }
    }

    package func close() { channel.close(promise: nil) }

    deinit { channel.close(promise: nil) }
}

/// The bytes that have come, for whoever waits for some of them.
private actor Inbox {
    private var bytes: [UInt8] = []
    private var failure: (any Error)?
    private let stream: AsyncThrowingStream<[UInt8], any Error>
    nonisolated let continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation

    init() { (stream, continuation) = AsyncThrowingStream.makeStream() }

    func take(through end: [UInt8]) async throws -> [UInt8] {
        while true {
            if bytes.count >= end.count {
                for index in 0...(bytes.count - end.count) where bytes[index..<(index + end.count)].elementsEqual(end) {
                    defer { bytes.removeFirst(index + end.count) }
                    return Array(bytes[..<(index + end.count)])
                }
            }
            try await more()
        }
    }

    func take(count: Int) async throws -> [UInt8] {
        while bytes.count < count { try await more() }
        defer { bytes.removeFirst(count) }
        return Array(bytes[..<count])
    }

    private func more() async throws {
        let next: [UInt8]? = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask { [stream] in
                for try await chunk in stream { return chunk }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: .seconds(20))
                throw TestClient.Failure.timeout
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let next else { throw TestClient.Failure.closed }
        bytes += next
    }
}

private final class InboxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let inbox: Inbox

    init(inbox: Inbox) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        inbox.continuation.yield(Array(unwrapInboundIn(data).readableBytesView))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        inbox.continuation.finish(throwing: error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { inbox.continuation.finish() }
}
