import Encoding
import FoundationEssentials
import HTTP
import Notation
import PKI

/// Finds out by OCSP whether a certificate is revoked (trust store and trust policy specification, "OCSP"; RFC 6960).
struct OCSPSource: Sendable {
    let http: any HTTPSending
    let cache: RevocationCache
    let options: RevocationOptions
    /// Where the certificates of responders are looked up.
    let lists: CRLSource

    /// A request with more characters than this in its URL is sent with POST (RFC 6960, appendix A.1).
    static let maximumPathLength = 254

    /// The status of a certificate that names a responder. They are asked one after the other, and the first that has
    /// an answer decides, be it that it does not know the certificate.
    func status(_ question: CRLSource.Question) async -> RevocationStatus {
        let certificate = question.certificate
        guard certificate.ocspURLs.count <= options.maximumURLs else {
            return unknown(certificate, [ValidationFailure("it names more than \(options.maximumURLs) responders")])
        }
        var failures: [ValidationFailure] = []
        for text in certificate.ocspURLs {
            do throws(ValidationFailure) {
                guard !text.isEmpty else {
                    throw ValidationFailure("it names a responder without a URL, which is not supported")
                }
                let url = try RevocationURL(text)
                let (single, end) = try await answer(question, from: url)
                switch single.status {
                case .good:
                    return cache.memory.revocation(question, against: single.thisUpdate, options) ?? .good(until: end)
                case .revoked(let date, let reason):
                    cache.memory.note(
                        RevocationMemory.Revocation(
                            statedAt: single.thisUpdate, date: date, reason: reason,
                            invalidityDate: single.invalidityDate, source: "the OCSP responder \(url)"),
                        question, options)
                    // "if the invalidity date is before the authentic signing time, the certificate is considered
                    // revoked"; the timestamp is no authentic signing time (signature specification, "Signing time").
                    if let time = question.signingTime, let invalidity = single.invalidityDate, time < invalidity {
                        return .good(until: end)
                    }
                    return .revoked(.revoked(certificate, at: date, reason, by: "the OCSP responder \(url)"))
                case .unknown:
                    return unknown(
                        certificate, [ValidationFailure("the responder \(url) does not know the certificate")])
                }
            } catch { failures.append(error) }
        }
        return unknown(certificate, failures)
    }

    private func unknown(_ certificate: Certificate, _ failures: [ValidationFailure]) -> RevocationStatus {
        let reasons = ValidationFailure.joined(failures)
        return .unknown(
            ValidationFailure(
                "whether the certificate \"\(certificate.subject)\" is revoked cannot be found out by OCSP: "
                    + reasons.description, isTransient: reasons.isTransient))
    }

    private func answer(
        _ question: CRLSource.Question, from url: RevocationURL
    ) async throws(ValidationFailure) -> (OCSPResponse.Single, end: Date) {
        let (certificate, issuer) = (question.certificate, question.issuer)
        let key = RevocationCache.Key(url: url, issuer: issuer.sha256, serialNumber: certificate.serialNumber)
        let request = RevocationCache.Request(
            key: key, now: question.now, deadline: question.deadline, maximumAge: options.maximumAge)
        let answer = try await cache.answer(request) { [self] now in
            do throws(ValidationFailure) {
                return .success(try await fetch(url, question, now))
            } catch { return .failure(error) }
        }
        guard case .single(let single) = answer.content else {
            throw ValidationFailure("\(url) has no OCSP answer")
        }
        return (single, answer.expires)
    }

    private func fetch(
        _ url: RevocationURL, _ question: CRLSource.Question, _ now: Date
    ) async throws(ValidationFailure) -> RevocationCache.Answer {
        let (certificate, issuer) = (question.certificate, question.issuer)
        let request: OCSPRequest
        do { request = try OCSPRequest(for: certificate, issuer: issuer) } catch {
            throw ValidationFailure("no OCSP request can be made: \(error)")
        }
        let body = try await url.fetch(httpRequest(request.der, url), with: http, options)
        if let failure = Self.transientFault(body) { throw ValidationFailure("\(url): \(failure)", isTransient: true) }
        let answers: [OCSPResponse.Single]
        let response: OCSPResponse
        do {
            response = try OCSPResponse(der: body)
            answers = try response.answers(for: certificate, issuer: issuer, at: now)
        } catch { throw ValidationFailure("\(url): \(error)") }
        do throws(ValidationFailure) {
            let (single, nextUpdate) = try decisive(answers, now, producedAt: response.producedAt)
            let end = try await delegateEnd(response, question, now)
            return RevocationCache.Answer(
                content: .single(single), thisUpdate: single.thisUpdate, expires: min(nextUpdate, end ?? nextUpdate),
                bytes: body.count + 512, isKept: single.status != .unknown)
        } catch { throw ValidationFailure("\(url): \(error)", isTransient: error.isTransient) }
    }

    /// Of all answers about one certificate the worst, and when the first of them ends. RFC 6960 asks for one answer;
    /// of several, one that says revoked is the one that counts, and a good one counts when all of them are good and
    /// recent.
    private func decisive(
        _ answers: [OCSPResponse.Single], _ now: Date, producedAt: Date
    ) throws(ValidationFailure) -> (single: OCSPResponse.Single, nextUpdate: Date) {
        // RFC 6960, section 4.2.2.1: "Responses whose thisUpdate time is later than the local system time SHOULD be
        // considered unreliable." The reference verifier does not look at it.
        for time in answers.map(\.thisUpdate) + [producedAt] where time > now.addingTimeInterval(options.clockSkew) {
            throw ValidationFailure("the answer is of a time to come, \(RFC3339.text(time))")
        }
        let worst = answers.filter(\.isRevoked) + answers.filter { $0.status == .unknown }
        if answers.count > 1, let revoked = worst.first, revoked.isRevoked {
            return (revoked, answers.compactMap(\.nextUpdate).min() ?? now)
        }
        var first = Date.distantFuture
        for answer in answers {
            // Without nextUpdate it is never known to be recent enough: the reference verifier takes it for expired.
            guard let nextUpdate = answer.nextUpdate else {
                throw ValidationFailure("the answer does not say when it ends (nextUpdate)")
            }
            guard now <= nextUpdate else {
                throw ValidationFailure("the answer ended at \(RFC3339.text(nextUpdate))")
            }
            first = min(first, nextUpdate)
        }
        guard let single = worst.first ?? answers.min(by: { $0.thisUpdate < $1.thisUpdate }) else {
            throw ValidationFailure("there is no answer")
        }
        return (single, first)
    }

    /// Checks the certificate of a delegated responder: "If id-pkix-ocsp-nocheck extension is not present on the OCSP
    /// signing certificate then revocation checking must be performed using CRLs for the OCSP signing certificate."
    ///
    /// - Returns: when trust in the responder ends; `nil` when the issuer itself signed.
    private func delegateEnd(
        _ response: OCSPResponse, _ question: CRLSource.Question, _ now: Date
    ) async throws(ValidationFailure) -> Date? {
        guard let delegate = response.delegate(of: question.issuer) else { return nil }
        guard delegate.extensionValue(CertificateExtension.Identifier.ocspNoCheck) == nil else {
            return delegate.notAfter
        }
        let own = CRLSource.Question(
            certificate: delegate, issuer: question.issuer, isTrusted: question.isTrusted, signingTime: nil, now: now,
            deadline: .now + options.crlTimeout)
        switch await lists.status(own) {
        case .good(let until): return .earliest(delegate.notAfter, until)
        case .revoked(let failure), .unknown(let failure):
            throw ValidationFailure(
                "the responder cannot be relied on: \(failure)", isTransient: failure.isTransient)
        }
    }

    private func httpRequest(_ der: [UInt8], _ url: RevocationURL) -> HTTPRequest {
        let path = Self.path(der)
        // A query would swallow what is appended.
        let isShort = path.utf8.count <= Self.maximumPathLength && !url.text.contains("?")
        let base = url.text.hasSuffix("/") ? url.text : url.text + "/"
        var headers: HTTPHeaders = ["Accept": "application/ocsp-response"]
        if !isShort { headers.set("Content-Type", "application/ocsp-request") }
        return HTTPRequest(
            isShort ? .get : .post, isShort ? base + path : url.text, headers: headers, body: isShort ? nil : der,
            maximumResponseBytes: options.maximumOCSPBytes, deadline: .now + options.ocspTimeout, retry: .none,
            redirects: isShort ? .follow(maximum: 3) : .refuse)
    }

    /// "url-encoding of base-64 encoding of the DER encoding of the OCSPRequest".
    static func path(_ der: [UInt8]) -> String { PercentEncoding.encode(Base64.encode(der)) }

    /// The answers `internalError` and `tryLater` (RFC 6960, section 2.3), which say that another time may be better.
    private static func transientFault(_ body: [UInt8]) -> String? {
        switch body {
        case [0x30, 0x03, 0x0A, 0x01, 0x02]: "the responder has an internal error"
        case [0x30, 0x03, 0x0A, 0x01, 0x03]: "the responder asks to try later"
        default: nil
        }
    }
}
