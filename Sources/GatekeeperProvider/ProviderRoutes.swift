import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1

/// The two routes of the external-data protocol, Kyverno's beside them, and complete answers to everything else.
struct ProviderRoutes: Sendable {
    /// The paths of Ratify's provider: Provider objects name them.
    static let root = "/ratify/gatekeeper/v1/"

    let handler: ExternalDataHandler
    let maximumBodyBytes: Int
    /// Kyverno's route, where client certificates are asked for: who comes here with one may use that too.
    let kyverno: KyvernoRoute?

    /// Answers one request.
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        if let kyverno, request.uri.path == KyvernoRoute.path {
            return try await kyverno.respond(request, writer, channel)
        }
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(request.headers, names: handler.service.settings.traceIDHeaderNames)
        guard let operation = ProviderRoutes.operation(request.uri.path) else {
            let error = ProviderRequestError(
                .route,
                "there is nothing at \(request.uri.path.prefix(200)): expected \(ProviderRoutes.root)verify or"
                    + " \(ProviderRoutes.root)mutate, check the Provider's url")
            return try await handler.refuse(error, operation: nil, traceID: traceID)
                .write(to: writer, request, traceID: traceID)
        }
        guard request.method == .post else {
            let error = ProviderRequestError(
                .method, "\(request.method.rawValue.prefix(20)) is not allowed at \(request.uri.path): expected POST")
            return try await handler.refuse(error, operation: operation, traceID: traceID)
                .write(to: writer, request, traceID: traceID)
        }
        if request.expectsContinue, !request.isAnnounced(largerThan: maximumBodyBytes) {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer: JSONAnswer
        if let body = try await request.body(upTo: maximumBodyBytes) {
            answer = await handler.answer(
                operation, body: body, arrival: arrival, traceID: traceID, eventLoop: channel.eventLoop)
        } else {
            let error = ProviderRequestError(
                .tooLarge, "the request body is larger than \(maximumBodyBytes) bytes: ask for fewer keys at once")
            answer = handler.refuse(error, operation: operation, traceID: traceID)
        }
        try await answer.write(to: writer, request, traceID: traceID)
    }

    /// The operation at a path; the match is exact.
    static func operation(_ path: String) -> ExternalDataHandler.Operation? {
        guard path.hasPrefix(root) else { return nil }
        return ExternalDataHandler.Operation(rawValue: String(path.dropFirst(root.count)))
    }
}
