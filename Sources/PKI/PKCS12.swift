import COpenSSL

/// The certificates of a PKCS #12 file (RFC 7292), as Azure Key Vault and `openssl pkcs12 -export` write them.
///
/// Private keys in it are neither decrypted nor copied: whether there is one is all that is told of them.
public struct PKCS12: Sendable {
    /// The certificates, in the order of the file.
    public let certificates: [Certificate]
    /// Whether the file holds a private key.
    public let hasPrivateKey: Bool

    /// What a file may have.
    public struct Limits: Hashable, Sendable {
        /// How many bytes.
        public var bytes = 256 << 10
        /// How often one password may be hashed: 600,000 is what the most careful programs write.
        public var iterations = 600_000
        /// How often all passwords of the file together may be hashed, which takes about half a second.
        public var totalIterations = 1_300_000
        /// How many certificates.
        public var certificates = 100
        /// How many parts, certificates and keys among them.
        public var parts = 400

        /// The usual limits.
        public init() {}
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - der: the file, with nothing after it.
    ///   - password: the password; `nil` for an empty one in either of the forms that programs give it.
    /// - Throws: ``PKIError``: `encrypted` when the password is not the file's, `tooLarge` for a file beyond the
    ///   limits, `unsupported` for an encryption that OpenSSL does not have here.
    public init(der: [UInt8], password: String? = nil, limits: Limits = Limits()) throws(PKIError) {
        guard der.count <= limits.bytes else {
            throw PKIError(.tooLarge, "a PKCS #12 file has \(der.count) bytes; at most \(limits.bytes) are accepted")
        }
        if let password, password.utf8.contains(0) || password.utf8.count > 1024 {
            throw PKIError(.unsupported, "a password of a PKCS #12 file with a NUL, or of more than 1024 bytes")
        }
        var bounds = CountersignPKCS12Limits()
        bounds.iterations = limits.iterations
        bounds.total_iterations = limits.totalIterations
        bounds.certificates = Int32(clamping: limits.certificates)
        bounds.bags = Int32(clamping: limits.parts)
        var found: [[UInt8]] = []
        var hasKey: Int32 = 0
        let (code, reason) = OpenSSL.explained { reason -> Int32 in
            withUnsafeMutablePointer(to: &found) { receiver in
                let take: CountersignTakeCertificate = { receiver, der, length in
                    guard let receiver, let der else { return }
                    receiver.assumingMemoryBound(to: [[UInt8]].self).pointee.append(
                        Array(UnsafeBufferPointer(start: der, count: length)))
                }
                func read(_ password: UnsafePointer<CChar>?) -> Int32 {
                    countersign_pkcs12_certificates(
                        der, der.count, password, &bounds, take, receiver, &hasKey, reason)
                }
                guard let password else { return read(nil) }
                return password.withCString { read($0) }
            }
        }
        guard code == Int32(COUNTERSIGN_PKCS12_OK) else { throw PKCS12.fault(code, reason) }
        var certificates: [Certificate] = []
        for (index, der) in found.enumerated() {
            do { certificates.append(try Certificate(der: der)) } catch {
                throw error.within("certificate #\(index + 1) of the PKCS #12 file")
            }
        }
        self.certificates = certificates
        hasPrivateKey = hasKey != 0
    }

    private static func fault(_ code: Int32, _ reason: String) -> PKIError {
        switch Int(code) {
        case COUNTERSIGN_PKCS12_TOO_LARGE:
            PKIError(.tooLarge, "the PKCS #12 file has \(reason)")
        case COUNTERSIGN_PKCS12_UNSUPPORTED:
            PKIError(.unsupported, "the PKCS #12 file has \(reason)")
        case COUNTERSIGN_PKCS12_PASSWORD:
            PKIError(.encrypted, "the PKCS #12 file is protected by another password, or damaged: \(reason)")
        case COUNTERSIGN_PKCS12_NEEDS_LEGACY:
            PKIError(
                .unsupported,
                "the PKCS #12 file is encrypted with \(reason), and that is not installed here; install OpenSSL's "
                    + "module legacy, or write the file anew with a current encryption")
        default: PKIError(.malformed, "this is not a PKCS #12 file that can be read: \(reason)")
        }
    }
}
