import FoundationEssentials
import HTTP
import Notation
import PKI
import Quotation

/// Finds out by certificate revocation lists whether a certificate is revoked (trust store and trust policy
/// specification, "CRLs"; RFC 5280, section 6.3).
struct CRLSource: Sendable {
    let http: any HTTPSending
    let cache: RevocationCache
    let options: RevocationOptions

    /// What the lists of one URL say.
    private enum Finding {
        case revoked(ValidationFailure)
        /// Not revoked, as was stated at a time, until when, and whether the list covers all reasons.
        case good(statedAt: Date, until: Date, coversAllReasons: Bool)
    }

    /// One certificate, and what decides about it.
    struct Question: Sendable {
        let certificate: Certificate
        let issuer: Certificate
        /// Whether the chain is a trusted one: only then its lists and answers are remembered.
        let isTrusted: Bool
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
        var oldest: Date?
        var coversAllReasons = false
        for (position, point) in points.enumerated() {
            if point.isEmpty {
                failures.append(ValidationFailure("it names a list without a URL, which is not supported"))
            }
            // RFC 5280, section 6.3.3 (b)(1): such a list is an indirect one.
            guard !certificate.crlDistributionPointsOfOthers.contains(position) else {
                failures.append(
                    ValidationFailure("it names a list by another issuer (cRLIssuer), which is not supported"))
                continue
            }
            for url in point {
                do throws(ValidationFailure) {
                    switch try await finding(question, at: RevocationURL(url), names: point) {
                    case .revoked(let failure): return .revoked(failure)
                    case .good(let statedAt, let until, let coversAll):
                        (end, oldest) = (.earliest(end, until), .earliest(oldest, statedAt))
                        // RFC 5280, section 6.3.3 (d): the reasons of the place and those of the list.
                        coversAllReasons =
                            coversAllReasons
                            || coversAll && !certificate.crlDistributionPointsForSomeReasons.contains(position)
                    }
                } catch { failures.append(error) }
            }
        }
        if failures.isEmpty, !coversAllReasons {
            // RFC 5280, section 6.3.3 (d) and (l): the status is determined when all reasons are covered.
            failures.append(ValidationFailure("each of its lists is for some reasons of revocation only"))
        }
        guard failures.isEmpty, let oldest else { return unknown(certificate, failures) }
        return cache.memory.revocation(question, against: oldest, options) ?? .good(until: end)
    }

    private func unknown(_ certificate: Certificate, _ failures: [ValidationFailure]) -> RevocationStatus {
        let reasons = ValidationFailure.joined(failures)
        return .unknown(
            ValidationFailure(
                "whether the certificate \"\(certificate.subject)\" is revoked cannot be found out by revocation lists: "
                    + reasons.description, isTransient: reasons.isTransient))
    }

    private func finding(
        _ question: Question, at url: RevocationURL, names: [String]
    ) async throws(ValidationFailure) -> Finding {
        let (base, end) = try await list(url, question)
        let entries: [RevocationList.Entry]
        do throws(ValidationFailure) {
            try checkScope(of: base.list, question.certificate, names)
            entries = try base.entries(for: question.certificate)
        } catch { throw ValidationFailure("\(url): \(error)") }
        note(base.list, url, question)
        let statedAt = base.list.thisUpdate
        // A revocation for good needs no delta list: that could not take it back.
        if let entry = Self.decisive(entries, nil), !entry.isTemporary { note(entry, statedAt, url, question) }
        if let entry = Self.decisive(entries, question.signingTime), !entry.isTemporary {
            return .revoked(revocation(question.certificate, entry, url))
        }
        let coversAllReasons = base.list.issuingDistributionPoint?.onlySomeReasons != true
        guard let (delta, deltaEnd) = try await delta(of: base, at: url, question) else {
            note(Self.decisive(entries, nil), statedAt, url, question)
            if let entry = Self.decisive(entries, question.signingTime) {
                return .revoked(revocation(question.certificate, entry, url))
            }
            return .good(statedAt: statedAt, until: end, coversAllReasons: coversAllReasons)
        }
        let changed = entries + (try delta.entries(for: question.certificate))
        let changedAt = max(statedAt, delta.list.thisUpdate)
        note(Self.decisive(changed, nil), changedAt, url, question)
        if let entry = Self.decisive(changed, question.signingTime) {
            return .revoked(revocation(question.certificate, entry, url))
        }
        return .good(statedAt: changedAt, until: min(end, deltaEnd), coversAllReasons: coversAllReasons)
    }

    /// Remembers a list that is the right one for a trusted certificate.
    private func note(_ list: RevocationList, _ url: RevocationURL, _ question: Question) {
        guard question.isTrusted else { return }
        cache.memory.note(list, memoryKey(list, url, question), tenant: options.tenant)
    }

    /// Remembers the entry by which a trusted certificate is revoked, if it is.
    private func note(
        _ entry: RevocationList.Entry?, _ statedAt: Date, _ url: RevocationURL, _ question: Question
    ) {
        guard let entry else { return }
        cache.memory.note(
            RevocationMemory.Revocation(
                statedAt: statedAt, date: entry.revocationDate, reason: entry.reason,
                invalidityDate: entry.invalidityDate, source: "the revocation list \(url)"), question, options)
    }

    private func memoryKey(
        _ list: RevocationList, _ url: RevocationURL, _ question: Question
    ) -> RevocationMemory.Key {
        .lists(of: question.issuer, at: url, isDelta: list.deltaBaseNumber != nil)
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
        // A name in another form than a URL is none of the certificate's either.
        guard !scope.isNamed || scope.uris.contains(where: names.contains) else {
            throw ValidationFailure(
                "the list is that of another distribution point, "
                    + (scope.uris.first.map { $0.quoted } ?? "one without a URL"))
        }
    }

    // MARK: Delta lists

    /// The delta list that a base list names in `freshestCRL` ("If the delta CRL cannot be retrieved for some reason,
    /// the revocation result will be revocation unavailable"). Its URLs stand for each other.
    private func delta(
        of base: VerifiedRevocationList, at url: RevocationURL, _ question: Question
    ) async throws(ValidationFailure) -> (list: VerifiedRevocationList, end: Date)? {
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
                let url = try RevocationURL(text)
                let (delta, end) = try await list(url, question)
                do throws(ValidationFailure) {
                    try Self.check(delta.list, addsTo: base.list)
                } catch { throw ValidationFailure("the delta list \(text.quoted): \(error)") }
                note(delta.list, url, question)
                return (delta, end)
            } catch { failures.append(error) }
        }
        throw ValidationFailure.joined(failures)
    }

    /// RFC 5280, section 5.2.4: the delta list begins at the base list or before it and is newer, and both have the
    /// same scope.
    static func check(_ delta: RevocationList, addsTo base: RevocationList) throws(ValidationFailure) {
        guard let start = delta.deltaBaseNumber, let number = delta.number, let baseNumber = base.number else {
            throw ValidationFailure("it or its base list lacks the numbers by which they belong together")
        }
        guard !RevocationList.isGreater(start, than: baseNumber), RevocationList.isGreater(number, than: baseNumber)
        else {
            throw ValidationFailure("its numbers do not follow those of its base list")
        }
        guard delta.issuingDistributionPoint == base.issuingDistributionPoint else {
            throw ValidationFailure("its scope (issuingDistributionPoint) is not that of its base list")
        }
    }

    // MARK: Fetching

    /// The list at a URL, and until when it may be used.
    private func list(
        _ url: RevocationURL, _ question: Question
    ) async throws(ValidationFailure) -> (list: VerifiedRevocationList, end: Date) {
        let issuer = question.issuer
        let key = RevocationCache.Key(url: url, issuer: issuer.sha256, serialNumber: nil)
        let request = RevocationCache.Request(
            key: key, now: question.now, deadline: question.deadline, maximumAge: options.maximumAge,
            isCurrent: { [self] answer in
                guard case .list(let list) = answer.content else { return false }
                return refusal(of: list.list, url, question) == nil
            })
        let answer = try await cache.answer(request) { [self] now in
            do throws(ValidationFailure) {
                return .success(try await fetch(url, issuer, now))
            } catch { return .failure(error) }
        }
        guard case .list(let list) = answer.content else {
            throw ValidationFailure("\(url) has no revocation list")
        }
        if let older = refusal(of: list.list, url, question) { throw ValidationFailure("\(url): \(older)") }
        return (list, answer.expires)
    }

    /// Why a list is older than one that is remembered.
    private func refusal(
        of list: RevocationList, _ url: RevocationURL, _ question: Question
    ) -> ValidationFailure? {
        cache.memory.refusal(of: list, memoryKey(list, url, question), tenant: options.tenant)
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
            let list = try VerifiedRevocationList(
                RevocationList(der: body), issuer: issuer, now: now, clockSkew: options.clockSkew)
            return RevocationCache.Answer(
                content: .list(list), thisUpdate: list.list.thisUpdate, expires: list.nextUpdate ?? now,
                bytes: body.count + 512)
        } catch { throw ValidationFailure("\(url): \(error)") }
    }
}

extension RevocationList.Entry {
    /// Whether a later entry can take it back, or it takes back an earlier one.
    fileprivate var isTemporary: Bool { reason == .certificateHold || reason == .removeFromCRL }
}
