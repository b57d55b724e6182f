import Foundation
import HTTP
import StrictJSON
import TestSupport

/// What the corpus expects of the network: the answers of `revocation/http.json` at 127.0.0.1:18080, over real HTTP.
/// The server takes any free port, and requests are sent there, so that test runs side by side do not meet;
/// 127.0.0.1:18099 refuses connections.
final class CorpusHTTP: HTTPSending {
    private let client: HTTPClient
    private let server: ScriptedServer

    private struct Route: Sendable {
        let prefix: String
        let steps: [ScriptedServer.Step]
    }

    init(_ corpus: Corpus) throws {
        let json = try StrictJSON.parse(corpus.bytes("revocation/http.json"))
        let routes = try (json.array ?? []).map { entry in
            var steps: [ScriptedServer.Step] = []
            if let delay = entry["delaySeconds"]?.integer { steps.append(.wait(.seconds(delay))) }
            steps.append(
                .content(
                    Int(entry["status"]?.integer ?? 500), type: entry["contentType"]?.string ?? "text/plain",
                    try corpus.bytes(entry["file"]?.string ?? "")))
            return Route(prefix: entry["pathPrefix"]?.string ?? "/", steps: steps)
        }
        .sorted { $0.prefix.count > $1.prefix.count }
        server = try ScriptedServer { request in
            routes.first { request.target.hasPrefix($0.prefix) }?.steps ?? [.reply(404)]
        }
        client = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
    }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        var request = request
        request.url.replace("http://127.0.0.1:18080/", with: "\(server.url)/")
        return try await client.send(request)
    }
}
