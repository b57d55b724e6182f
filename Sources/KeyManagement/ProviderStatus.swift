import FoundationEssentials
import PKI

/// How a provider is doing, in the terms of the status of a KeyManagementProvider resource.
package struct ProviderStatus: Hashable, Sendable {
    /// Whether the last look at the source gave all that it should. When it did not, an earlier set may still be in
    /// force.
    package var isSuccess: Bool
    /// What went wrong; nil when nothing did.
    package var error: String?
    /// The error, cut to what fits a table.
    package var briefError: String? {
        guard let error else { return nil }
        return error.count <= 80 ? error : error.prefix(79) + "…"
    }
    /// When the source was last read with success.
    package var lastFetched: Date?
    /// What is known of the certificates, those that are not in force too: disabled, refused, unreadable.
    package var properties: [Properties]
    /// The certificates that were offered and refused.
    package var refused: [RefusedCertificate]
    /// The public keys.
    package var keys: [PublicKeyProperties] = []
    /// The trusted root of Sigstore in force.
    package var trustedRoot: TrustedRootProperties?
    /// What an administrator should change although everything works.
    package var warnings: [String] = []
    /// Whether the error lasts until somebody mends what is configured or what it names.
    package var isConfiguration = false

    /// A provider that was not read yet.
    package static let notRead = ProviderStatus(
        isSuccess: false, error: "nothing was read yet", lastFetched: nil, properties: [], refused: [])
}

extension ProviderStatus {
    /// What is known of one certificate.
    package struct Properties: Hashable, Sendable {
        /// The name in the source.
        package let name: String
        /// The version in the source.
        package let version: String
        /// The subject; empty when the certificate could not be read.
        package let subject: String
        /// The SHA-256 of the DER, in hexadecimal; empty when the certificate could not be read.
        package let fingerprint: String
        /// When it becomes valid.
        package let notBefore: Date?
        /// When it expires.
        package let notAfter: Date?
        /// Whether the source says that it may be used.
        package let isEnabled: Bool
        /// Why it is not in force; nil when it is.
        package var problem: String?
        /// When the source last told of it.
        package let lastRefreshed: Date?

        /// Whether signatures are verified with it.
        package var isInForce: Bool { problem == nil }

        /// A certificate in force, or one that is not and why.
        package init(
            _ entry: TrustedCertificate, isEnabled: Bool = true, problem: String? = nil, lastRefreshed: Date?
        ) {
            self.init(
                name: entry.name, version: entry.version, certificate: entry.certificate, isEnabled: isEnabled,
                problem: problem, lastRefreshed: entry.lastRefreshed ?? lastRefreshed)
        }

        /// A certificate, or the place of one that could not be read.
        package init(
            name: String, version: String, certificate: Certificate?, isEnabled: Bool, problem: String?,
            lastRefreshed: Date?
        ) {
            self.name = name
            self.version = version
            subject = certificate?.subject.rfc2253 ?? ""
            fingerprint = certificate?.sha256Hex ?? ""
            notBefore = certificate?.notBefore
            notAfter = certificate?.notAfter
            self.isEnabled = isEnabled
            self.problem = problem
            self.lastRefreshed = lastRefreshed
        }

        /// `in force`, `in force, expired on …`, `in force, not yet valid`, `disabled`, `refused: …`.
        ///
        /// One that has expired stays in force: a signature with a timestamp of its time goes on verifying, and every
        /// other one is denied by the check of its time.
        package func state(at now: Date = Date()) -> String {
            if let problem { return problem }
            if let notAfter, notAfter < now { return "in force, expired on \(notAfter.formatted(.iso8601))" }
            if let notBefore, notBefore > now {
                return "in force, not yet valid until \(notBefore.formatted(.iso8601))"
            }
            return "in force"
        }

        /// ``state(at:)`` now.
        package var state: String { state() }
    }

    /// What is known of one public key.
    package struct PublicKeyProperties: Hashable, Sendable {
        /// The name in the source.
        package let name: String
        /// The version in the source.
        package let version: String
        /// The key; nil when it could not be read.
        package let key: PublicKey?
        /// What kind of key it is: `RSA-2048`, `EC P-256`; empty when it could not be read.
        package let kind: String
        /// The SHA-256 of the SubjectPublicKeyInfo, in hexadecimal; empty when the key could not be read.
        package let fingerprint: String
        /// Whether the source says that it may be used.
        package let isEnabled: Bool
        /// Why it cannot be used; nil when it can.
        package let problem: String?
        /// When the source last told of it.
        package let lastRefreshed: Date?

        /// A key, or the place of one that could not be read.
        package init(
            name: String, version: String, key: PublicKey?, isEnabled: Bool = true, problem: String? = nil,
            lastRefreshed: Date?
        ) {
            self.name = name
            self.version = version
            self.key = key
            kind = key?.kind.description ?? ""
            fingerprint = key?.sha256Hex ?? ""
            self.isEnabled = isEnabled
            self.problem = problem
            self.lastRefreshed = lastRefreshed
        }

        /// `in force`, or why it is not.
        package var state: String { problem ?? (isEnabled ? "in force" : "disabled") }

        /// The key to verify with; nil when it may not be used or could not be read.
        package var trusted: TrustedKey? {
            guard problem == nil, isEnabled, let key else { return nil }
            return TrustedKey(name: name, version: version, key: key, lastRefreshed: lastRefreshed)
        }
    }

    /// What is known of a trusted root of Sigstore.
    package struct TrustedRootProperties: Hashable, Sendable {
        /// Where it is from, for a person: a repository, a file, that it is compiled in.
        package let source: String
        /// The SHA-256 of what it was read from, in hexadecimal.
        package let fingerprint: String
        /// The versions of the signed metadata that it came by, by their roles; empty where there is none.
        package let versions: [String: Int64]
        /// Until when it may be relied on without another look at its source; nil where nothing says so.
        package let validUntil: Date?
        /// How many logs of signatures it has.
        package let transparencyLogs: Int
        /// How many authorities of signing certificates it has.
        package let certificateAuthorities: Int
        /// How many logs of certificates it has.
        package let certificateLogs: Int
        /// How many timestamp authorities it has.
        package let timestampAuthorities: Int

        /// What a trusted root has.
        package init(
            source: String, fingerprint: String, versions: [String: Int64], validUntil: Date?, transparencyLogs: Int,
            certificateAuthorities: Int, certificateLogs: Int, timestampAuthorities: Int
        ) {
            self.source = source
            self.fingerprint = fingerprint
            self.versions = versions
            self.validUntil = validUntil
            self.transparencyLogs = transparencyLogs
            self.certificateAuthorities = certificateAuthorities
            self.certificateLogs = certificateLogs
            self.timestampAuthorities = timestampAuthorities
        }
    }
}
