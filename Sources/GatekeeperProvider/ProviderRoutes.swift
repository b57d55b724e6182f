import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1

/// The provider's two routes, and complete answers to everything else.
struct ProviderRoutes: Sendable {
    /// The paths of Ratify's provider: Provider objects name them.
    static let root = "/ratify/gatekeeper/v1/"

    let handler: ExternalDataHandler
    let maximumBodyBytes: Int

    /// Answers one request.
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(request.headers, names: handler.service.settings.traceIDHeaderNames)
        guard let operation = ProviderRoutes.operation(request.uri.path) else {
            let error = ProviderRequestError(
                .route,
                "there is nothing at \(request.uri.path.prefix(200)): expected \(ProviderRoutes.root)verify or"
                    + " \(ProviderRoutes.root)mutate, check the Provider's url")
            return try await write(
                handler.refuse(error, operation: nil, traceID: traceID), to: writer, request, traceID: traceID)
        }
        guard request.method == .post else {
            let error = ProviderRequestError(
                .method, "\(request.method.rawValue.prefix(20)) is not allowed at \(request.uri.path): expected POST")
            return try await write(
                handler.refuse(error, operation: operation, traceID: traceID), to: writer, request, traceID: traceID)
        }
        if request.headers[.expect]?.lowercased() == "100-continue", !isAnnouncedTooLarge(request) {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer: ExternalDataAnswer
        if let body = try await body(of: request) {
            answer = await handler.answer(
                operation, body: body, arrival: arrival, traceID: traceID, eventLoop: channel.eventLoop)
        } else {
            let error = ProviderRequestError(
                .tooLarge, "the request body is larger than \(maximumBodyBytes) bytes: ask for fewer keys at once")
            answer = handler.refuse(error, operation: operation, traceID: traceID)
        }
        try await write(answer, to: writer, request, traceID: traceID)
    }

    /// The operation at a path; the match is exact.
    static func operation(_ path: String) -> ExternalDataHandler.Operation? {
        guard path.hasPrefix(root) else { return nil }
        return ExternalDataHandler.Operation(rawValue: String(path.dropFirst(root.count)))
    }

    private func isAnnouncedTooLarge(_ request: Request) -> Bool {
        request.headers[.contentLength].flatMap { Int($0) }.map { $0 > maximumBodyBytes } ?? false
    }

    /// The body, or `nil` when it is too large. What is left of it is read and dropped by the connection, for no
    /// longer than the time for a body.
    private func body(of request: Request) async throws -> [UInt8]? {
        guard !isAnnouncedTooLarge(request) else { return nil }
        var bytes: [UInt8] = []
        for try await var buffer in request.body {
            guard bytes.count + buffer.readableBytes <= maximumBodyBytes else { return nil }
            let count = buffer.readableBytes
            bytes.append(contentsOf: buffer.readBytes(length: count) ?? [])
        }
        return bytes
    }

    private func write(
        _ answer: ExternalDataAnswer, to writer: consuming ResponseWriter, _ request: Request, traceID: String
    ) async throws {
        let isHead = request.method == .head
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        headers[.contentLength] = String(answer.body.count)
        if let name = HTTPField.Name(TraceID.headerName) { headers[name] = traceID }
        if answer.status == .methodNotAllowed { headers[.allow] = "POST" }
        if request.isLastOfConnection { headers[.connection] = "close" }
        try await writer.write(
            response: HTTPResponse(status: answer.status, headerFields: headers),
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}

extension Request {
    /// Whether the client wants the connection closed after the answer; Hummingbird does so.
    var isLastOfConnection: Bool { headers[.connection]?.lowercased() == "close" }
}
