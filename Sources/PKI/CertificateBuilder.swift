import Crypto
import FoundationEssentials

/// Makes certificates for a service's own TLS: an authority, and servers below it (RFC 5280, section 4).
package struct CertificateBuilder: Sendable {
    /// The first and the last moment of validity.
    package var validity: ClosedRange<Date>

    /// A builder of certificates with this validity.
    package init(validity: ClosedRange<Date>) { self.validity = validity }

    /// A self-signed authority that signs servers' certificates and nothing else.
    package func authority(commonName: String, organization: String, key: PrivateKey) throws(PKIError) -> Certificate {
        let name = CertificateBuilder.name(commonName: commonName, organization: organization)
        let identifier = CertificateBuilder.identifier(of: key.publicKey)
        return try certificate(
            subject: name, key: key.publicKey, issuer: name, signer: key,
            extensions: [
                // An authority, of no other authorities.
                encode(
                    CertificateExtension.Identifier.basicConstraints, isCritical: true,
                    DERWriter.sequence([DERWriter.boolean(true), DERWriter.integer(0)])),
                // keyCertSign and cRLSign: bits 5 and 6.
                encode(CertificateExtension.Identifier.keyUsage, isCritical: true, [DER.bitString, 2, 1, 0x06]),
                encode(
                    CertificateExtension.Identifier.subjectKeyIdentifier, isCritical: false,
                    DERWriter.octetString(identifier)),
            ])
    }

    /// A server with these DNS names, the first one its common name.
    package func server(
        names: [String], key: PublicKey, issuer: Certificate, issuerKey: PrivateKey
    ) throws(PKIError) -> Certificate {
        guard let first = names.first, names.allSatisfy({ $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }) else {
            throw PKIError(.malformed, "a server's certificate needs names in ASCII")
        }
        var extensions = [
            encode(CertificateExtension.Identifier.basicConstraints, isCritical: true, DERWriter.sequence([])),
            // digitalSignature: bit 0.
            encode(CertificateExtension.Identifier.keyUsage, isCritical: true, [DER.bitString, 2, 7, 0x80]),
            encode(
                CertificateExtension.Identifier.extendedKeyUsage, isCritical: false,
                DERWriter.sequence([DERWriter.objectIdentifier("1.3.6.1.5.5.7.3.1")])),
            encode(
                CertificateExtension.Identifier.subjectAlternativeName, isCritical: false,
                DERWriter.sequence(names.map { DERWriter.element(DER.context(2), Array($0.utf8)) })),
            encode(
                CertificateExtension.Identifier.subjectKeyIdentifier, isCritical: false,
                DERWriter.octetString(CertificateBuilder.identifier(of: key))),
        ]
        if let identifier = issuer.subjectKeyIdentifier {
            extensions.append(
                encode(
                    CertificateExtension.Identifier.authorityKeyIdentifier, isCritical: false,
                    DERWriter.sequence([DERWriter.element(DER.context(0), identifier)])))
        }
        // Of a common name longer than 64 characters (RFC 5280, upper bounds) the names are enough.
        let subject = CertificateBuilder.name(commonName: String(first.prefix(64)), organization: nil)
        return try certificate(
            subject: subject, key: key, issuer: issuer.subject.der, signer: issuerKey, extensions: extensions)
    }

    private func certificate(
        subject: [UInt8], key: PublicKey, issuer: [UInt8], signer: PrivateKey, extensions: [[UInt8]]
    ) throws(PKIError) -> Certificate {
        let scheme: SignatureAlgorithm.Scheme
        switch signer.publicKey.kind {
        case .rsa: scheme = .rsaPKCS1(.sha256)
        case .ec(.p384): scheme = .ecdsa(.sha384)
        case .ec(.p521): scheme = .ecdsa(.sha512)
        case .ec: scheme = .ecdsa(.sha256)
        case .other:
            throw PKIError(.unsupported, "a key of the kind \(signer.publicKey.kind) cannot sign a certificate")
        }
        guard let algorithm = SignatureAlgorithm(scheme) else {
            throw PKIError(.unsupported, "certificates cannot be signed with \(scheme)")
        }
        // 126 bits by chance, positive and not zero (RFC 5280, section 4.1.2.2).
        let serial = [UInt8.random(in: 0x40...0x7F)] + (0..<15).map { _ in UInt8.random(in: 0...255) }
        let signed = DERWriter.sequence([
            DERWriter.explicit(0, DERWriter.integer(2)), DERWriter.integer(magnitude: serial), algorithm.der, issuer,
            DERWriter.sequence([DERWriter.time(validity.lowerBound), DERWriter.time(validity.upperBound)]), subject,
            key.spkiDER, DERWriter.explicit(3, DERWriter.sequence(extensions)),
        ])
        let signature = try signer.signature(over: signed, scheme: scheme)
        return try Certificate(der: DERWriter.sequence([signed, algorithm.der, DERWriter.bitString(signature)]))
    }

    private func encode(_ oid: String, isCritical: Bool, _ value: [UInt8]) -> [UInt8] {
        DERWriter.sequence(
            [DERWriter.objectIdentifier(oid)] + (isCritical ? [DERWriter.boolean(true)] : [])
                + [DERWriter.octetString(value)])
    }

    private static func name(commonName: String, organization: String?) -> [UInt8] {
        func attribute(_ oid: String, _ value: String) -> [UInt8] {
            DERWriter.set([
                DERWriter.sequence([
                    DERWriter.objectIdentifier(oid), DERWriter.element(DER.utf8String, Array(value.utf8)),
                ])
            ])
        }
        return DERWriter.sequence(
            (organization.map { [attribute("2.5.4.10", $0)] } ?? []) + [attribute("2.5.4.3", commonName)])
    }

    /// RFC 7093, section 2, method 1, over the whole SubjectPublicKeyInfo.
    private static func identifier(of key: PublicKey) -> [UInt8] { Array(SHA256.hash(data: key.spkiDER).prefix(20)) }
}

extension Certificate {
    /// The DNS names that this certificate is for.
    package var dnsNames: [String] {
        guard let value = extensionValue(CertificateExtension.Identifier.subjectAlternativeName)?.value else {
            return []
        }
        var outer = DERReader(value)
        guard let list = try? outer.element(DER.sequence) else { return [] }
        var names: [String] = []
        var reader = list.reader
        while !reader.isAtEnd, let name = try? reader.any() {
            if name.tag == DER.context(2) { names.append(String(decoding: name.bytes, as: UTF8.self)) }
        }
        return names
    }
}
