import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import ProviderServer
import Quotation
import ServiceMetrics
import Verification

/// Kyverno's route, and who may use it.
package struct KyvernoRoute: ProviderResponder {
    /// The path of the route.
    package static let path = "/kyverno/v1/verify"

    let handler: KyvernoHandler
    let maximumBodyBytes: Int
    /// Whether the listener asks for client certificates, so that one that is there has been verified.
    let asksForCertificates: Bool
    /// The names of which a certificate must have one; `nil` for any.
    let clientNames: ClientNames?
    /// Who confirms tokens; `nil` lets in nobody by token.
    let authenticator: (any CallerAuthenticator)?
    /// The users that a token may belong to.
    let users: Set<String>

    /// The route to a service.
    ///
    /// - Parameters:
    ///   - authenticator: who confirms tokens; `nil` lets in nobody by token.
    ///   - users: the users that a token may belong to.
    package init(
        configuration: ProviderConfiguration, service: any VerificationService, metrics: MetricsRegistry,
        logger: Logger, authenticator: (any CallerAuthenticator)? = nil, users: Set<String> = []
    ) {
        handler = KyvernoHandler(
            service: service, metrics: metrics, logger: logger,
            maximumImages: min(configuration.maximumKeys, KyvernoHandler.mostImages),
            deadlines: AnswerDeadlines(margin: configuration.deadlineMargin))
        maximumBodyBytes = configuration.maximumBodyBytes
        asksForCertificates = configuration.asksForClientCertificates
        clientNames = configuration.clientNames
        self.authenticator = authenticator
        self.users = users
    }

    package func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition {
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(head.headers, names: handler.service.settings.traceIDHeaderNames)
        let path = head.path
        guard path == KyvernoRoute.path else {
            return .answer(
                handler.refuse(
                    .notFound, "unknown route",
                    "there is nothing at \(path.quoted): expected \(KyvernoRoute.path), check the policy's url",
                    traceID: traceID))
        }
        guard head.method == .POST else {
            return .answer(
                handler.refuse(
                    .methodNotAllowed, "method not allowed",
                    "\(head.method.rawValue.quoted) is not allowed at \(path): expected POST, set method: POST in the policy's apiCall",
                    traceID: traceID))
        }
        switch caller(head, channel) {
        case .allowed(let caller): return body(of: caller, arrival: arrival, traceID: traceID)
        case .refused(let refusal): return .answer(refuse(refusal, traceID: traceID))
        case .unknown(let authenticator, let token):
            return .admission {
                switch await admit(token, authenticator, deadline: arrival + .seconds(5)) {
                case .success(let caller): body(of: caller, arrival: arrival, traceID: traceID)
                case .failure(let refusal): .answer(refuse(refusal, traceID: traceID))
                }
            }
        }
    }

    package func refuse(_ fault: RequestFault, traceID: String) -> HTTPAnswer {
        handler.refuse(fault.status, fault.kind.rawValue, fault.reason, traceID: traceID)
    }

    private func body(of caller: String, arrival: ContinuousClock.Instant, traceID: String) -> RequestDisposition {
        .body(
            AwaitedBody(maximum: maximumBodyBytes) { [handler, maximumBodyBytes] in
                handler.refuse(
                    .contentTooLarge, "body too large",
                    "the request body is larger than \(maximumBodyBytes) bytes: send less of the resource, or raise --max-body-bytes",
                    traceID: traceID)
            } answer: { [handler] body, eventLoop in
                .later {
                    await handler.answer(
                        body: body, caller: caller, arrival: arrival, traceID: traceID, eventLoop: eventLoop)
                }
            })
    }

    private func refuse(_ refusal: Refusal, traceID: String) -> HTTPAnswer {
        handler.refuse(refusal.status, refusal.kind, refusal.reason, traceID: traceID)
    }

    /// Why a caller is not let in.
    private struct Refusal: Error {
        let status: HTTPResponse.Status
        let kind: String
        let reason: String

        init(_ status: HTTPResponse.Status, _ kind: String, _ reason: String) {
            self.status = status
            self.kind = kind
            self.reason = reason
        }
    }

    private enum Caller {
        case allowed(String)
        case refused(Refusal)
        /// Whose token it is must be asked.
        case unknown(any CallerAuthenticator, token: String)
    }

    /// Who asks: by a verified client certificate, or else by token.
    private func caller(_ head: HTTPRequestHead, _ channel: any Channel) -> Caller {
        if asksForCertificates, (try? channel.pipeline.syncOperations.nioSSL_peerCertificate()) != nil {
            guard let fault = clientNames?.fault(of: channel) else { return .allowed("client certificate") }
            // A certificate with another name is none; a token still counts.
            if authenticator == nil { return .refused(Refusal(.forbidden, "client not named", fault)) }
        }
        guard let authenticator else {
            return .refused(
                Refusal(.forbidden, "no client certificate", "this listener serves callers with a client certificate"))
        }
        let fields = head.headers["authorization"]
        guard !fields.isEmpty else {
            return .refused(
                Refusal(
                    .unauthorized, "no token",
                    "the request has no bearer token: Kyverno sends the one of its service account by itself"))
        }
        guard fields.count == 1, let token = KyvernoRoute.bearerToken(fields[0]) else {
            return .refused(
                Refusal(.unauthorized, "no token", "the header Authorization does not hold one bearer token"))
        }
        return .unknown(authenticator, token: token)
    }

    /// Whose token it is, and whether that user is let in. The token itself goes nowhere but to the authenticator.
    private func admit(
        _ token: String, _ authenticator: any CallerAuthenticator, deadline: ContinuousClock.Instant
    ) async -> Result<String, Refusal> {
        switch await authenticator.authenticate(token: token, deadline: deadline) {
        case .user(let name):
            guard users.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else {
                return .failure(
                    Refusal(
                        .forbidden, "user not allowed",
                        "user \"\(name.quoted)\" may not ask: name it in --kyverno-users if it is Kyverno's service account"
                    ))
            }
            return .success(name)
        case .unknown(let reason): return .failure(Refusal(.unauthorized, "token refused", reason))
        case .unavailable(let reason): return .failure(Refusal(.serviceUnavailable, "token not reviewed", reason))
        }
    }

    /// The token of a header `Authorization: Bearer …` (RFC 6750, section 2.1); `nil` for anything else.
    static func bearerToken(_ field: String) -> String? {
        let parts = field.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer", (1...16_384).contains(parts[1].utf8.count) else {
            return nil
        }
        let isToken = parts[1].utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "-._~+/=".utf8.contains(byte)
            }
        }
        return isToken ? String(parts[1]) : nil
    }
}
