import HTTP
import OCI
import Synchronization

/// Stands for the network: a function from requests to answers, and a record of what was asked.
final class ScriptedHTTP: HTTPSending {
    private let script: @Sendable (HTTPRequest) async throws(HTTPError) -> HTTPResponse
    private let log = Mutex<[HTTPRequest]>([])

    init(_ script: @escaping @Sendable (HTTPRequest) async throws(HTTPError) -> HTTPResponse) { self.script = script }

    var requests: [HTTPRequest] { log.withLock { $0 } }

    /// `GET https://r.example/v2/…`, one for each request.
    var lines: [String] { requests.map { "\($0.method.rawValue) \($0.url)" } }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        log.withLock { $0.append(request) }
        let response = try await script(request)
        guard response.body.count <= request.maximumResponseBytes else {
            throw HTTPError(
                kind: .responseTooLarge(request.maximumResponseBytes), host: "", method: request.method, attempts: 1,
                detail: "too large")
        }
        return response
    }
}

extension HTTPResponse {
    static func answer(
        _ status: Int, _ request: HTTPRequest, _ headers: [(String, String)] = [], body: [UInt8] = []
    ) -> HTTPResponse {
        var fields = HTTPHeaders()
        for (name, value) in headers { fields.add(name, value) }
        return HTTPResponse(status: status, headers: fields, body: body, url: request.url)
    }

    static func index(
        _ manifests: [Descriptor], _ request: HTTPRequest, _ headers: [(String, String)] = []
    ) -> HTTPResponse {
        .answer(
            200, request, [("Content-Type", MediaType.ociIndex)] + headers, body: Index(manifests: manifests).json.bytes
        )
    }
}
