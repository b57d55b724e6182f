import Crypto
import Encoding
import FoundationEssentials

/// An X.509 certificate (RFC 5280), read once and completely into values that do not change: every later check is a
/// look at a property. Nothing of OpenSSL is kept; it does the cryptography of ``isSigned(by:)`` when that is asked.
///
/// Two certificates are equal when their DER is equal.
public final class Certificate: Hashable, Sendable, CustomStringConvertible {
    /// The certificate as it was encoded.
    public let der: [UInt8]
    /// The SHA-256 of ``der``.
    public let sha256: [UInt8]
    /// 1, 2 or 3.
    public let version: Int
    /// The content octets of the serial number: two's complement, shortest form.
    public let serialNumber: [UInt8]
    /// The issuer's name.
    public let issuer: DistinguishedName
    /// The subject's name.
    public let subject: DistinguishedName
    /// The first moment of its validity.
    public let notBefore: Date
    /// The last moment of its validity.
    public let notAfter: Date
    /// The subject's key.
    public let publicKey: PublicKey
    /// How the issuer signed it.
    public let signatureAlgorithm: SignatureAlgorithm
    /// The signature.
    public let signature: [UInt8]
    /// All extensions, in order.
    public let extensions: [CertificateExtension]
    /// Basic constraints, if it has them.
    public let basicConstraints: BasicConstraints?
    /// Key usage, if it has it.
    public let keyUsage: KeyUsage?
    /// Extended key usage, if it has it.
    public let extendedKeyUsage: ExtendedKeyUsage?
    /// The subject key identifier.
    public let subjectKeyIdentifier: [UInt8]?
    /// The key identifier in the authority key identifier.
    public let authorityKeyIdentifier: [UInt8]?
    /// Where to ask for its status: the OCSP locations of the authority information access, URIs of any scheme,
    /// empty where one is named in another way.
    public let ocspURLs: [String]
    /// Where the issuer's certificate can be fetched.
    public let caIssuersURLs: [String]
    /// Where certificate revocation lists are published: for each distribution point its URIs of any scheme, none where
    /// it names its list in another way.
    public let crlDistributionPoints: [[String]]
    /// Of ``crlDistributionPoints``, by their positions, those whose list is for some reasons of revocation only.
    public let crlDistributionPointsForSomeReasons: Set<Int>
    /// Of ``crlDistributionPoints``, by their positions, those whose list is by somebody else than the issuer
    /// (`cRLIssuer`).
    public let crlDistributionPointsOfOthers: Set<Int>

    /// Where the signed part lies in ``der``.
    private let signedRange: Range<Int>

    /// How large a certificate may be.
    public static let maximumBytes = 64 << 10

    /// Object identifiers of all critical extensions.
    public var criticalExtensions: [String] { extensions.filter(\.isCritical).map(\.oid) }

    /// The signed part: TBSCertificate.
    public var signedBytes: ArraySlice<UInt8> { der[signedRange] }

    /// The SHA-256 of the DER, in lower-case hexadecimal.
    public var sha256Hex: String { Hex.text(sha256) }

    /// The serial number in lower-case hexadecimal, without a leading zero byte.
    public var serialNumberHex: String {
        let magnitude = serialNumber.count > 1 && serialNumber.first == 0 ? serialNumber.dropFirst() : serialNumber[...]
        return Hex.text(magnitude)
    }

    /// Whether its basic constraints say that it is a certificate authority.
    public var isCA: Bool { basicConstraints?.isCA == true }

    /// Whether subject and issuer are the same name.
    public var isSelfIssued: Bool { subject == issuer }

    /// Whether it is self-issued and its own key signed it. This computes a signature check each time.
    public var isSelfSigned: Bool { isSelfIssued && isSigned(by: self) }

    /// The extension with this object identifier.
    public func extensionValue(_ oid: String) -> CertificateExtension? { extensions.first { $0.oid == oid } }

    /// Whether a moment lies in its validity, both ends included.
    public func isValid(at moment: Date) -> Bool { notBefore <= moment && moment <= notAfter }

    /// Whether the issuer's key made the signature: the cryptographic check alone, without names, validity or
    /// constraints. False as well for algorithms that are not supported. Whether the algorithm is strong enough is the
    /// caller's to decide, by ``signatureAlgorithm``.
    public func isSigned(by issuer: Certificate) -> Bool {
        issuer.publicKey.isValidSignature(signature, over: signedBytes, algorithm: signatureAlgorithm)
    }

    /// Certificates are the same when their DER is.
    public static func == (left: Certificate, right: Certificate) -> Bool { left === right || left.der == right.der }

    /// Hashes the digest.
    public func hash(into hasher: inout Hasher) { hasher.combine(sha256) }

    /// Subject, serial number and fingerprint, for messages.
    public var description: String { "\(subject) (serial \(serialNumberHex), SHA-256 \(sha256Hex))" }

    /// Reads a certificate from its DER.
    ///
    /// - Throws: ``PKIError`` when it is not exactly one well-formed certificate.
    public init(der: [UInt8]) throws(PKIError) {
        guard der.count <= Certificate.maximumBytes else {
            throw PKIError(
                .tooLarge, "a certificate has \(der.count) bytes; at most \(Certificate.maximumBytes) are accepted")
        }
        let parts: CertificateParser
        do { parts = try CertificateParser(der) } catch { throw error.within("this is not a certificate") }
        self.der = der
        sha256 = Array(SHA256.hash(data: der))
        version = parts.version
        serialNumber = parts.serialNumber
        issuer = parts.issuer
        subject = parts.subject
        notBefore = parts.notBefore
        notAfter = parts.notAfter
        publicKey = parts.publicKey
        signatureAlgorithm = parts.signatureAlgorithm
        signature = parts.signature
        signedRange = parts.signedRange
        extensions = parts.extensions
        basicConstraints = parts.basicConstraints
        keyUsage = parts.keyUsage
        extendedKeyUsage = parts.extendedKeyUsage
        subjectKeyIdentifier = parts.subjectKeyIdentifier
        authorityKeyIdentifier = parts.authorityKeyIdentifier
        ocspURLs = parts.ocspURLs
        caIssuersURLs = parts.caIssuersURLs
        let points = parts.crlDistributionPoints
        crlDistributionPoints = points.map(\.uris)
        crlDistributionPointsForSomeReasons = Set(points.indices.filter { points[$0].isForSomeReasons })
        crlDistributionPointsOfOthers = Set(points.indices.filter { points[$0].isOfAnotherIssuer })
    }
}
