import FoundationEssentials

/// A timestamp token (RFC 3161, section 2.4.2): signed data of the cryptographic message syntax (RFC 5652, section 5)
/// around a ``TimestampInfo``. Nothing in it may be relied on before ``verify(timestamped:)`` accepted it.
public struct TimestampToken: Sendable {
    /// How large a token may be.
    public static let maximumBytes = 128 << 10

    /// What was signed.
    public let info: TimestampInfo
    /// The certificates that came with it.
    public let certificates: [Certificate]

    private let content: [UInt8]
    private let signer: SignerInfo

    private enum Identifier {
        static let signedData = "1.2.840.113549.1.7.2"
        static let timestampInfo = "1.2.840.113549.1.9.16.1.4"
        static let contentType = "1.2.840.113549.1.9.3"
        static let messageDigest = "1.2.840.113549.1.9.4"
        static let signingCertificateV2 = "1.2.840.113549.1.9.16.2.47"
        static let rsaEncryption = "1.2.840.113549.1.1.1"
    }

    /// Reads a token. The outer structure may use the lengths of BER, which RFC 5652 allows and some authorities write.
    public init(der: [UInt8]) throws(PKIError) {
        guard der.count <= TimestampToken.maximumBytes else {
            throw PKIError(
                .tooLarge,
                "a timestamp token has \(der.count) bytes; at most \(TimestampToken.maximumBytes) are accepted")
        }
        do { try self.init(checked: BER.definite(der)) } catch { throw error.within("this is not a timestamp token") }
    }

    /// Reads the token in an authority's answer (TimeStampResp, section 2.4.2), whatever the request was.
    public init(response: [UInt8]) throws(PKIError) {
        try self.init(der: TimestampRequest.tokenBytes(inResponse: response))
    }

    private init(checked der: [UInt8]) throws(PKIError) {
        var outer = DERReader(der)
        var message = try outer.sequence()
        try outer.end()
        guard try message.objectIdentifier() == Identifier.signedData else {
            throw PKIError(.malformed, "it is not signed data")
        }
        var wrapped = try message.element(DER.contextConstructed(0)).reader
        try message.end()
        var data = try wrapped.sequence()
        try wrapped.end()
        _ = try data.smallInteger()
        _ = try data.element(DER.set)
        var encapsulated = try data.sequence()
        guard try encapsulated.objectIdentifier() == Identifier.timestampInfo else {
            throw PKIError(.malformed, "what is signed is not a timestamp")
        }
        var explicit = try encapsulated.element(DER.contextConstructed(0)).reader
        try encapsulated.end()
        let octets = try explicit.octetString()
        try explicit.end()
        content = Array(octets)
        info = try TimestampInfo(octets)

        var certificates: [Certificate] = []
        if let set = try data.optional(DER.contextConstructed(0)) {
            var items = set.reader
            while !items.isAtEnd {
                let item = try items.any()
                // The other choices are attribute certificates and the like.
                guard item.tag == DER.sequence else { continue }
                guard certificates.count < CertificateChain.maximumLength else {
                    throw PKIError(.tooLarge, "it has more than \(CertificateChain.maximumLength) certificates")
                }
                certificates.append(try Certificate(der: Array(item.encoded)))
            }
        }
        self.certificates = certificates
        _ = try data.optional(DER.contextConstructed(1))
        var signers = try data.set()
        try data.end()
        // RFC 3161, section 2.4.2: no other signature than that of the authority.
        signer = try SignerInfo(signers.element(DER.sequence))
        try signers.end()
    }

    /// The certificate of the authority, after everything was checked that does not need trust: that the token is about
    /// this content, that its signature is by a certificate inside it which the signature itself names (RFC 5816), and
    /// that the certificate is for timestamps only (RFC 3161, section 2.3).
    ///
    /// Its chain, its validity at the time and its revocation are the caller's to check.
    ///
    /// - Parameter known: certificates of authorities, for a token that comes without its signer's: the request decides
    ///   whether it is there (RFC 3161, section 2.4.1).
    /// - Throws: ``PKIError`` that says what failed.
    public func verify(
        timestamped message: [UInt8], certificates known: [Certificate] = []
    ) throws(PKIError) -> Certificate {
        guard let hash = info.imprintHash, [.sha256, .sha384, .sha512].contains(hash) else {
            throw PKIError(
                .unsupported,
                "the message imprint of the timestamp uses \(info.imprintHash?.rawValue ?? "an unknown hash"); "
                    + "SHA-256, SHA-384 and SHA-512 are accepted")
        }
        guard try OpenSSL.digest(hash, of: message) == info.imprint else {
            throw PKIError(.mismatch, "the timestamp is of something else: its message imprint differs")
        }
        guard info.criticalExtensions.isEmpty else {
            throw PKIError(
                .unsupported,
                "the timestamp has critical extensions that are not understood: "
                    + info.criticalExtensions.joined(separator: ", "))
        }
        guard let certificate = (known + certificates).first(where: signer.names) else {
            throw PKIError(
                .missing,
                known.isEmpty
                    ? "the certificate of the timestamp's signer is not in the token"
                    : "the certificate of the timestamp's signer is neither in the token nor among those that are known"
            )
        }
        try checkSignature(of: certificate)
        guard let usage = certificate.extendedKeyUsage, usage.isCritical,
            usage.purposes == [ExtendedKeyUsage.timeStamping]
        else {
            throw PKIError(
                .mismatch,
                "the timestamp's certificate \"\(certificate.subject)\" is not for timestamps: its extended key usage must be "
                    + "critical and timeStamping alone")
        }
        return certificate
    }

    private func checkSignature(of certificate: Certificate) throws(PKIError) {
        let type = try signer.value(Identifier.contentType, DER.objectIdentifier)
        guard try DER.objectIdentifier(type.content) == Identifier.timestampInfo else {
            throw PKIError(.mismatch, "the timestamp's signature is about another type of content")
        }
        guard [.sha256, .sha384, .sha512].contains(signer.digest) else {
            throw PKIError(.unsupported, "the timestamp is signed with a hash that is not secure or not known")
        }
        guard
            try signer.value(Identifier.messageDigest, DER.octetString).content.elementsEqual(
                OpenSSL.digest(signer.digest, of: content))
        else { throw PKIError(.mismatch, "the timestamp's signature is about another content") }
        try checkSigningCertificate(certificate)
        let scheme: SignatureAlgorithm.Scheme
        if signer.algorithm.oid == Identifier.rsaEncryption {
            scheme = .rsaPKCS1(signer.digest)
        } else if signer.algorithm.hash == signer.digest, !signer.algorithm.isWeak {
            scheme = signer.algorithm.scheme
        } else {
            throw PKIError(.unsupported, "the timestamp is signed with \(signer.algorithm), which is not accepted here")
        }
        guard
            certificate.publicKey.isValidSignature(signer.signature, over: signer.signedAttributes, scheme: scheme)
        else {
            throw PKIError(
                .badSignature, "the signature of the timestamp is not by its certificate \"\(certificate.subject)\"")
        }
    }

    /// The signed attribute that names the signer's certificate by its hash (RFC 5035, section 3; RFC 5816, section
    /// 2.2.1).
    private func checkSigningCertificate(_ certificate: Certificate) throws(PKIError) {
        var attribute = try signer.value(Identifier.signingCertificateV2, DER.sequence).reader
        var identifiers = try attribute.sequence()
        var first = try identifiers.sequence()
        var hash: HashAlgorithm? = .sha256
        if let algorithm = try first.optional(DER.sequence) { hash = try SignatureAlgorithm.hashIdentifier(algorithm) }
        let value = try first.octetString()
        guard let hash, [.sha256, .sha384, .sha512].contains(hash) else {
            throw PKIError(.unsupported, "the timestamp names its certificate with a hash that is not accepted")
        }
        guard try value.elementsEqual(OpenSSL.digest(hash, of: certificate.der)) else {
            throw PKIError(.mismatch, "the timestamp names another certificate than \"\(certificate.subject)\"")
        }
        guard let issuerSerial = try first.optional(DER.sequence) else { return }
        var fields = issuerSerial.reader
        var names = try fields.sequence()
        let serial = try fields.integer()
        var issuer: ArraySlice<UInt8>?
        while !names.isAtEnd {
            let name = try names.any()
            if name.tag == DER.contextConstructed(4) { issuer = name.content }
        }
        guard serial.elementsEqual(certificate.serialNumber), issuer?.elementsEqual(certificate.issuer.der) == true
        else {
            throw PKIError(
                .mismatch, "the timestamp names another issuer or serial number than \"\(certificate.subject)\" has")
        }
    }
}
