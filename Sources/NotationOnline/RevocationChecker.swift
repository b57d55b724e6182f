import FoundationEssentials
import HTTP
import Notation
import PKI

/// Checks revocation by OCSP and certificate revocation lists (trust store and trust policy specification, "Certificate
/// Revocation Evaluation"): for each certificate OCSP first, and lists where OCSP cannot tell.
///
/// A failure is transient when a source could not be reached, did not answer in time, or said that it cannot answer now:
/// asking again may have another outcome. Everything that a source did answer is definite, malformed, out of date and
/// wrongly signed answers too: they deny, and do not hold up the request until it is out of time.
///
/// ```swift
/// let checker = RevocationChecker(http: try HTTPClient(configuration: HTTPClientConfiguration()))
/// let verifier = SignatureVerifier(trustStore: store, revocation: checker)
/// ```
public struct RevocationChecker: RevocationChecking {
    /// What is kept of earlier answers.
    public let cache: RevocationCache
    /// The limits.
    public let options: RevocationOptions
    private let ocsp: OCSPSource
    private let lists: CRLSource

    /// A checker; checkers that share a cache share answers.
    public init(
        http: any HTTPSending, cache: RevocationCache = RevocationCache(),
        options: RevocationOptions = RevocationOptions()
    ) {
        self.cache = cache
        self.options = options
        lists = CRLSource(http: http, cache: cache, options: options)
        ocsp = OCSPSource(http: http, cache: cache, options: options, lists: lists)
    }

    /// Checks all certificates of a chain but its root, side by side. One that is revoked ends the check.
    public func check(
        _ chain: [Certificate], isTrusted: Bool, authenticSigningTime: Date?, now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(ValidationFailure) -> Date? {
        let questions = zip(chain, chain.dropFirst()).map { certificate, issuer in
            CRLSource.Question(
                certificate: certificate, issuer: issuer, isTrusted: isTrusted, signingTime: authenticSigningTime,
                now: now, deadline: deadline)
        }
        let statuses = await withTaskGroup(of: RevocationStatus.self) { group in
            for question in questions { group.addTask { await status(question) } }
            var statuses: [RevocationStatus] = []
            for await status in group {
                statuses.append(status)
                if case .revoked = status { group.cancelAll() }
            }
            return statuses
        }
        var unknown: [ValidationFailure] = []
        var end: Date?
        for status in statuses {
            switch status {
            case .good(let until): end = .earliest(end, until)
            case .revoked(let failure): throw failure
            case .unknown(let failure): unknown.append(failure)
            }
        }
        // One certificate of which nothing will be known denies, whether or not others become known.
        if let failure = unknown.first(where: { !$0.isTransient }) ?? unknown.first { throw failure }
        return end
    }

    private func status(_ question: CRLSource.Question) async -> RevocationStatus {
        guard !question.certificate.ocspURLs.isEmpty else { return await lists.status(question) }
        // "If revocation status cannot be determined using OCSP because of any reason such as unavailability then
        // fallback to using CRLs for revocation check."
        let status = await ocsp.status(question)
        guard case .unknown(let failure) = status, !question.certificate.crlDistributionPoints.isEmpty else {
            return status
        }
        switch await lists.status(question) {
        case .unknown(let second): return .unknown(.joined([failure, second]))
        case let determined: return determined
        }
    }
}

extension RevocationMemory {
    /// The remembered revocation of a certificate that a newer statement would have to take back.
    func revocation(
        _ question: CRLSource.Question, against time: Date, _ options: RevocationOptions
    ) -> RevocationStatus? {
        let key = Key.certificate(question.certificate, of: question.issuer)
        guard let known = revocation(key, against: time, tenant: options.tenant), known.counts(question.signingTime)
        else { return nil }
        return .revoked(
            .revoked(
                question.certificate, at: known.date, known.reason,
                by: "\(known.source) of \(RFC3339.text(known.statedAt)); what is served now is of "
                    + "\(RFC3339.text(time)), which takes nothing back"))
    }

    /// Remembers a revocation of a trusted certificate.
    func note(_ revocation: Revocation, _ question: CRLSource.Question, _ options: RevocationOptions) {
        guard question.isTrusted else { return }
        note(revocation, .certificate(question.certificate, of: question.issuer), tenant: options.tenant)
    }
}

extension ValidationFailure {
    /// A certificate is revoked, as somebody says.
    static func revoked(
        _ certificate: Certificate, at date: Date, _ reason: RevocationList.Entry.Reason?, by source: String
    ) -> ValidationFailure {
        ValidationFailure(
            "the certificate \"\(certificate.subject)\" was revoked at \(RFC3339.text(date))"
                + (reason.map { " (\($0))" } ?? "")
                + ", says \(source); do not trust what it signed, have it signed again with another certificate")
    }
}
