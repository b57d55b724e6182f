import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOSSL
import Verification

/// Kyverno's route, and who may use it.
struct KyvernoRoute: Sendable {
    /// The path of the route.
    static let path = "/kyverno/v1/verify"

    let handler: KyvernoHandler
    let maximumBodyBytes: Int
    /// Whether the listener asks for client certificates, so that one that is there has been verified.
    let asksForCertificates: Bool
    /// Who confirms tokens; `nil` lets in nobody by token.
    let authenticator: (any CallerAuthenticator)?
    /// The users that a token may belong to.
    let users: Set<String>

    /// Answers one request.
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let arrival = ContinuousClock.now
        let traceID = TraceID.of(request.headers, names: handler.service.settings.traceIDHeaderNames)
        guard request.uri.path == KyvernoRoute.path else {
            let answer = handler.refuse(
                .notFound, "unknown route",
                "there is nothing at \(request.uri.path.prefix(200)): expected \(KyvernoRoute.path), check the policy's url",
                traceID: traceID)
            return try await answer.write(to: writer, request, traceID: traceID)
        }
        guard request.method == .post else {
            let answer = handler.refuse(
                .methodNotAllowed, "method not allowed",
                "\(request.method.rawValue.prefix(20)) is not allowed at \(KyvernoRoute.path): expected POST, set method: POST in the policy's apiCall",
                traceID: traceID)
            return try await answer.write(to: writer, request, traceID: traceID)
        }
        let caller: String
        switch try await self.caller(request, channel, deadline: arrival + .seconds(5)) {
        case .allowed(let name): caller = name
        case .refused(let status, let kind, let reason):
            let answer = handler.refuse(status, kind, reason, traceID: traceID)
            return try await answer.write(to: writer, request, traceID: traceID)
        }
        if request.expectsContinue, !request.isAnnounced(largerThan: maximumBodyBytes) {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer: JSONAnswer
        if let body = try await request.body(upTo: maximumBodyBytes) {
            answer = await handler.answer(
                body: body, caller: caller, arrival: arrival, traceID: traceID, eventLoop: channel.eventLoop)
        } else {
            answer = handler.refuse(
                .contentTooLarge, "body too large",
                "the request body is larger than \(maximumBodyBytes) bytes: send less of the resource, or raise --max-body-bytes",
                traceID: traceID)
        }
        try await answer.write(to: writer, request, traceID: traceID)
    }

    private enum Admission {
        case allowed(String)
        case refused(HTTPResponse.Status, String, String)
    }

    /// Who asks: by a verified client certificate, or else by token. The token itself goes nowhere but to the
    /// authenticator.
    private func caller(
        _ request: Request, _ channel: any Channel, deadline: ContinuousClock.Instant
    ) async throws -> Admission {
        if asksForCertificates, try await channel.nioSSL_peerCertificate().get() != nil {
            return .allowed("client certificate")
        }
        guard let authenticator else {
            return .refused(
                .forbidden, "no client certificate", "this listener serves callers with a client certificate")
        }
        guard let field = request.headers[.authorization] else {
            return .refused(
                .unauthorized, "no token",
                "the request has no bearer token: Kyverno sends the one of its service account by itself")
        }
        guard let token = KyvernoRoute.bearerToken(field) else {
            return .refused(.unauthorized, "no token", "the header Authorization does not hold one bearer token")
        }
        switch await authenticator.authenticate(token: token, deadline: deadline) {
        case .user(let name):
            guard users.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else {
                return .refused(
                    .forbidden, "user not allowed",
                    "user \"\(name.prefix(300))\" may not ask: name it in --kyverno-users if it is Kyverno's service account"
                )
            }
            return .allowed(name)
        case .unknown(let reason): return .refused(.unauthorized, "token refused", reason)
        case .unavailable(let reason): return .refused(.serviceUnavailable, "token not reviewed", reason)
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
