import Encoding
import FoundationEssentials
import PKI

/// A time at which the signature existed, and who proves it.
public struct ProvenTime: Hashable, Sendable {
    /// Who proves a time.
    public enum Source: Hashable, Sendable {
        /// A timestamp authority, by its certificate's subject.
        case timestampAuthority(String)
        /// A transparency log, by its address.
        case transparencyLog(String)
    }

    /// The time.
    public let time: Date
    /// Who proves it.
    public let source: Source
}

/// The step ``VerificationStep/provenTime``. Signing certificates are valid for minutes. They must have been valid when
/// the signature was made, and that time must be proven by somebody other than the signer.
struct ProvenTimes {
    let bundle: Bundle
    let signer: Signer
    let root: TrustedRoot
    let policy: BundlePolicy

    /// Verifies all timestamps and signed entry timestamps: every one must hold.
    func verify() throws(ProvenTimeError) -> [ProvenTime] {
        var times: [ProvenTime] = []
        var authorities: Set<PublicKey> = []
        for timestamp in bundle.timestamps {
            let (time, key) = try timestampAuthority(timestamp)
            times.append(time)
            authorities.insert(key)
        }
        guard authorities.count >= policy.timestampThreshold else {
            throw ProvenTimeError(
                .belowThreshold,
                "the signature was timestamped by \(authorities.count) authorities; the policy asks for "
                    + "\(policy.timestampThreshold)")
        }
        // What logs say counts only where the policy asks for them.
        if policy.logThreshold > 0 {
            for entry in bundle.logEntries {
                if let promise = entry.signedEntryTimestamp, let time = try promised(entry, promise) {
                    times.append(time)
                }
            }
        }
        switch signer {
        case .certificate:
            guard !times.isEmpty else {
                throw ProvenTimeError(
                    .missing,
                    "nothing proves when the signature was made, and its certificate is valid for minutes: " + whatToDo)
            }
        case .key(let key):
            guard let validity = key.validity else { break }
            guard !times.isEmpty else {
                throw ProvenTimeError(
                    .missing,
                    "the signing key is trusted \(validity), and nothing proves when the signature was made: "
                        + whatToDo)
            }
            if let outside = times.first(where: { !validity.contains($0.time) }) {
                throw ProvenTimeError(
                    .outsideKeyValidity,
                    "the signature was made at \(UTC.text(outside.time)); the key is trusted \(validity)")
            }
        }
        return times
    }

    /// Why there is no time, and what to change, for a message.
    private var whatToDo: String {
        let isPromised = bundle.logEntries.contains { $0.signedEntryTimestamp != nil && $0.integratedTime != nil }
        guard policy.logThreshold <= 0, isPromised else {
            return
                "\(bundle.name) has neither a signed timestamp nor the promise of a log that states a time; sign with a "
                + "timestamp authority, or with a log that states times"
        }
        return
            "a log states a time, which does not count since the policy asks for no transparency log; let the policy ask "
            + "for one, or sign with a timestamp authority"
    }

    // MARK: Timestamp authorities

    private func timestampAuthority(_ response: [UInt8]) throws(ProvenTimeError) -> (ProvenTime, PublicKey) {
        let token: TimestampToken
        let certificate: Certificate
        // An authority's certificate may be missing in the token; the trusted root has it.
        let known = root.timestampAuthorities.flatMap { $0.certificates.filter { !$0.isCA } }
        do {
            token = try TimestampToken(response: response)
            certificate = try token.verify(timestamped: bundle.signature, certificates: known)
        } catch {
            guard error.kind != .missing else {
                throw ProvenTimeError(
                    .unknownAuthority, "the signed timestamp is by no authority of the trusted root: \(error)")
            }
            throw ProvenTimeError(.badTimestamp, "the signed timestamp is not valid: \(error)")
        }
        let time = token.info.time
        var outside: String?
        for authority in root.timestampAuthorities {
            // Where the trusted root has the certificate itself it is that one; where it has authorities only, one
            // below them.
            let own = authority.certificates.filter { !$0.isCA }
            guard own.isEmpty ? authority.mayHaveIssued(certificate, token.certificates) : own.contains(certificate)
            else { continue }
            guard authority.validity.contains(time) else {
                outside = "the trusted root has it \(authority.validity)"
                continue
            }
            guard let path = authority.path(from: certificate, token.certificates, at: time) else {
                outside = "its certificates were not all valid then"
                continue
            }
            if let fault = CertificateChainCheck.fault(in: path, purpose: ExtendedKeyUsage.timeStamping) {
                throw ProvenTimeError(.unknownAuthority, "the certificates of the timestamp authority: \(fault)")
            }
            return (
                ProvenTime(time: time, source: .timestampAuthority(certificate.subject.rfc2253)), certificate.publicKey
            )
        }
        guard let outside else {
            throw ProvenTimeError(
                .unknownAuthority,
                "the signed timestamp is by the authority \"\(certificate.subject)\", which is not in the trusted root: take the "
                    + "trusted root of the instance that was signed with")
        }
        throw ProvenTimeError(
            .outsideValidity,
            "the signed timestamp of \(UTC.text(time)) is by the authority \"\(certificate.subject)\": \(outside)")
    }

    // MARK: Logs

    /// The time in a log's signed entry timestamp; nil when the entry has no time.
    private func promised(_ entry: LogEntry, _ promise: [UInt8]) throws(ProvenTimeError) -> ProvenTime? {
        let logs = root.transparencyLogs.filter { $0.logID == entry.logID && $0.key != nil }
        guard let first = logs.first else {
            throw ProvenTimeError(
                .badPromise,
                "the signed entry timestamp is by a transparency log that is not in the trusted root "
                    + "(\(Hex.text(entry.logID.prefix(8)))…): take the trusted root of the instance that was signed with"
            )
        }
        guard
            let log = logs.first(where: { log in
                log.key.map { SignedEntryTimestamp.isValid(promise, of: entry, by: $0) } ?? false
            })
        else {
            throw ProvenTimeError(
                .badPromise,
                "the signed entry timestamp is not by the key of the transparency log \(first.baseURL), or the entry, its "
                    + "time or its index has been altered")
        }
        guard let time = entry.integratedTime else { return nil }
        guard logs.contains(where: { $0.key == log.key && $0.validity.contains(time) }) else {
            throw ProvenTimeError(
                .outsideValidity,
                "the transparency log \(log.baseURL) states the time \(UTC.text(time)); the trusted root has it "
                    + "\(log.validity)")
        }
        return ProvenTime(time: time, source: .transparencyLog(log.baseURL))
    }
}

extension CertificateAuthority {
    /// Whether a certificate may be one of this authority's, by the names alone: its chain is yet to be verified.
    fileprivate func mayHaveIssued(_ certificate: Certificate, _ others: [Certificate]) -> Bool {
        let issuers = Set((certificates + others).map(\.subject))
        return issuers.contains(certificate.issuer)
    }

    /// The way from a certificate to the root, all of it valid at a moment.
    fileprivate func path(
        from certificate: Certificate, _ others: [Certificate], at moment: Date
    ) -> [Certificate]? {
        // The links of the trusted root's own chain are verified once.
        if isLinked, certificate == certificates[0] {
            return certificates.allSatisfy { $0.isValid(at: moment) } ? certificates : nil
        }
        return CertificateChain.path(from: certificate, through: others + certificates, to: [root], at: moment)
    }
}
