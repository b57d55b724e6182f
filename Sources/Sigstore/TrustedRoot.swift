import FoundationEssentials
import PKI

/// A log of the trusted root: of signatures (Rekor) or of certificates (CT).
public struct TransparencyLog: Sendable {
    /// Where the log is; its host and path are the origin of a Rekor v2 log's checkpoints.
    public let baseURL: String
    /// The identifier that entries and signed certificate timestamps name it by.
    public let logID: [UInt8]
    /// The key; nil when its kind or the log's hash is not supported, so that no entry of this log can be verified.
    public let key: LogKey?
    /// When it is to be trusted.
    public let validity: ValidityPeriod
    /// The first bytes of this are the key's identifier in signed notes; ``logID`` unless the trusted root says
    /// another.
    let checkpointKeyID: [UInt8]

    /// A log.
    public init(baseURL: String, logID: [UInt8], key: LogKey, validity: ValidityPeriod) {
        self.init(baseURL: baseURL, logID: logID, key: key, validity: validity, checkpointKeyID: logID)
    }

    init(baseURL: String, logID: [UInt8], key: LogKey?, validity: ValidityPeriod, checkpointKeyID: [UInt8]) {
        self.baseURL = baseURL
        self.logID = logID
        self.key = key
        self.validity = validity
        self.checkpointKeyID = checkpointKeyID
    }

    /// Whether an address is the log's: without regard to slashes at its end, and to the case of scheme and host.
    func isAt(_ url: String) -> Bool {
        func parts(_ text: String) -> (String, String) {
            var text = text[...]
            while text.last == "/" { text = text.dropLast() }
            let host = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text
            let end = host.firstIndex(of: "/") ?? host.endIndex
            return (text[..<end].lowercased(), String(text[end...]))
        }
        return parts(url) == parts(baseURL)
    }

    /// Host and path, without a scheme: `log2025-1.rekor.sigstore.dev`.
    var origin: String {
        var text = baseURL[...]
        if let scheme = text.firstRange(of: "://") { text = text[scheme.upperBound...] }
        while text.last == "/" { text = text.dropLast() }
        return String(text)
    }
}

/// An authority of the trusted root: one that issues certificates for signing (Fulcio), or timestamps.
public struct CertificateAuthority: Sendable {
    /// Its certificates, the root last.
    public let certificates: [Certificate]
    /// When it is to be trusted.
    public let validity: ValidityPeriod

    /// Whether each certificate is signed by the one after it. It is found out once: every bundle would need it.
    let isLinked: Bool
    /// The certificate that trust begins with.
    var root: Certificate { certificates[certificates.count - 1] }

    /// An authority; nil without a certificate.
    public init?(certificates: [Certificate], validity: ValidityPeriod) {
        guard !certificates.isEmpty else { return nil }
        self.certificates = certificates
        self.validity = validity
        isLinked = zip(certificates, certificates.dropFirst()).allSatisfy { lower, upper in
            lower.issuer == upper.subject && lower.isSigned(by: upper)
        }
    }
}

/// All that is trusted (`dev.sigstore.trustroot.v1.TrustedRoot`): logs, and authorities for certificates and
/// timestamps, each with the time of its trust.
public struct TrustedRoot: Sendable {
    /// The transparency logs of signatures.
    public let transparencyLogs: [TransparencyLog]
    /// The authorities that issue certificates for signing.
    public let certificateAuthorities: [CertificateAuthority]
    /// The transparency logs of certificates.
    public let certificateLogs: [TransparencyLog]
    /// The authorities that issue timestamps.
    public let timestampAuthorities: [CertificateAuthority]

    /// A trusted root of one's own.
    public init(
        transparencyLogs: [TransparencyLog] = [], certificateAuthorities: [CertificateAuthority] = [],
        certificateLogs: [TransparencyLog] = [], timestampAuthorities: [CertificateAuthority] = []
    ) {
        self.transparencyLogs = transparencyLogs
        self.certificateAuthorities = certificateAuthorities
        self.certificateLogs = certificateLogs
        self.timestampAuthorities = timestampAuthorities
    }
}
