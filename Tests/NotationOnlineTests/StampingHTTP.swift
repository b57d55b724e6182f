import Foundation
import HTTP
import PKI
import TestSupport

/// A timestamp authority behind an HTTP client: it stamps whatever imprint it is sent.
struct StampingHTTP: HTTPSending {
    let authority: TimestampAuthority

    init(_ authority: TimestampAuthority) { self.authority = authority }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        do {
            guard request.headers["Content-Type"] == "application/timestamp-query" else {
                return HTTPResponse(status: 415, url: request.url)
            }
            var outer = DERReader(request.body ?? [])
            var fields = try outer.sequence()
            _ = try fields.smallInteger()
            var imprint = try fields.sequence()
            var authority = authority
            authority.imprintHash =
                try SignatureAlgorithm.hashIdentifier(imprint.element(DER.sequence)) ?? .sha256
            let hash = Array(try imprint.octetString())
            authority.nonce = Array(try fields.integer())
            let body = DERWriter.sequence([
                DERWriter.sequence([DERWriter.integer(0)]), try authority.token(imprint: hash),
            ])
            return HTTPResponse(status: 200, body: body, url: request.url)
        } catch { return HTTPResponse(status: 400, url: request.url) }
    }
}
