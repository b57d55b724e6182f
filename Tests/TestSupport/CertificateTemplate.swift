import Foundation
import PKI

/// What a certificate for a test should say. Everything can be set, wrong things too.
package struct CertificateTemplate: Sendable {
    /// The subject, most general part first: `[("C", "US"), ("CN", "x")]`. Types are short names or OIDs.
    package var subject: [(type: String, value: String)]
    /// The subject's Name as DER, instead of ``subject``.
    package var subjectDER: [UInt8]?
    /// The issuer's Name as DER, instead of the real issuer's.
    package var issuerDER: [UInt8]?
    /// The magnitude of the serial number; random when nil.
    package var serialNumber: [UInt8]?
    package var notBefore: Date
    package var notAfter: Date
    package var version = 3
    package var extensions: [TestExtension]
    /// The signature algorithm; nil = the usual one of the issuer's key.
    package var scheme: SignatureAlgorithm.Scheme?

    package init(
        subject: [(type: String, value: String)], extensions: [TestExtension] = [],
        scheme: SignatureAlgorithm.Scheme? = nil,
        notBefore: Date = Date(timeIntervalSinceNow: -86_400), notAfter: Date = Date(timeIntervalSinceNow: 86_400 * 365)
    ) {
        self.subject = subject
        self.extensions = extensions
        self.scheme = scheme
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// A subject as trust policies want it: country, state, organization and a common name.
    package static func name(_ commonName: String) -> [(type: String, value: String)] {
        [("C", "US"), ("ST", "WA"), ("O", "Countersign Tests"), ("CN", commonName)]
    }

    /// A certificate authority: basic constraints and key usage as the signature specification asks.
    package static func authority(_ commonName: String, pathLength: Int? = nil) -> CertificateTemplate {
        CertificateTemplate(
            subject: name(commonName),
            extensions: [.basicConstraints(isCA: true, pathLength: pathLength), .keyUsage([.keyCertSign, .cRLSign])])
    }

    /// A code signing leaf as the signature specification asks.
    package static func codeSigning(_ commonName: String) -> CertificateTemplate {
        CertificateTemplate(
            subject: name(commonName),
            extensions: [
                .basicConstraints(isCA: false), .keyUsage([.digitalSignature]),
                .extendedKeyUsage([ExtendedKeyUsage.codeSigning]),
            ])
    }

    /// A timestamping leaf (RFC 3161, section 2.3).
    package static func timestamping(_ commonName: String) -> CertificateTemplate {
        CertificateTemplate(
            subject: name(commonName),
            extensions: [
                .keyUsage([.digitalSignature]), .extendedKeyUsage([ExtendedKeyUsage.timeStamping], isCritical: true),
            ])
    }

    /// A TLS server.
    package static func server(_ commonName: String, dns: [String] = ["localhost"], ip: [[UInt8]] = [[127, 0, 0, 1]])
        -> CertificateTemplate
    {
        CertificateTemplate(
            subject: name(commonName),
            extensions: [
                .keyUsage([.digitalSignature]), .extendedKeyUsage([ExtendedKeyUsage.serverAuth]),
                .subjectAlternativeName(dns: dns, ip: ip),
            ])
    }

    /// A TLS client.
    package static func client(_ commonName: String) -> CertificateTemplate {
        CertificateTemplate(
            subject: name(commonName),
            extensions: [.keyUsage([.digitalSignature]), .extendedKeyUsage([ExtendedKeyUsage.clientAuth])])
    }

    /// The DER of a Name.
    package static func encode(_ name: [(type: String, value: String)]) -> [UInt8] {
        let types = [
            "C": "2.5.4.6", "ST": "2.5.4.8", "L": "2.5.4.7", "STREET": "2.5.4.9", "POSTALCODE": "2.5.4.17",
            "O": "2.5.4.10", "OU": "2.5.4.11", "CN": "2.5.4.3", "SERIALNUMBER": "2.5.4.5",
        ]
        return DERWriter.sequence(
            name.map { attribute in
                let value = DERWriter.element(
                    attribute.type == "C" ? DER.printableString : DER.utf8String, Array(attribute.value.utf8))
                return DERWriter.set([
                    DERWriter.sequence([
                        DERWriter.objectIdentifier(types[attribute.type] ?? attribute.type), value,
                    ])
                ])
            })
    }

    /// The DER of a certificate for a key, signed by another one.
    package func sign(for subjectKey: PublicKey, issuer: [UInt8], by signer: PrivateKey) throws -> [UInt8] {
        let scheme = self.scheme ?? signer.publicKey.usualScheme
        guard let algorithm = SignatureAlgorithm(scheme) else { throw PKIError(.unsupported, "no such algorithm") }
        let random = [0x40] + (0..<15).map { _ in UInt8.random(in: 0...255) }
        var fields: [[UInt8]] = []
        if version != 1 { fields.append(DERWriter.explicit(0, DERWriter.integer(version - 1))) }
        fields += [
            DERWriter.integer(magnitude: serialNumber ?? random), algorithm.der, issuerDER ?? issuer,
            DERWriter.sequence([DERWriter.time(notBefore), DERWriter.time(notAfter)]),
            subjectDER ?? CertificateTemplate.encode(subject), subjectKey.spkiDER,
        ]
        if !extensions.isEmpty {
            fields.append(DERWriter.explicit(3, DERWriter.sequence(extensions.map(\.encoded))))
        }
        let signed = DERWriter.sequence(fields)
        let signature = try signer.signature(over: signed, scheme: scheme)
        return DERWriter.sequence([signed, algorithm.der, DERWriter.bitString(signature)])
    }
}

extension PublicKey {
    /// The signature algorithm that goes with a key of this kind.
    package var usualScheme: SignatureAlgorithm.Scheme {
        switch kind {
        case .rsa: .rsaPKCS1(.sha256)
        case .ec(.p384): .ecdsa(.sha384)
        case .ec(.p521): .ecdsa(.sha512)
        case .ec: .ecdsa(.sha256)
        case .other("Ed25519"): .ed25519
        case .other: .other
        }
    }
}

/// An extension for a test certificate.
package struct TestExtension: Sendable {
    package var oid: String
    package var isCritical: Bool
    package var value: [UInt8]

    package init(oid: String, isCritical: Bool, value: [UInt8]) {
        self.oid = oid
        self.isCritical = isCritical
        self.value = value
    }

    package var encoded: [UInt8] {
        DERWriter.sequence(
            [DERWriter.objectIdentifier(oid)] + (isCritical ? [DERWriter.boolean(true)] : [])
                + [DERWriter.octetString(value)])
    }

    package static func basicConstraints(isCA: Bool, pathLength: Int? = nil, isCritical: Bool = true) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.basicConstraints, isCritical: isCritical,
            value: DERWriter.sequence(
                (isCA ? [DERWriter.boolean(true)] : []) + (pathLength.map { [DERWriter.integer($0)] } ?? [])))
    }

    package static func keyUsage(_ usages: Set<KeyUsage.Usage>, isCritical: Bool = true) -> TestExtension {
        var bits: [UInt8] = [0, 0]
        for usage in usages { bits[usage.rawValue / 8] |= 0x80 >> UInt8(usage.rawValue % 8) }
        if bits[1] == 0 { bits.removeLast() }
        // DER: a named bit list has no trailing zero bits.
        let unused = usages.isEmpty ? 0 : UInt8(bits[bits.count - 1].trailingZeroBitCount)
        return TestExtension(
            oid: CertificateExtension.Identifier.keyUsage, isCritical: isCritical,
            value: DERWriter.element(DER.bitString, [unused] + (usages.isEmpty ? [] : bits)))
    }

    package static func extendedKeyUsage(_ purposes: [String], isCritical: Bool = false) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.extendedKeyUsage, isCritical: isCritical,
            value: DERWriter.sequence(purposes.map(DERWriter.objectIdentifier)))
    }

    package static func subjectAlternativeName(dns: [String] = [], ip: [[UInt8]] = []) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.subjectAlternativeName, isCritical: false,
            value: DERWriter.sequence(
                dns.map { DERWriter.element(DER.context(2), Array($0.utf8)) }
                    + ip.map { DERWriter.element(DER.context(7), $0) }))
    }

    package static func ocsp(_ urls: [String]) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.authorityInformationAccess, isCritical: false,
            value: DERWriter.sequence(
                urls.map {
                    DERWriter.sequence([DERWriter.objectIdentifier("1.3.6.1.5.5.7.48.1"), uri($0)])
                }))
    }

    /// One distribution point for each URL.
    package static func crlDistributionPoints(_ urls: [String]) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.crlDistributionPoints, isCritical: false,
            value: DERWriter.sequence(
                urls.map { DERWriter.sequence([DERWriter.explicit(0, DERWriter.explicit(0, uri($0)))]) }))
    }

    package static func subjectKeyIdentifier(_ identifier: [UInt8]) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.subjectKeyIdentifier, isCritical: false,
            value: DERWriter.octetString(identifier))
    }

    package static func authorityKeyIdentifier(_ identifier: [UInt8]) -> TestExtension {
        TestExtension(
            oid: CertificateExtension.Identifier.authorityKeyIdentifier, isCritical: false,
            value: DERWriter.sequence([DERWriter.element(DER.context(0), identifier)]))
    }

    private static func uri(_ text: String) -> [UInt8] { DERWriter.element(DER.context(6), Array(text.utf8)) }
}
