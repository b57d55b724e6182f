import FoundationEssentials

/// A certificate revocation list (RFC 5280, section 5). It is walked through completely when it is made, so that its
/// form is known to be good; the entries stay in the encoded bytes and are looked through when a certificate is asked
/// for, since a list may have a million of them.
public struct RevocationList: Sendable {
    /// How large a list may be.
    public static let maximumBytes = 32 << 20

    /// The list as it was encoded.
    public let der: [UInt8]
    /// The name of its issuer.
    public let issuer: DistinguishedName
    /// When it was made.
    public let thisUpdate: Date
    /// When the next one is due at the latest; nil where it does not say.
    public let nextUpdate: Date?
    /// How it was signed.
    public let signatureAlgorithm: SignatureAlgorithm
    /// The signature.
    public let signature: [UInt8]
    /// The extensions of the list itself.
    public let extensions: [CertificateExtension]
    /// The magnitude of its number.
    public let number: [UInt8]?
    /// In a delta list: the magnitude of the number of the list that it adds to.
    public let deltaBaseNumber: [UInt8]?
    /// What part of the issuer's certificates it covers; nil = all.
    public let issuingDistributionPoint: IssuingDistributionPoint?
    /// Where delta lists that add to it are published.
    public let freshestURLs: [[String]]
    /// Critical extensions of entries that are not understood, of whichever certificate: "If a CRL contains a critical
    /// CRL entry extension that the application cannot process, then the application MUST NOT use that CRL to determine
    /// the status of any certificates" (RFC 5280, section 5.3).
    public let unknownCriticalEntryExtensions: Set<String>

    private let signedRange: Range<Int>
    private let entriesRange: Range<Int>

    /// What part of an issuer's certificates a list covers (RFC 5280, section 5.2.5).
    public struct IssuingDistributionPoint: Hashable, Sendable {
        /// Whether it names the distribution point, in whichever form.
        public let isNamed: Bool
        /// The URIs of the distribution point.
        public let uris: [String]
        /// No certificates of authorities.
        public let onlyUserCertificates: Bool
        /// Certificates of authorities only.
        public let onlyAuthorityCertificates: Bool
        /// Attribute certificates only, which are no X.509 certificates.
        public let onlyAttributeCertificates: Bool
        /// Whether it covers some reasons only.
        public let onlySomeReasons: Bool
        /// Whether it covers certificates of other issuers too.
        public let isIndirect: Bool
    }

    /// What a list says about one certificate at one place.
    public struct Entry: Hashable, Sendable {
        /// Why a certificate was revoked (RFC 5280, section 5.3.1).
        public enum Reason: Int, Hashable, Sendable {
            case unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation
            case certificateHold
            case removeFromCRL = 8
            case privilegeWithdrawn, aACompromise
        }

        /// When it was revoked.
        public let revocationDate: Date
        /// Why; nil where it does not say, or gives a number that has no meaning.
        public let reason: Reason?
        /// Since when the key is known or suspected not to be trusted.
        public let invalidityDate: Date?
        /// The extensions of an entry that are understood.
        fileprivate static let understood: Set = [
            CertificateExtension.Identifier.reasonCode, CertificateExtension.Identifier.invalidityDate,
            CertificateExtension.Identifier.certificateIssuer,
        ]
    }

    /// Critical extensions of the list that are not understood: it cannot be used then.
    public var unknownCriticalExtensions: [String] {
        typealias Identifier = CertificateExtension.Identifier
        let known = [Identifier.issuingDistributionPoint, Identifier.deltaCRLIndicator, Identifier.crlNumber]
        return extensions.filter { $0.isCritical && !known.contains($0.oid) }.map(\.oid)
    }

    /// Whether the issuer's key made the signature. Names, key usage and times are the caller's to check.
    public func isSigned(by issuer: Certificate) -> Bool {
        issuer.publicKey.isValidSignature(signature, over: der[signedRange], algorithm: signatureAlgorithm)
    }

    /// Reads a list from its DER.
    public init(der: [UInt8]) throws(PKIError) {
        guard der.count <= RevocationList.maximumBytes else {
            throw PKIError(
                .tooLarge,
                "a revocation list has \(der.count) bytes; at most \(RevocationList.maximumBytes) are accepted")
        }
        do { try self.init(checked: der) } catch { throw error.within("this is not a certificate revocation list") }
    }

    private init(checked der: [UInt8]) throws(PKIError) {
        var outer = DERReader(der)
        var list = try outer.sequence()
        try outer.end()
        let signed = try list.element(DER.sequence)
        let outerAlgorithm = try list.element(DER.sequence)
        signature = Array(try list.octetAlignedBitString())
        try list.end()
        signedRange = signed.encoded.startIndex..<signed.encoded.endIndex

        var fields = signed.reader
        var version = 1
        if fields.nextTag == DER.integer {
            version = try fields.smallInteger() + 1
            guard version == 2 else { throw PKIError(.unsupported, "its version is \(version), not 1 or 2") }
        }
        let innerAlgorithm = try fields.element(DER.sequence)
        guard innerAlgorithm.encoded.elementsEqual(outerAlgorithm.encoded) else {
            throw PKIError(.malformed, "it names two different signature algorithms")
        }
        signatureAlgorithm = try SignatureAlgorithm(innerAlgorithm)
        issuer = try DistinguishedName(fields.element(DER.sequence))
        thisUpdate = try DER.time(fields.any())
        nextUpdate =
            fields.nextTag == DER.utcTime || fields.nextTag == DER.generalizedTime ? try DER.time(fields.any()) : nil
        let entries = try fields.optional(DER.sequence)
        let start = entries?.content.startIndex ?? 0
        entriesRange = start..<(entries?.content.endIndex ?? start)
        var extensions: [CertificateExtension] = []
        if let element = try fields.optional(DER.contextConstructed(0)) {
            guard version == 2 else { throw PKIError(.malformed, "a list of version 1 has extensions") }
            var inner = element.reader
            extensions = try CertificateExtension.list(inner.element(DER.sequence))
            try inner.end()
        }
        try fields.end()
        self.extensions = extensions
        self.der = der

        typealias Identifier = CertificateExtension.Identifier
        func value(_ oid: String) -> CertificateExtension? { extensions.first { $0.oid == oid } }
        number = try RevocationList.magnitude(value(Identifier.crlNumber))
        deltaBaseNumber = try RevocationList.magnitude(value(Identifier.deltaCRLIndicator))
        if let item = value(Identifier.issuingDistributionPoint) {
            issuingDistributionPoint = try IssuingDistributionPoint(item)
        } else {
            issuingDistributionPoint = nil
        }
        if let item = value(Identifier.freshestCRL) {
            freshestURLs = try DistributionPoint.list(item.value).map(\.uris)
        } else {
            freshestURLs = []
        }
        let isIndirect = issuingDistributionPoint?.isIndirect == true
        var unknown: Set<String> = []
        try RevocationList.walk(der[entriesRange], issuer) { (_, _, extensions, _) throws(PKIError) in
            for item in extensions {
                // Section 5.3.3: only an indirect list may say so. Else the entries from here on would be moved to
                // another issuer, and what they revoke would be good.
                guard isIndirect || item.oid != Identifier.certificateIssuer else {
                    throw PKIError(
                        .malformed,
                        "an entry names the issuer of its certificate (certificateIssuer), and the list is not an "
                            + "indirect one")
                }
                if item.isCritical, !Entry.understood.contains(item.oid), unknown.count < 8 { unknown.insert(item.oid) }
            }
        }
        unknownCriticalEntryExtensions = unknown
    }

    /// What the list says about a serial number of an issuer, in its order; empty when nothing. With more than one
    /// entry the later ones may take back what the earlier ones say (`removeFromCRL`).
    ///
    /// - Parameters:
    ///   - serialNumber: the content octets of the serial number, as ``Certificate/serialNumber`` has them.
    ///   - certificateIssuer: who issued the certificate. It differs from the list's issuer in indirect lists only.
    public func entries(forSerialNumber serialNumber: [UInt8], issuedBy certificateIssuer: DistinguishedName)
        throws(PKIError)
        -> [Entry]
    {
        var found: [Entry] = []
        try RevocationList.walk(der[entriesRange], issuer) { (serial, current, extensions, date) throws(PKIError) in
            guard serial.elementsEqual(serialNumber), current == certificateIssuer else { return }
            found.append(try Entry(date: date, extensions: extensions))
        }
        return found
    }

    /// The numbers of entries.
    public var count: Int {
        var count = 0
        // It was walked through once without an error.
        try? RevocationList.walk(der[entriesRange], issuer) { _, _, _, _ in count += 1 }
        return count
    }

    /// Goes through the entries: serial number, issuer of the certificate, extensions and date.
    private static func walk(
        _ entries: ArraySlice<UInt8>, _ issuer: DistinguishedName,
        _ visit: (ArraySlice<UInt8>, DistinguishedName, [CertificateExtension], DERElement) throws(PKIError) -> Void
    ) throws(PKIError) {
        var reader = DERReader(entries)
        // Section 5.3.3: the issuer is that of the entry before where an entry does not name one.
        var current = issuer
        while !reader.isAtEnd {
            var fields = try reader.sequence()
            let serial = try fields.integer()
            let date = try fields.any()
            guard date.tag == DER.utcTime || date.tag == DER.generalizedTime else {
                throw DER.fault("has \(DER.name(of: date.tag)) where a time should be")
            }
            var extensions: [CertificateExtension] = []
            if let element = try fields.optional(DER.sequence) { extensions = try CertificateExtension.list(element) }
            try fields.end()
            if let named = extensions.first(where: { $0.oid == CertificateExtension.Identifier.certificateIssuer }) {
                current = try RevocationList.directoryName(named.value)
            }
            try visit(serial, current, extensions, date)
        }
    }

    private static func magnitude(_ item: CertificateExtension?) throws(PKIError) -> [UInt8]? {
        guard let item else { return nil }
        var reader = DERReader(item.value)
        let content = try reader.integer()
        try reader.end()
        guard let first = content.first, first < 0x80 else { throw DER.fault("has a negative number of a list") }
        return Array(content.drop { $0 == 0 })
    }

    /// The directory name among GeneralNames.
    private static func directoryName(_ value: [UInt8]) throws(PKIError) -> DistinguishedName {
        var outer = DERReader(value)
        var names = try outer.sequence()
        try outer.end()
        while !names.isAtEnd {
            let name = try names.any()
            guard name.tag == DER.contextConstructed(4) else { continue }
            var inner = name.reader
            let directoryName = try DistinguishedName(inner.element(DER.sequence))
            try inner.end()
            return directoryName
        }
        throw PKIError(.unsupported, "an entry names the issuer of its certificate without a directory name")
    }
}

extension RevocationList.IssuingDistributionPoint {
    init(_ item: CertificateExtension) throws(PKIError) {
        var outer = DERReader(item.value)
        var fields = try outer.sequence()
        try outer.end()
        let name = try fields.optional(DER.contextConstructed(0))
        isNamed = name != nil
        if let name { uris = try DistributionPoint.fullName(name) } else { uris = [] }
        onlyUserCertificates = try Self.flag(&fields, 1)
        onlyAuthorityCertificates = try Self.flag(&fields, 2)
        onlySomeReasons = try fields.optional(DER.context(3)) != nil
        isIndirect = try Self.flag(&fields, 4)
        onlyAttributeCertificates = try Self.flag(&fields, 5)
        try fields.end()
    }

    /// An implicitly tagged BOOLEAN that is false when it is not there.
    private static func flag(_ fields: inout DERReader, _ number: UInt8) throws(PKIError) -> Bool {
        guard let element = try fields.optional(DER.context(number)) else { return false }
        guard element.content.count == 1, let value = element.content.first, value == 0 || value == 0xFF else {
            throw DER.fault("has a BOOLEAN that is neither 00 nor FF")
        }
        return value == 0xFF
    }
}

extension RevocationList.Entry {
    init(date: DERElement, extensions: [CertificateExtension]) throws(PKIError) {
        typealias Identifier = CertificateExtension.Identifier
        revocationDate = try DER.time(date)
        var reason: Reason?
        var invalidityDate: Date?
        for item in extensions {
            switch item.oid {
            case Identifier.reasonCode:
                var reader = DERReader(item.value)
                let content = try DER.integerContent(reader.element(DER.enumerated).content)
                try reader.end()
                reason = Reason(rawValue: try DER.smallInteger(content))
            case Identifier.invalidityDate:
                var reader = DERReader(item.value)
                invalidityDate = try DER.time(reader.element(DER.generalizedTime))
                try reader.end()
            default: break
            }
        }
        self.reason = reason
        self.invalidityDate = invalidityDate
    }
}
