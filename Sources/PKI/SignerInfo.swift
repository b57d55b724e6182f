/// Who signed signed data, and how (RFC 5652, section 5.3).
struct SignerInfo: Sendable {
    /// How a signer's certificate is named.
    enum Signer: Sendable {
        case issuerAndSerial(issuer: [UInt8], serialNumber: [UInt8])
        case keyIdentifier([UInt8])
    }

    let signer: Signer
    let digest: HashAlgorithm
    let algorithm: SignatureAlgorithm
    let signature: [UInt8]
    /// What the signature is over: the signed attributes with the tag of a SET.
    let signedAttributes: [UInt8]
    private let attributes: [(oid: String, values: DERElement)]

    init(_ element: DERElement) throws(PKIError) {
        var fields = element.reader
        _ = try fields.smallInteger()
        let identifier = try fields.any()
        switch identifier.tag {
        case DER.sequence:
            var inner = identifier.reader
            let issuer = try inner.element(DER.sequence)
            signer = .issuerAndSerial(issuer: Array(issuer.encoded), serialNumber: Array(try inner.integer()))
            try inner.end()
        case DER.context(0): signer = .keyIdentifier(identifier.bytes)
        default: throw DER.fault("has \(DER.name(of: identifier.tag)) where a signer should be named")
        }
        guard let digest = try SignatureAlgorithm.hashIdentifier(fields.element(DER.sequence)) else {
            throw PKIError(.unsupported, "its signer uses an unknown hash")
        }
        self.digest = digest
        // Signed attributes must be there whenever the content is not plain data.
        let signed = try fields.element(DER.contextConstructed(0))
        signedAttributes = [DER.set] + signed.encoded.dropFirst()
        algorithm = try SignatureAlgorithm(fields.element(DER.sequence))
        signature = Array(try fields.octetString())
        _ = try fields.optional(DER.contextConstructed(1))
        try fields.end()

        var attributes: [(oid: String, values: DERElement)] = []
        var list = signed.reader
        while !list.isAtEnd {
            var attribute = try list.sequence()
            let oid = try attribute.objectIdentifier()
            let values = try attribute.element(DER.set)
            try attribute.end()
            guard !attributes.contains(where: { $0.oid == oid }) else {
                throw PKIError(.malformed, "the signed attribute \(oid) is there twice")
            }
            guard attributes.count < 64 else { throw PKIError(.tooLarge, "there are more than 64 signed attributes") }
            attributes.append((oid, values))
        }
        self.attributes = attributes
    }

    /// Whether a certificate is the one that is named.
    func names(_ certificate: Certificate) -> Bool {
        switch signer {
        case .issuerAndSerial(let issuer, let serialNumber):
            certificate.issuer.der == issuer && certificate.serialNumber == serialNumber
        case .keyIdentifier(let identifier): certificate.subjectKeyIdentifier == identifier
        }
    }

    /// The only value of a signed attribute.
    func value(_ oid: String, _ tag: UInt8) throws(PKIError) -> DERElement {
        guard let attribute = attributes.first(where: { $0.oid == oid }) else {
            throw PKIError(.missing, "the timestamp's signature lacks the signed attribute \(oid)")
        }
        var values = attribute.values.reader
        let value = try values.element(tag)
        try values.end()
        return value
    }
}
