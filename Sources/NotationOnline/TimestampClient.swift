import FoundationEssentials
import HTTP
import Notation
import PKI

/// Has signatures countersigned by a timestamp authority over HTTP (RFC 3161, section 3.4), and believes no answer that
/// would not verify.
public struct TimestampClient: Timestamping {
    /// The authority's URL.
    public let url: String
    /// The roots, one of which must stand behind the authority.
    public let roots: [Certificate]
    private let http: any HTTPSending
    private let revocation: any RevocationChecking

    /// A client of an authority.
    ///
    /// - Parameter revocation: how the authority's own certificates are checked for revocation.
    public init(url: String, roots: [Certificate], http: any HTTPSending, revocation: any RevocationChecking) {
        self.url = url
        self.roots = roots
        self.http = http
        self.revocation = revocation
    }

    /// A token over a signature.
    public func token(
        over signature: [UInt8], hash: HashAlgorithm, chain: [Certificate], now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        let request: TimestampRequest
        do { request = try TimestampRequest(for: signature, hash: hash) } catch {
            throw SigningError("no timestamp can be asked for: \(error)")
        }
        let body = try await send(request, deadline)
        let token: [UInt8]
        do { token = try request.token(inResponse: body).der } catch {
            throw SigningError("the timestamp authority \(url) gave no usable timestamp: \(error)")
        }
        do throws(ValidationFailure) {
            let timestamp = try TimestampVerifier().verify(token: token, over: signature, roots: roots)
            if let failure = timestamp.failure(within: chain, now: now) { throw failure }
            _ = try await revocation.check(
                timestamp.chain, isTrusted: true, authenticSigningTime: nil, now: now, deadline: deadline)
        } catch {
            throw SigningError(
                "the timestamp of \(url) would not verify: \(error)", isTransient: error.isTransient)
        }
        return token
    }

    private func send(
        _ request: TimestampRequest, _ deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        let response: HTTPResponse
        do {
            response = try await http.send(
                HTTPRequest(
                    .post, url,
                    headers: [
                        "Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply",
                    ], body: request.der, maximumResponseBytes: TimestampToken.maximumBytes, deadline: deadline,
                    retry: RetryPolicy(maximumAttempts: 3, retriesNonIdempotent: true)))
        } catch {
            throw SigningError("the timestamp authority cannot be asked: \(error)", isTransient: error.isTransient)
        }
        guard response.status == 200 else {
            throw SigningError(
                "the timestamp authority \(url) answers with the HTTP status \(response.status); check the URL")
        }
        return response.body
    }
}
