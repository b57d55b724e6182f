/// One extension of a certificate, a certificate revocation list or an OCSP response (RFC 5280, section 4.2).
public struct CertificateExtension: Hashable, Sendable {
    /// Its object identifier.
    public let oid: String
    /// Whether whoever does not understand it must refuse the certificate.
    public let isCritical: Bool
    /// The content of its OCTET STRING: DER.
    public let value: [UInt8]

    /// How many extensions are accepted.
    static let maximumCount = 64

    /// Object identifiers of the extensions that are read here.
    package enum Identifier {
        package static let subjectKeyIdentifier = "2.5.29.14"
        package static let keyUsage = "2.5.29.15"
        package static let subjectAlternativeName = "2.5.29.17"
        package static let basicConstraints = "2.5.29.19"
        package static let crlNumber = "2.5.29.20"
        package static let reasonCode = "2.5.29.21"
        package static let invalidityDate = "2.5.29.24"
        package static let deltaCRLIndicator = "2.5.29.27"
        package static let issuingDistributionPoint = "2.5.29.28"
        package static let certificateIssuer = "2.5.29.29"
        package static let nameConstraints = "2.5.29.30"
        package static let crlDistributionPoints = "2.5.29.31"
        package static let certificatePolicies = "2.5.29.32"
        package static let authorityKeyIdentifier = "2.5.29.35"
        package static let policyConstraints = "2.5.29.36"
        package static let extendedKeyUsage = "2.5.29.37"
        package static let freshestCRL = "2.5.29.46"
        package static let authorityInformationAccess = "1.3.6.1.5.5.7.1.1"
        package static let ocspNoCheck = "1.3.6.1.5.5.7.48.1.5"
    }

    /// Reads Extensions: a SEQUENCE of at least one, none of them twice (RFC 5280, section 4.2).
    package static func list(_ element: DERElement) throws(PKIError) -> [CertificateExtension] {
        var extensions: [CertificateExtension] = []
        var seen: Set<String> = []
        var reader = element.reader
        while !reader.isAtEnd {
            var fields = try reader.sequence()
            let oid = try fields.objectIdentifier()
            let isCritical = fields.nextTag == DER.boolean ? try fields.boolean() : false
            let value = try fields.octetString()
            try fields.end()
            guard seen.insert(oid).inserted else { throw PKIError(.malformed, "the extension \(oid) is there twice") }
            guard extensions.count < maximumCount else {
                throw PKIError(.tooLarge, "there are more than \(maximumCount) extensions")
            }
            extensions.append(CertificateExtension(oid: oid, isCritical: isCritical, value: Array(value)))
        }
        return extensions
    }
}

/// Basic constraints (RFC 5280, section 4.2.1.9).
public struct BasicConstraints: Hashable, Sendable {
    /// Whether the key may sign certificates.
    public let isCA: Bool
    /// How many intermediate certificates may stand between this one and the end of the chain; nil = any number.
    public let pathLength: Int?
    /// Whether the extension is critical.
    public let isCritical: Bool

    init(_ source: CertificateExtension) throws(PKIError) {
        var outer = DERReader(source.value)
        var reader = try outer.sequence()
        try outer.end()
        isCA = reader.nextTag == DER.boolean ? try reader.boolean() : false
        pathLength = reader.isAtEnd ? nil : try reader.smallInteger()
        try reader.end()
        isCritical = source.isCritical
    }
}

/// Key usage (RFC 5280, section 4.2.1.3).
public struct KeyUsage: Hashable, Sendable {
    /// The usages, by the number of their bit.
    public enum Usage: Int, Hashable, Sendable, CaseIterable, CustomStringConvertible {
        case digitalSignature, contentCommitment, keyEncipherment, dataEncipherment, keyAgreement, keyCertSign, cRLSign
        case encipherOnly, decipherOnly

        /// The name in the standard.
        public var description: String {
            switch self {
            case .digitalSignature: "digitalSignature"
            case .contentCommitment: "contentCommitment"
            case .keyEncipherment: "keyEncipherment"
            case .dataEncipherment: "dataEncipherment"
            case .keyAgreement: "keyAgreement"
            case .keyCertSign: "keyCertSign"
            case .cRLSign: "cRLSign"
            case .encipherOnly: "encipherOnly"
            case .decipherOnly: "decipherOnly"
            }
        }
    }

    /// What the key may be used for. `contentCommitment` was once called nonRepudiation.
    public let usages: Set<Usage>
    /// Whether the extension is critical.
    public let isCritical: Bool

    /// Whether a usage is asserted.
    public func contains(_ usage: Usage) -> Bool { usages.contains(usage) }

    init(_ source: CertificateExtension) throws(PKIError) {
        var reader = DERReader(source.value)
        let content = try reader.element(DER.bitString).content
        try reader.end()
        guard let unused = content.first, unused < 8, content.count > 1 || unused == 0 else {
            throw DER.fault("has a BIT STRING with a wrong number of unused bits")
        }
        let bits = content.dropFirst()
        if let last = bits.last, last & ((1 << unused) - 1) != 0 {
            throw DER.fault("has a BIT STRING with unused bits set")
        }
        usages = Set(
            Usage.allCases.filter { usage in
                let index = bits.startIndex + usage.rawValue / 8
                return index < bits.endIndex && bits[index] & (0x80 >> UInt8(usage.rawValue % 8)) != 0
            })
        isCritical = source.isCritical
    }
}

/// Extended key usage (RFC 5280, section 4.2.1.12).
public struct ExtendedKeyUsage: Hashable, Sendable {
    /// The purposes, as object identifiers.
    public let purposes: [String]
    /// Whether the extension is critical.
    public let isCritical: Bool

    /// anyExtendedKeyUsage.
    public static let any = "2.5.29.37.0"
    /// TLS server authentication.
    public static let serverAuth = "1.3.6.1.5.5.7.3.1"
    /// TLS client authentication.
    public static let clientAuth = "1.3.6.1.5.5.7.3.2"
    /// Signing of code.
    public static let codeSigning = "1.3.6.1.5.5.7.3.3"
    /// Email protection.
    public static let emailProtection = "1.3.6.1.5.5.7.3.4"
    /// Timestamping (RFC 3161).
    public static let timeStamping = "1.3.6.1.5.5.7.3.8"
    /// Signing of OCSP responses.
    public static let ocspSigning = "1.3.6.1.5.5.7.3.9"

    /// The name of a purpose for a person, or its OID.
    public static func name(of purpose: String) -> String {
        switch purpose {
        case any: "anyExtendedKeyUsage"
        case serverAuth: "serverAuth"
        case clientAuth: "clientAuth"
        case codeSigning: "codeSigning"
        case emailProtection: "emailProtection"
        case timeStamping: "timeStamping"
        case ocspSigning: "OCSPSigning"
        default: purpose
        }
    }

    /// Whether a purpose is named. `anyExtendedKeyUsage` stands for itself only.
    public func contains(_ purpose: String) -> Bool { purposes.contains(purpose) }

    init(_ source: CertificateExtension) throws(PKIError) {
        var outer = DERReader(source.value)
        var reader = try outer.sequence()
        try outer.end()
        var purposes: [String] = []
        while !reader.isAtEnd {
            guard purposes.count < 64 else { throw PKIError(.tooLarge, "there are more than 64 extended key usages") }
            purposes.append(try reader.objectIdentifier())
        }
        guard !purposes.isEmpty else { throw DER.fault("has an empty list of extended key usages") }
        self.purposes = purposes
        isCritical = source.isCritical
    }
}
