import HTTPTypes
import ProviderServer

extension HTTPAnswer {
    /// The answer to a request that cannot be answered key by key. The status is for people and meters: Gatekeeper
    /// does not look at it.
    init(_ error: ProviderRequestError, operation: ExternalDataHandler.Operation?, traceID: String) {
        let status: HTTPResponse.Status =
            switch error.kind {
            case .malformed, .version, .tooManyKeys: .badRequest
            case .tooLarge: .contentTooLarge
            case .route: .notFound
            case .method: .methodNotAllowed
            case .client: .forbidden
            }
        self.init(
            status: status,
            body: ProviderResponseWriter(version: error.version, isIdempotent: operation == .mutate)
                .finish(systemError: "\(error) (trace \(traceID))"),
            traceID: traceID,
            refusal: Refusal(
                operation?.rawValue ?? "none", error.kind.rawValue, error.description,
                isLast: error.kind != .tooLarge && error.kind != .method))
    }

    /// The answer to what is not taken as a request.
    init(_ fault: RequestFault, traceID: String) {
        self.init(
            status: fault.status,
            body: ProviderResponseWriter(version: .v1beta1, isIdempotent: false)
                .finish(systemError: "\(fault.reason) (trace \(traceID))"),
            traceID: traceID, refusal: Refusal("none", fault.kind.rawValue, fault.reason))
    }
}
