import Crypto
import FoundationEssentials
import KeyManagement
import PKI
import Sigstore

/// An instance of Sigstore of one's own, by its certificates and keys in PEM: for whoever has no trusted root in JSON.
///
/// Nothing says since when and until when they are to be trusted: certificates are from their own start on, keys always.
/// Logs are those of Rekor v1; those of Rekor v2 are known by their address, which PEM does not have.
package struct OwnInstance: Sendable {
    /// How many certificates of each kind, and keys of each kind, there may be.
    package static let maximumItems = 32

    private let authorities: [Certificate]
    private let timestampAuthorities: [Certificate]
    private let logs: [PublicKey]
    private let certificateLogs: [PublicKey]

    /// Reads the texts; one that is nil is not there. At least one must be.
    ///
    /// - Parameters:
    ///   - fulcio: the authorities that issue certificates for signing, those between them and their roots too.
    ///   - rekor: the keys of the logs of signatures.
    ///   - certificateLogs: the keys of the logs of certificates.
    ///   - timestamps: the timestamp authorities, with the certificates above them.
    package init(
        fulcio: String?, rekor: String?, certificateLogs: String?, timestamps: String?
    ) throws(KeyManagementError) {
        authorities = try Self.certificates(fulcio, "fulcioCertificates")
        logs = try Self.keys(rekor, "rekorKeys")
        self.certificateLogs = try Self.keys(certificateLogs, "ctLogKeys")
        timestampAuthorities = try Self.certificates(timestamps, "timestampCertificates")
        if let other = authorities.first(where: { !$0.isCA }) {
            throw KeyManagementError(
                .configuration,
                "fulcioCertificates has the certificate \"\(other.subject)\", which is none of an authority; give the "
                    + "authority that issues certificates for signing, and those above it")
        }
        if authorities.isEmpty, logs.isEmpty, self.certificateLogs.isEmpty, timestampAuthorities.isEmpty {
            throw KeyManagementError(.configuration, "neither certificates nor keys are given")
        }
    }

    /// What tells it from any other, whatever the texts look like.
    var identifier: [UInt8] {
        func part(_ name: String, _ items: [[UInt8]]) -> [UInt8] {
            items.reduce(Array("\(name) \(items.count)\n".utf8)) { $0 + Array("\($1.count):".utf8) + $1 }
        }
        return part("fulcio", authorities.map(\.der)) + part("rekor", logs.map(\.spkiDER))
            + part("ct", certificateLogs.map(\.spkiDER)) + part("tsa", timestampAuthorities.map(\.der))
    }

    /// The trusted root of all of them.
    package func trustedRoot() throws(KeyManagementError) -> TrustedRoot {
        TrustedRoot(
            transparencyLogs: try Self.logs(logs, "rekorKeys"),
            // An authority may issue certificates for signing although there is another one below it.
            certificateAuthorities: Self.chains(authorities) { _ in true },
            certificateLogs: try Self.logs(certificateLogs, "ctLogKeys"),
            // A chain of a timestamp authority that has its certificate is for that certificate alone.
            timestampAuthorities: Self.chains(timestampAuthorities) { issued in !issued })
    }

    // MARK: Reading

    private static func certificates(_ text: String?, _ member: String) throws(KeyManagementError) -> [Certificate] {
        guard let text else { return [] }
        let all: [Certificate]
        do { all = try Certificate.parsePEM(Array(text.utf8)) } catch {
            throw KeyManagementError(.configuration, "\(member) cannot be read: \(error)")
        }
        var seen: Set<Certificate> = []
        return try bounded(all.filter { seen.insert($0).inserted }, member)
    }

    private static func keys(_ text: String?, _ member: String) throws(KeyManagementError) -> [PublicKey] {
        guard let text else { return [] }
        let blocks: [PEM]
        do { blocks = try PEM.parse(Array(text.utf8)) } catch {
            throw KeyManagementError(.configuration, "\(member) cannot be read: \(error)")
        }
        guard !blocks.isEmpty else {
            throw KeyManagementError(.configuration, "\(member) has no key; expected PEM blocks PUBLIC KEY")
        }
        var keys: [PublicKey] = []
        for (index, block) in try bounded(blocks, member).enumerated() {
            do {
                let key = try PublicKey(pem: Array(block.text.utf8))
                if !keys.contains(key) { keys.append(key) }
            } catch {
                throw KeyManagementError(.configuration, "key \(index + 1) of \(member) cannot be read: \(error)")
            }
        }
        return keys
    }

    private static func bounded<Item>(_ items: [Item], _ member: String) throws(KeyManagementError) -> [Item] {
        guard items.count <= maximumItems else {
            throw KeyManagementError(
                .configuration, "\(member) has \(items.count) entries; at most \(maximumItems) are accepted")
        }
        return items
    }

    // MARK: Making

    private static func logs(_ keys: [PublicKey], _ member: String) throws(KeyManagementError) -> [TransparencyLog] {
        var logs: [TransparencyLog] = []
        for key in keys {
            guard let logKey = LogKey(key) else {
                throw KeyManagementError(
                    .configuration,
                    "\(member) has a key of the kind \(key.kind), which no log signs with; accepted are ECDSA on P-256, "
                        + "P-384 and P-521, Ed25519, and RSA from 2048 bits")
            }
            logs.append(
                // RFC 6962, section 3.2: a log is known by the hash of its key. So are Rekor's.
                TransparencyLog(
                    baseURL: "sha256:\(key.sha256Hex)", logID: Array(SHA256.hash(data: key.spkiDER)), key: logKey,
                    validity: ValidityPeriod(start: .distantPast)))
        }
        return logs
    }

    /// For each certificate the chain from it up to where its issuer is not among the others.
    ///
    /// - Parameter isWanted: whether there is to be a chain for a certificate, by whether it issued another one.
    private static func chains(
        _ certificates: [Certificate], isWanted: (_ hasIssued: Bool) -> Bool
    ) -> [CertificateAuthority] {
        // Found out once for each: signatures take time, and a namespace's owner may have written this.
        let issuers = certificates.map { certificate in
            certificate.isSelfIssued
                ? nil
                : certificates.firstIndex { $0.subject == certificate.issuer && certificate.isSigned(by: $0) }
        }
        let hasIssued = Set(issuers.compactMap(\.self))
        return certificates.indices.filter { isWanted(hasIssued.contains($0)) }.compactMap { first in
            var chain = [first]
            while let next = issuers[chain[chain.count - 1]], !chain.contains(next) { chain.append(next) }
            return CertificateAuthority(
                certificates: chain.map { certificates[$0] },
                validity: ValidityPeriod(start: certificates[first].notBefore))
        }
    }
}
