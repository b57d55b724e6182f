import FoundationEssentials

/// Reads the fields of a certificate (RFC 5280, section 4.1) and those extensions that anything here looks at. An
/// extension that is read must be well formed, whether it is critical or not.
struct CertificateParser {
    var version = 1
    var serialNumber: [UInt8] = []
    var issuer: DistinguishedName
    var subject: DistinguishedName
    var notBefore: Date
    var notAfter: Date
    var publicKey: PublicKey
    var signatureAlgorithm: SignatureAlgorithm
    var signature: [UInt8]
    var signedRange: Range<Int>
    var extensions: [CertificateExtension] = []
    var basicConstraints: BasicConstraints?
    var keyUsage: KeyUsage?
    var extendedKeyUsage: ExtendedKeyUsage?
    var subjectKeyIdentifier: [UInt8]?
    var authorityKeyIdentifier: [UInt8]?
    var ocspURLs: [String] = []
    var caIssuersURLs: [String] = []
    var crlDistributionPoints: [DistributionPoint] = []

    init(_ der: [UInt8]) throws(PKIError) {
        var outer = DERReader(der)
        var certificate = try outer.sequence()
        try outer.end()
        let signed = try certificate.element(DER.sequence)
        let outerAlgorithm = try certificate.element(DER.sequence)
        signature = Array(try certificate.octetAlignedBitString())
        try certificate.end()
        signedRange = signed.encoded.startIndex..<signed.encoded.endIndex

        var fields = signed.reader
        if let element = try fields.optional(DER.contextConstructed(0)) {
            var inner = element.reader
            let number = try inner.smallInteger()
            try inner.end()
            guard number <= 2 else { throw PKIError(.unsupported, "its version is \(number + 1), not 1, 2 or 3") }
            version = number + 1
        }
        serialNumber = Array(try fields.integer())
        let innerAlgorithm = try fields.element(DER.sequence)
        // Section 4.1.1.2: both must be the same, or the signature would not cover its own algorithm.
        guard innerAlgorithm.encoded.elementsEqual(outerAlgorithm.encoded) else {
            throw PKIError(.malformed, "it names two different signature algorithms")
        }
        signatureAlgorithm = try CertificateParser.named("signature algorithm") { () throws(PKIError) in
            try SignatureAlgorithm(innerAlgorithm)
        }
        let issuerElement = try fields.element(DER.sequence)
        issuer = try CertificateParser.named("issuer") { () throws(PKIError) in try DistinguishedName(issuerElement) }
        var validity = try fields.sequence()
        notBefore = try DER.time(validity.any())
        notAfter = try DER.time(validity.any())
        try validity.end()
        let subjectElement = try fields.element(DER.sequence)
        subject = try CertificateParser.named("subject") { () throws(PKIError) in try DistinguishedName(subjectElement)
        }
        let keyElement = try fields.element(DER.sequence)
        publicKey = try CertificateParser.named("public key") { () throws(PKIError) in try PublicKey(keyElement) }
        // Sections 4.1.2.8 and 4.1.2.9: unique identifiers from version 2 on, extensions in version 3 only.
        for number: UInt8 in [1, 2] where fields.nextTag == DER.context(number) {
            guard version >= 2 else { throw PKIError(.malformed, "a certificate of version 1 has a unique identifier") }
            _ = try fields.any()
        }
        if let element = try fields.optional(DER.contextConstructed(3)) {
            guard version == 3 else { throw PKIError(.malformed, "a certificate of version \(version) has extensions") }
            var inner = element.reader
            let list = try inner.element(DER.sequence)
            try inner.end()
            extensions = try CertificateExtension.list(list)
        }
        try fields.end()
        for item in extensions {
            do { try read(item) } catch { throw error.within("extension \(item.oid)") }
        }
    }

    private static func named<Value>(_ name: String, _ body: () throws(PKIError) -> Value) throws(PKIError) -> Value {
        do { return try body() } catch { throw error.within(name) }
    }

    private mutating func read(_ item: CertificateExtension) throws(PKIError) {
        typealias Identifier = CertificateExtension.Identifier
        switch item.oid {
        case Identifier.basicConstraints: basicConstraints = try BasicConstraints(item)
        case Identifier.keyUsage: keyUsage = try KeyUsage(item)
        case Identifier.extendedKeyUsage: extendedKeyUsage = try ExtendedKeyUsage(item)
        case Identifier.subjectKeyIdentifier:
            var reader = DERReader(item.value)
            subjectKeyIdentifier = Array(try reader.octetString())
            try reader.end()
        case Identifier.authorityKeyIdentifier:
            var outer = DERReader(item.value)
            var reader = try outer.sequence()
            try outer.end()
            authorityKeyIdentifier = try reader.optional(DER.context(0))?.bytes
        case Identifier.authorityInformationAccess: try readAccess(item.value)
        case Identifier.crlDistributionPoints: crlDistributionPoints = try DistributionPoint.list(item.value)
        default: break
        }
    }

    /// Authority information access (RFC 5280, section 4.2.2.1).
    private mutating func readAccess(_ value: [UInt8]) throws(PKIError) {
        var outer = DERReader(value)
        var reader = try outer.sequence()
        try outer.end()
        while !reader.isAtEnd {
            var description = try reader.sequence()
            let method = try description.objectIdentifier()
            let location = try description.any()
            try description.end()
            let uri = try DistributionPoint.uri(location)
            guard ocspURLs.count + caIssuersURLs.count < DistributionPoint.maximumCount else {
                throw PKIError(.tooLarge, "more than \(DistributionPoint.maximumCount) locations")
            }
            switch method {
            // A responder that is named in another way is a source of its status all the same, though nobody can ask
            // it.
            case "1.3.6.1.5.5.7.48.1": ocspURLs.append(uri ?? "")
            case "1.3.6.1.5.5.7.48.2": if let uri { caIssuersURLs.append(uri) }
            default: break
            }
        }
    }
}

/// A place that a certificate or a list names (RFC 5280, section 4.2.1.13).
struct DistributionPoint {
    /// How many places are accepted.
    static let maximumCount = 64

    /// Its URIs.
    var uris: [String] = []
    /// Whether its list is for some reasons of revocation only.
    var isForSomeReasons = false
    /// Whether its list is by somebody else than the certificate's issuer (`cRLIssuer`).
    var isOfAnotherIssuer = false

    /// The distribution points in CRLDistributionPoints.
    static func list(_ value: [UInt8]) throws(PKIError) -> [DistributionPoint] {
        var outer = DERReader(value)
        var reader = try outer.sequence()
        try outer.end()
        // SIZE (1..MAX): an extension without any would read as a certificate that has no list.
        guard !reader.isAtEnd else { throw DER.fault("has an empty list of distribution points") }
        var points: [DistributionPoint] = []
        while !reader.isAtEnd {
            guard points.count < maximumCount else {
                throw PKIError(.tooLarge, "more than \(maximumCount) distribution points")
            }
            var fields = try reader.sequence()
            var point = DistributionPoint()
            if let name = try fields.optional(DER.contextConstructed(0)) { point.uris = try fullName(name) }
            point.isForSomeReasons = try fields.optional(DER.context(1)) != nil
            point.isOfAnotherIssuer = try fields.optional(DER.contextConstructed(2)) != nil
            try fields.end()
            points.append(point)
        }
        return points
    }

    /// The URIs in a DistributionPointName; none when it is relative to the issuer.
    static func fullName(_ element: DERElement) throws(PKIError) -> [String] {
        var inner = element.reader
        guard let names = try inner.optional(DER.contextConstructed(0)) else { return [] }
        var uris: [String] = []
        var reader = names.reader
        while !reader.isAtEnd {
            guard uris.count < maximumCount else { throw PKIError(.tooLarge, "more than \(maximumCount) names") }
            if let uri = try uri(reader.any()) { uris.append(uri) }
        }
        return uris
    }

    /// The URI in a GeneralName, if it is one.
    static func uri(_ element: DERElement) throws(PKIError) -> String? {
        guard element.tag == DER.context(6) else { return nil }
        guard element.content.allSatisfy({ $0 < 0x80 }) else { throw DER.fault("has a URI that is not ASCII") }
        return String(decoding: element.content, as: UTF8.self)
    }
}
