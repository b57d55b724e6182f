import Logging
import NIOCore
import NIOHTTP1
import ProviderServer
import Quotation
import ServiceMetrics
import Verification

/// The two routes of the external-data protocol, and complete answers to everything else.
package struct ExternalDataRoutes: ProviderResponder {
    /// The paths of Ratify's provider: Provider objects name them.
    static let root = "/ratify/gatekeeper/v1/"
    private static let verifyPath = root + "verify"
    private static let mutatePath = root + "mutate"

    let handler: ExternalDataHandler
    let maximumBodyBytes: Int
    /// Who may ask, of those with a certificate of the client authorities; `nil` for all of them.
    let clientNames: ClientNames?
    /// What other protocols answer at this listener, by path.
    let others: [String: any ProviderResponder]

    /// The routes to a service.
    ///
    /// - Parameter others: what answers at other paths of the same listener. It tells its callers apart itself: no
    ///   client name is asked for there.
    package init(
        configuration: ProviderConfiguration, service: any VerificationService, metrics: MetricsRegistry,
        logger: Logger, others: [String: any ProviderResponder] = [:]
    ) {
        handler = ExternalDataHandler(
            service: service, metrics: metrics, logger: logger, maximumKeys: configuration.maximumKeys,
            deadlines: AnswerDeadlines(margin: configuration.deadlineMargin))
        maximumBodyBytes = configuration.maximumBodyBytes
        clientNames = configuration.clientNames
        self.others = others
    }

    package func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition {
        let path = head.path
        let operation = ExternalDataRoutes.operation(path)
        if operation == nil, let other = others[path] { return other.receive(head, on: channel) }
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(head.headers, names: handler.service.settings.traceIDHeaderNames)
        if let fault = clientNames?.fault(of: channel) {
            // An answer in full: Gatekeeper shows it to whoever is refused, and an end of the connection would say
            // nothing.
            let error = ProviderRequestError(.client, fault)
            return .answer(handler.refuse(error, operation: operation, traceID: traceID))
        }
        guard let operation else {
            let error = ProviderRequestError(
                .route,
                "there is nothing at \(path.quoted): expected \(ExternalDataRoutes.root)verify or"
                    + " \(ExternalDataRoutes.root)mutate, check the Provider's url")
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

    package func refuse(_ fault: RequestFault, traceID: String) -> HTTPAnswer { HTTPAnswer(fault, traceID: traceID) }

    /// The operation at a path; the match is exact.
    static func operation(_ path: String) -> ExternalDataHandler.Operation? {
        if path.utf8.elementsEqual(verifyPath.utf8) { return .verify }
        return path.utf8.elementsEqual(mutatePath.utf8) ? .mutate : nil
    }
}
