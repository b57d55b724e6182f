import Crypto
import FoundationEssentials
import PKI

/// The promise of a certificate transparency log that it has taken a certificate in (RFC 6962, section 3.2), as the
/// certificate itself has it.
struct SignedCertificateTimestamp {
    /// The extension with the list of them (section 3.3).
    static let extensionIdentifier = "1.3.6.1.4.1.11129.2.4.2"

    /// All of it, as it stands in the certificate.
    let encoded: [UInt8]
    /// The SHA-256 of the log's key.
    let logID: [UInt8]
    /// Milliseconds since 1970.
    let timestamp: UInt64
    let extensions: [UInt8]
    let hashAlgorithm: UInt8
    let signatureAlgorithm: UInt8
    let signature: [UInt8]

    var time: Date { Date(timeIntervalSince1970: Double(timestamp) / 1_000) }

    /// All of a certificate, in order.
    static func list(in certificate: Certificate) throws(CertificateTimestampError) -> [SignedCertificateTimestamp] {
        guard let source = certificate.extensionValue(extensionIdentifier) else {
            throw CertificateTimestampError(
                .missing,
                "the signing certificate has no signed certificate timestamp: nothing proves that it was logged")
        }
        do throws(PKIError) {
            var der = DERReader(source.value)
            let octets = try der.octetString()
            try der.end()
            var outer = TLSReader(octets)
            var items = TLSReader(try outer.vector(lengthBytes: 2))
            try outer.end()
            var all: [SignedCertificateTimestamp] = []
            while !items.isAtEnd {
                guard all.count < SigstoreLimits.certificateTimestamps else {
                    throw PKIError(.tooLarge, "there are more than \(SigstoreLimits.certificateTimestamps)")
                }
                all.append(try SignedCertificateTimestamp(items.vector(lengthBytes: 2)))
            }
            guard !all.isEmpty else { throw PKIError(.missing, "the list is empty") }
            return all
        } catch {
            throw CertificateTimestampError(
                .malformed, "the signed certificate timestamps of the signing certificate cannot be read: \(error)")
        }
    }

    private init(_ bytes: ArraySlice<UInt8>) throws(PKIError) {
        encoded = Array(bytes)
        var reader = TLSReader(bytes)
        guard try reader.integer(bytes: 1) == 0 else { throw PKIError(.unsupported, "one is not of version 1") }
        logID = Array(try reader.take(32))
        timestamp = try reader.integer(bytes: 8)
        extensions = Array(try reader.vector(lengthBytes: 2))
        hashAlgorithm = UInt8(try reader.integer(bytes: 1))
        signatureAlgorithm = UInt8(try reader.integer(bytes: 1))
        signature = Array(try reader.vector(lengthBytes: 2))
        try reader.end()
    }

    /// What the log signed (section 3.2): the certificate as it was before the timestamps were put into it, and the
    /// hash of its issuer's key.
    func signedData(precertificate: [UInt8], issuer: Certificate) -> [UInt8] {
        var data: [UInt8] = [0, 0]
        data += Self.bigEndian(timestamp, bytes: 8)
        data += [0, 1]
        data += SHA256.hash(data: issuer.publicKey.spkiDER)
        data += Self.bigEndian(UInt64(precertificate.count), bytes: 3) + precertificate
        data += Self.bigEndian(UInt64(extensions.count), bytes: 2) + extensions
        return data
    }

    /// Whether the algorithms that it names are those of the log's key (RFC 5246, section 7.4.1.4.1): SHA-256 with RSA
    /// or ECDSA (RFC 6962, section 2.1.4).
    func names(_ key: LogKey) -> Bool {
        guard hashAlgorithm == 4 else { return false }
        return switch key.scheme {
        case .ecdsa(.sha256): signatureAlgorithm == 3
        case .rsaPKCS1(.sha256): signatureAlgorithm == 1
        default: false
        }
    }

    /// The part of a certificate that was logged: what is signed of it without the extension of the timestamps
    /// (section 3.2). Everything else stays byte for byte as it is.
    static func precertificate(of certificate: Certificate) throws(PKIError) -> [UInt8] {
        var outer = DERReader(certificate.signedBytes)
        var fields = try outer.sequence()
        var parts: [[UInt8]] = []
        while !fields.isAtEnd {
            let field = try fields.any()
            guard field.tag == DER.contextConstructed(3) else {
                parts.append(Array(field.encoded))
                continue
            }
            var wrapped = field.reader
            var list = try wrapped.sequence()
            var kept: [[UInt8]] = []
            while !list.isAtEnd {
                let item = try list.any()
                var content = item.reader
                if try content.objectIdentifier() != extensionIdentifier { kept.append(Array(item.encoded)) }
            }
            if !kept.isEmpty { parts.append(DERWriter.explicit(3, DERWriter.sequence(kept))) }
        }
        return DERWriter.sequence(parts)
    }

    private static func bigEndian(_ value: UInt64, bytes: Int) -> [UInt8] {
        (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
}

/// Reads the presentation language of TLS (RFC 5246, section 4).
struct TLSReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) throws(PKIError) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw PKIError(.malformed, "one ends too early") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func integer(bytes: Int) throws(PKIError) -> UInt64 {
        try take(bytes).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Bytes with their number before them.
    mutating func vector(lengthBytes: Int) throws(PKIError) -> ArraySlice<UInt8> {
        try take(Int(try integer(bytes: lengthBytes)))
    }

    func end() throws(PKIError) {
        guard rest.isEmpty else { throw PKIError(.malformed, "there are \(rest.count) bytes too many") }
    }
}
