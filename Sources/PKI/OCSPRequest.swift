/// Which certificate an OCSP request or response is about (RFC 6960, section 4.1.1).
public struct OCSPCertificateID: Hashable, Sendable {
    /// The hash function of both hashes; nil when it is not known here.
    public let hash: HashAlgorithm?
    /// The hash of the issuer's name.
    public let issuerNameHash: [UInt8]
    /// The hash of the issuer's key.
    public let issuerKeyHash: [UInt8]
    /// The content octets of the serial number.
    public let serialNumber: [UInt8]

    /// The identifier of a certificate.
    public init(of certificate: Certificate, issuer: Certificate, hash: HashAlgorithm) throws(PKIError) {
        self.hash = hash
        issuerNameHash = try OpenSSL.digest(hash, of: issuer.subject.der)
        issuerKeyHash = try OpenSSL.digest(hash, of: issuer.publicKey.keyBytes)
        serialNumber = certificate.serialNumber
    }

    /// Whether it is about a certificate of an issuer: name, key and serial number all agree.
    public func matches(_ certificate: Certificate, issuer: Certificate) -> Bool {
        guard let hash, let own = try? OCSPCertificateID(of: certificate, issuer: issuer, hash: hash) else {
            return false
        }
        return own == self
    }

    init(_ element: DERElement) throws(PKIError) {
        var fields = element.reader
        hash = try SignatureAlgorithm.hashIdentifier(fields.element(DER.sequence))
        issuerNameHash = Array(try fields.octetString())
        issuerKeyHash = Array(try fields.octetString())
        serialNumber = Array(try fields.integer())
        try fields.end()
    }

    func encoded(_ hash: HashAlgorithm) -> [UInt8] {
        DERWriter.sequence([
            SignatureAlgorithm.encoded(hash), DERWriter.octetString(issuerNameHash),
            DERWriter.octetString(issuerKeyHash),
            DERWriter.element(DER.integer, serialNumber),
        ])
    }
}

/// An OCSP request for one certificate, unsigned and without a nonce (RFC 6960, section 4.1), so that responses can
/// come from a cache (RFC 5019).
public struct OCSPRequest: Hashable, Sendable {
    /// What it asks for.
    public let certificateID: OCSPCertificateID
    /// The request, encoded.
    public let der: [UInt8]

    /// A request for the status of a certificate. SHA-1 names the issuer in it, which every responder understands and
    /// no security rests on (RFC 5019, section 2.1.1).
    public init(for certificate: Certificate, issuer: Certificate, hash: HashAlgorithm = .sha1) throws(PKIError) {
        certificateID = try OCSPCertificateID(of: certificate, issuer: issuer, hash: hash)
        der = DERWriter.sequence([
            DERWriter.sequence([DERWriter.sequence([DERWriter.sequence([certificateID.encoded(hash)])])])
        ])
    }
}
