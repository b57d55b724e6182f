import FoundationEssentials
import HTTP
import PKI
import Quotation

/// Finds out by certificate revocation lists whether a certificate is revoked (trust store and trust policy specification,
/// "CRLs"; RFC 5280, section 6.3).
struct CRLSource: Sendable {
    let http: any HTTPSending
    let cache: RevocationCache
    let options: RevocationOptions

    /// What the lists of one URL say.
    private enum Finding {
        case revoked(ValidationFailure)
        /// Not revoked, until when, and whether the list covers all reasons.
        case good(until: Date?, coversAllReasons: Bool)
    }

    /// One certificate, and what decides about it.
    struct Question: Sendable {
        let certificate: Certificate
        let issuer: Certificate
        /// The time that a signing authority states.
        let signingTime: Date?
        let now: Date
        let deadline: ContinuousClock.Instant
    }

    /// The status of a certificate. Every URL that it names must answer: a distribution point may be for some reasons
    /// only, so none can stand for another, and one list that names the certificate decides.
    func status(_ question: Question) async -> RevocationStatus {
        let certificate = question.certificate
        let points = certificate.crlDistributionPoints
        guard !points.isEmpty else { return .good(until: nil) }
        guard points.reduce(0, { $0 + $1.count }) <= options.maximumURLs else {
            return unknown(certificate, [ValidationFailure("it names more than \(options.maximumURLs) lists")])
        }
        var failures: [ValidationFailure] = []
        var end: Date?
        var coversAllReasons = false
        for point in points {
            if point.isEmpty {
                failures.append(ValidationFailure("it names a list without a URL, which is not supported"))
            }
            for url in point {
                do throws(ValidationFailure) {
                    switch try await finding(question, at: RevocationURL(url), names: point) {
                    case .revoked(let failure): return .revoked(failure)
                    case .good(let until, let coversAll):
                        end = .earliest(end, until)
                        coversAllReasons = coversAllReasons || coversAll
                    }
                } catch { failures.append(error) }
            }
        }
        if failures.isEmpty, !coversAllReasons {
            // RFC 5280, section 6.3.3 (d) and (l): the status is determined when all reasons are covered.
            failures.append(ValidationFailure("each of its lists is for some reasons of revocation only"))
        }
        return failures.isEmpty ? .good(until: end) : unknown(certificate, failures)
    }

    private func unknown(_ certificate: Certificate, _ failures: [ValidationFailure]) -> RevocationStatus {
        let reasons = ValidationFailure.joined(failures)
        return .unknown(
            ValidationFailure(
                "whether the certificate \"\(certificate.subject)\" is revoked cannot be found out by revocation lists: "
                    + reasons.description, isPassing: reasons.isPassing))
    }

    private func finding(
        _ question: Question, at url: RevocationURL, names: [String]
    ) async throws(ValidationFailure) -> Finding {
        let base = try await list(url, question)
        let entries: [RevocationList.Entry]
        do throws(ValidationFailure) {
            try checkScope(of: base.list, question.certificate, names)
            entries = try base.entries(for: question.certificate)
        } catch { throw ValidationFailure("\(url): \(error)") }
        // A revocation for good needs no delta list: that could not take it back.
        if let entry = Self.decisive(entries, question.signingTime), !entry.isTemporary {
            return .revoked(revocation(question.certificate, entry, url))
        }
        let delta = try await delta(of: base, at: url, question)
        let changes = try delta?.entries(for: question.certificate) ?? []
        if let entry = Self.decisive(entries + changes, question.signingTime) {
            return .revoked(revocation(question.certificate, entry, url))
        }
        return .good(
            until: .earliest(base.nextUpdate, delta?.nextUpdate),
            coversAllReasons: base.list.issuingDistributionPoint?.onlySomeReasons != true)
    }

    /// The entry by which a certificate is revoked, if it is.
    ///
    /// Of `certificateHold` and `removeFromCRL` the one with the latest date counts, of equal ones the first; any other
    /// reason is for good. An entry whose invalidity date is after the authentic signing time does not count.
    static func decisive(_ entries: [RevocationList.Entry], _ signingTime: Date?) -> RevocationList.Entry? {
        let counting = entries.filter { entry in
            guard let signingTime, let invalidity = entry.invalidityDate else { return true }
            return signingTime >= invalidity
        }
        if let permanent = counting.first(where: { !$0.isTemporary }) { return permanent }
        var latest: RevocationList.Entry?
        for entry in counting where latest.map({ $0.revocationDate < entry.revocationDate }) ?? true { latest = entry }
        return latest?.reason == .certificateHold ? latest : nil
    }

    private func revocation(
        _ certificate: Certificate, _ entry: RevocationList.Entry, _ url: RevocationURL
    ) -> ValidationFailure {
        .revoked(certificate, at: entry.revocationDate, entry.reason, by: "the revocation list \(url)")
    }

    /// Whether a list says anything about this certificate (RFC 5280, sections 5.2.5 and 6.3.3 (b)(2)). The reference
    /// verifier does not look at this; but lists come over plain http, and one for other certificates could be put in
    /// the place of the right one by anybody on the way.
    private func checkScope(
        of list: RevocationList, _ certificate: Certificate, _ names: [String]
    ) throws(ValidationFailure) {
        guard list.deltaBaseNumber == nil else {
            throw ValidationFailure("the list is a delta list, which is not complete")
        }
        guard let scope = list.issuingDistributionPoint else { return }
        if scope.onlyAttributeCertificates || certificate.isCA && scope.onlyUserCertificates
            || !certificate.isCA && scope.onlyAuthorityCertificates
        {
            throw ValidationFailure("the list is for another kind of certificates (issuingDistributionPoint)")
        }
        guard !scope.isIndirect else {
            throw ValidationFailure("the list is an indirect one, which is not supported")
        }
        guard scope.uris.isEmpty || scope.uris.contains(where: names.contains) else {
            throw ValidationFailure(
                "the list is that of another distribution point, \(scope.uris[0].quoted)")
        }
    }

    // MARK: Delta lists

    /// The delta list that a base list names in `freshestCRL` ("If the delta CRL cannot be retrieved for some reason, the
    /// revocation result will be revocation unavailable"). Its URLs stand for each other.
    private func delta(
        of base: VerifiedRevocationList, at url: RevocationURL, _ question: Question
    ) async throws(ValidationFailure) -> VerifiedRevocationList? {
        typealias Identifier = CertificateExtension.Identifier
        guard base.list.extensions.contains(where: { $0.oid == Identifier.freshestCRL }) else {
            guard question.certificate.extensionValue(Identifier.freshestCRL) == nil else {
                throw ValidationFailure(
                    "\(url): the certificate names a delta list (freshestCRL) that the list itself does not, which is not "
                        + "supported")
            }
            return nil
        }
        let urls = base.list.freshestURLs.flatMap { $0 }
        guard !urls.isEmpty, urls.count <= options.maximumURLs else {
            throw ValidationFailure("\(url): the list names no delta list that can be fetched, or too many")
        }
        var failures: [ValidationFailure] = []
        for text in urls {
            do throws(ValidationFailure) {
                let delta = try await list(RevocationURL(text), question)
                do throws(ValidationFailure) {
                    try Self.check(delta.list, addsTo: base.list)
                } catch { throw ValidationFailure("the delta list \(text.quoted): \(error)") }
                return delta
            } catch { failures.append(error) }
        }
        throw ValidationFailure.joined(failures)
    }

    /// RFC 5280, section 5.2.4: the delta list begins at the base list or before it and is newer, and both have the same
    /// scope.
    static func check(_ delta: RevocationList, addsTo base: RevocationList) throws(ValidationFailure) {
        guard let start = delta.deltaBaseNumber, let number = delta.number, let baseNumber = base.number else {
            throw ValidationFailure("it or its base list lacks the numbers by which they belong together")
        }
        guard !isGreater(start, baseNumber), isGreater(number, baseNumber) else {
            throw ValidationFailure("its numbers do not follow those of its base list")
        }
        guard delta.issuingDistributionPoint == base.issuingDistributionPoint else {
            throw ValidationFailure("its scope (issuingDistributionPoint) is not that of its base list")
        }
    }

    /// Compares magnitudes without leading zeros.
    private static func isGreater(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count ? right.lexicographicallyPrecedes(left) : left.count > right.count
    }

    // MARK: Fetching

    private func list(
        _ url: RevocationURL, _ question: Question
    ) async throws(ValidationFailure) -> VerifiedRevocationList {
        let issuer = question.issuer
        let key = RevocationCache.Key(url: url, issuer: issuer.sha256, serialNumber: nil)
        let answer = try await cache.answer(for: key, now: question.now, deadline: question.deadline) { [self] now in
            do throws(ValidationFailure) {
                return .success(try await fetch(url, issuer, now))
            } catch { return .failure(error) }
        }
        guard case .list(let list) = answer.content else {
            throw ValidationFailure("\(url) has no revocation list")
        }
        return list
    }

    private func fetch(
        _ url: RevocationURL, _ issuer: Certificate, _ now: Date
    ) async throws(ValidationFailure) -> RevocationCache.Answer {
        let body = try await url.fetch(
            HTTPRequest(
                .get, url.text, headers: ["Accept": "application/pkix-crl"],
                maximumResponseBytes: options.maximumCRLBytes, deadline: .now + options.crlTimeout, retry: .none,
                redirects: .follow(maximum: 3)), with: http, options)
        do {
            let list = try VerifiedRevocationList(RevocationList(der: body), issuer: issuer, now: now)
            return RevocationCache.Answer(
                content: .list(list), expires: list.nextUpdate ?? now, bytes: body.count + 512)
        } catch { throw ValidationFailure("\(url): \(error)") }
    }
}

extension RevocationList.Entry {
    /// Whether a later entry can take it back, or it takes back an earlier one.
    fileprivate var isTemporary: Bool { reason == .certificateHold || reason == .removeFromCRL }
}
