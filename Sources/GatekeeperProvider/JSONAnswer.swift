import HTTPTypes
import HummingbirdCore
import NIOCore
import StrictJSON

/// A whole answer in JSON.
struct JSONAnswer: Sendable {
    let status: HTTPResponse.Status
    let body: [UInt8]

    init(status: HTTPResponse.Status, body: [UInt8]) {
        self.status = status
        self.body = body
    }

    init(status: HTTPResponse.Status, value: JSONValue) { self.init(status: status, body: value.bytes + [0x0A]) }

    /// Writes it, with the trace id that ties it to the log.
    func write(to writer: consuming ResponseWriter, _ request: Request, traceID: String) async throws {
        let isHead = request.method == .head
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        headers[.contentLength] = String(body.count)
        if let name = HTTPField.Name(TraceID.headerName) { headers[name] = traceID }
        if status == .methodNotAllowed { headers[.allow] = "POST" }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        if request.isLastOfConnection { headers[.connection] = "close" }
        try await writer.write(
            response: HTTPResponse(status: status, headerFields: headers),
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension Request {
    /// Whether the client wants the connection closed after the answer; Hummingbird does so.
    var isLastOfConnection: Bool { headers[.connection]?.lowercased() == "close" }

    /// Whether the client waits for a word before it sends the body.
    var expectsContinue: Bool { headers[.expect]?.lowercased() == "100-continue" }

    /// Whether the client says that its body is larger.
    func isAnnounced(largerThan maximum: Int) -> Bool {
        headers[.contentLength].flatMap { Int($0) }.map { $0 > maximum } ?? false
    }

    /// The body, or `nil` when it is too large. What is left of it is read and dropped by the connection, for no
    /// longer than the time for a body.
    func body(upTo maximum: Int) async throws -> [UInt8]? {
        guard !isAnnounced(largerThan: maximum) else { return nil }
        var bytes: [UInt8] = []
        for try await var buffer in body {
            guard bytes.count + buffer.readableBytes <= maximum else { return nil }
            let count = buffer.readableBytes
            bytes.append(contentsOf: buffer.readBytes(length: count) ?? [])
        }
        return bytes
    }
}
