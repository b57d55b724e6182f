import NIOCore
import NIOHTTP1
import Quotation

/// The two routes of the external-data protocol, Kyverno's beside them, and complete answers to everything else.
struct ProviderRoutes: ProviderResponder {
    /// The paths of Ratify's provider: Provider objects name them.
    static let root = "/ratify/gatekeeper/v1/"
    private static let verifyPath = root + "verify"
    private static let mutatePath = root + "mutate"

    let handler: ExternalDataHandler
    let maximumBodyBytes: Int
    /// Kyverno's route, where client certificates are asked for: who comes here with one may use that too.
    let kyverno: KyvernoRoute?
    /// Who may ask, of those with a certificate of the client authorities; `nil` for all of them.
    let clientNames: ClientNames?

    func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition {
        let path = head.path
        if path.utf8.elementsEqual(KyvernoRoute.path.utf8), let kyverno { return kyverno.receive(head, on: channel) }
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(head.headers, names: handler.service.settings.traceIDHeaderNames)
        if let fault = clientNames?.fault(of: channel) {
            // An answer in full: Gatekeeper shows it to whoever is refused, and an end of the connection would say
            // nothing.
            let error = ProviderRequestError(.client, fault)
            return .answer(handler.refuse(error, operation: ProviderRoutes.operation(path), traceID: traceID))
        }
        guard let operation = ProviderRoutes.operation(path) else {
            let error = ProviderRequestError(
                .route,
                "there is nothing at \(path.quoted): expected \(ProviderRoutes.root)verify or"
                    + " \(ProviderRoutes.root)mutate, check the Provider's url")
            return .answer(handler.refuse(error, operation: nil, traceID: traceID))
        }
        guard head.method == .POST else {
            let error = ProviderRequestError(
                .method, "\(head.method.rawValue.quoted) is not allowed at \(path): expected POST")
            return .answer(handler.refuse(error, operation: operation, traceID: traceID))
        }
        return .body(
            AwaitedBody(maximum: maximumBodyBytes) { [handler, maximumBodyBytes] in
                let error = ProviderRequestError(
                    .tooLarge, "the request body is larger than \(maximumBodyBytes) bytes: ask for fewer keys at once")
                return handler.refuse(error, operation: operation, traceID: traceID)
            } answer: { [handler] body, eventLoop in
                handler.begin(operation, body: body, arrival: arrival, traceID: traceID, eventLoop: eventLoop)
            })
    }

    func refuse(_ fault: RequestFault, traceID: String) -> JSONAnswer { JSONAnswer(fault, traceID: traceID) }

    /// The operation at a path; the match is exact.
    static func operation(_ path: String) -> ExternalDataHandler.Operation? {
        if path.utf8.elementsEqual(verifyPath.utf8) { return .verify }
        return path.utf8.elementsEqual(mutatePath.utf8) ? .mutate : nil
    }
}
