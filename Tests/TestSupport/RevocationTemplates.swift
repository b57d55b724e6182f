import Foundation
import PKI

/// What a revocation list for a test should say.
package struct RevocationListTemplate: Sendable {
    /// One revoked certificate.
    package struct Entry: Sendable {
        package var serialNumber: [UInt8]
        package var date = Date(timeIntervalSinceNow: -3_600)
        package var extensions: [TestExtension] = []

        package init(
            _ certificate: Certificate, reason: RevocationList.Entry.Reason? = nil, invalidityDate: Date? = nil,
            extensions: [TestExtension] = []
        ) {
            serialNumber = certificate.serialNumber
            self.extensions = extensions
            if let reason {
                self.extensions.append(
                    TestExtension(
                        oid: CertificateExtension.Identifier.reasonCode, isCritical: false,
                        value: DERWriter.element(DER.enumerated, [UInt8(reason.rawValue)])))
            }
            if let invalidityDate {
                self.extensions.append(
                    TestExtension(
                        oid: CertificateExtension.Identifier.invalidityDate, isCritical: false,
                        value: DERWriter.generalizedTime(invalidityDate)))
            }
        }
    }

    package var entries: [Entry]
    package var thisUpdate = Date(timeIntervalSinceNow: -3_600)
    package var nextUpdate: Date? = Date(timeIntervalSinceNow: 86_400)
    package var extensions: [TestExtension]
    /// How it is signed; as its key usually does when nil.
    package var scheme: SignatureAlgorithm.Scheme?

    package init(_ entries: [Entry] = [], number: Int = 1, extensions: [TestExtension] = []) {
        self.entries = entries
        self.extensions =
            [
                TestExtension(
                    oid: CertificateExtension.Identifier.crlNumber, isCritical: false, value: DERWriter.integer(number))
            ] + extensions
    }

    /// The DER of the list, signed by an authority.
    package func sign(by authority: CertificateAuthority) throws -> [UInt8] {
        let scheme = scheme ?? authority.key.publicKey.usualScheme
        guard let algorithm = SignatureAlgorithm(scheme) else { throw PKIError(.unsupported, "no such algorithm") }
        var fields = [
            DERWriter.integer(1), algorithm.der, authority.certificate.subject.der, DERWriter.time(thisUpdate),
        ]
        if let nextUpdate { fields.append(DERWriter.time(nextUpdate)) }
        if !entries.isEmpty {
            fields.append(
                DERWriter.sequence(
                    entries.map { entry in
                        DERWriter.sequence(
                            [DERWriter.element(DER.integer, entry.serialNumber), DERWriter.time(entry.date)]
                                + (entry.extensions.isEmpty
                                    ? [] : [DERWriter.sequence(entry.extensions.map(\.encoded))]))
                    }))
        }
        fields.append(DERWriter.explicit(0, DERWriter.sequence(extensions.map(\.encoded))))
        let signed = DERWriter.sequence(fields)
        return DERWriter.sequence([
            signed, algorithm.der, DERWriter.bitString(try authority.key.signature(over: signed, scheme: scheme)),
        ])
    }
}

/// What an OCSP response for a test should say of one certificate.
package struct OCSPResponseTemplate: Sendable {
    package var status: OCSPResponse.Single.Status
    package var thisUpdate = Date(timeIntervalSinceNow: -3_600)
    package var nextUpdate: Date? = Date(timeIntervalSinceNow: 86_400)
    package var extensions: [TestExtension] = []
    package var hash = HashAlgorithm.sha1
    package var namesResponderByKey = false
    /// The certificates to send along.
    package var certificates: [Certificate] = []
    /// How it is signed; as the key usually does when nil.
    package var scheme: SignatureAlgorithm.Scheme?
    /// When it was signed; `thisUpdate` when nil.
    package var producedAt: Date?
    /// What else is said of the same certificate, after this.
    package var others: [OCSPResponseTemplate] = []

    package init(_ status: OCSPResponse.Single.Status) { self.status = status }

    /// The DER of the response about a certificate of an issuer, signed by a responder.
    package func sign(_ certificate: Certificate, issuer: Certificate, by responder: Identity) throws -> [UInt8] {
        let scheme = scheme ?? responder.key.publicKey.usualScheme
        guard let algorithm = SignatureAlgorithm(scheme) else { throw PKIError(.unsupported, "no such algorithm") }
        let request = try OCSPRequest(for: certificate, issuer: issuer, hash: hash)
        // CertID is the only thing in the only request.
        var reader = DERReader(request.der)
        for _ in 0..<4 { reader = try reader.sequence() }
        let identifier = Array(try reader.any().encoded)
        let signed = DERWriter.sequence([
            namesResponderByKey
                ? DERWriter.explicit(2, DERWriter.octetString(try certificateKeyHash(responder.certificate)))
                : DERWriter.explicit(1, responder.certificate.subject.der),
            DERWriter.generalizedTime(producedAt ?? thisUpdate),
            DERWriter.sequence(([self] + others).map { $0.single(identifier) }),
        ])
        var basic = [
            signed, algorithm.der, DERWriter.bitString(try responder.key.signature(over: signed, scheme: scheme)),
        ]
        if !certificates.isEmpty { basic.append(DERWriter.explicit(0, DERWriter.sequence(certificates.map(\.der)))) }
        return DERWriter.sequence([
            DERWriter.element(DER.enumerated, [0]),
            DERWriter.explicit(
                0,
                DERWriter.sequence([
                    DERWriter.objectIdentifier("1.3.6.1.5.5.7.48.1.1"),
                    DERWriter.octetString(DERWriter.sequence(basic)),
                ])),
        ])
    }

    /// What is said of the certificate of an identifier.
    private func single(_ identifier: [UInt8]) -> [UInt8] {
        var single = [identifier]
        switch status {
        case .good: single.append(DERWriter.element(DER.context(0), []))
        case .unknown: single.append(DERWriter.element(DER.context(2), []))
        case .revoked(let date, let reason):
            var content = DERWriter.generalizedTime(date)
            if let reason {
                content += DERWriter.explicit(0, DERWriter.element(DER.enumerated, [UInt8(reason.rawValue)]))
            }
            single.append(DERWriter.explicit(1, content))
        }
        single.append(DERWriter.generalizedTime(thisUpdate))
        if let nextUpdate { single.append(DERWriter.explicit(0, DERWriter.generalizedTime(nextUpdate))) }
        if !extensions.isEmpty {
            single.append(DERWriter.explicit(1, DERWriter.sequence(extensions.map(\.encoded))))
        }
        return DERWriter.sequence(single)
    }

    /// SHA-1 of the key, by way of the identifier that names an issuer.
    private func certificateKeyHash(_ certificate: Certificate) throws -> [UInt8] {
        try OCSPCertificateID(of: certificate, issuer: certificate, hash: .sha1).issuerKeyHash
    }
}
