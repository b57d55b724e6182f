import FoundationEssentials

extension CertificateChain {
    /// How many signatures are checked in the search for one path.
    static let maximumChecks = 128

    /// The shortest way found from a certificate to one that is trusted, for those uses where the chain does not come
    /// in order, such as timestamps.
    ///
    /// Each issuer on the way is a certificate authority, valid at the moment, whose key signed the one before. Path
    /// lengths are for ``faults(in:)`` to check, which expects the trusted certificates to be self-signed.
    ///
    /// - Parameters:
    ///   - leaf: where the path begins.
    ///   - others: certificates that may be on the way; they need no trust.
    ///   - anchors: the trusted certificates; the path ends with one.
    ///   - moment: when all of them must be valid.
    /// - Returns: the path, leaf first; nil when there is none, or more than can be searched.
    public static func path(
        from leaf: Certificate, through others: [Certificate], to anchors: [Certificate], at moment: Date
    ) -> [Certificate]? {
        guard leaf.isValid(at: moment) else { return nil }
        let trusted = Set(anchors)
        let pool = anchors + others.filter { !trusted.contains($0) }
        // Breadth first: a short path is found before a long one, and a certificate is visited once only.
        var paths = [[leaf]]
        var seen: Set<Certificate> = [leaf]
        var checks = 0
        while !paths.isEmpty {
            var next: [[Certificate]] = []
            for path in paths {
                guard let last = path.last else { continue }
                if trusted.contains(last) { return path }
                guard path.count < maximumLength else { continue }
                for candidate in pool where candidate.subject == last.issuer && !seen.contains(candidate) {
                    guard candidate.isCA, candidate.keyUsage?.contains(.keyCertSign) != false,
                        candidate.isValid(at: moment)
                    else { continue }
                    checks += 1
                    guard checks <= maximumChecks else { return nil }
                    guard last.isSigned(by: candidate) else { continue }
                    seen.insert(candidate)
                    next.append(path + [candidate])
                }
            }
            paths = next
        }
        return nil
    }
}
