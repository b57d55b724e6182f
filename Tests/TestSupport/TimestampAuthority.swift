import Encoding
import Foundation
import PKI

/// A timestamp authority in the test's process. Everything it writes can be made wrong.
package struct TimestampAuthority: Sendable {
    /// The certificate and key that sign.
    package var signer: Identity
    /// The certificates to send along.
    package var certificates: [Certificate]
    package var policy = "1.2.3.4"
    package var time = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
    /// The fraction of the second as it is written, such as ".5".
    package var fraction = ""
    /// Seconds, milliseconds, microseconds.
    package var accuracy: (Int, Int, Int)?
    package var imprintHash = HashAlgorithm.sha256
    package var digest = HashAlgorithm.sha256
    package var scheme: SignatureAlgorithm.Scheme?
    package var nonce: [UInt8]?
    package var infoExtensions: [TestExtension] = []
    /// The certificate whose hash is signed; the signer's when nil.
    package var namedCertificate: Certificate?
    /// The object identifier of the attribute that names the certificate; version 2 by default.
    package var namingAttribute = "1.2.840.113549.1.9.16.2.47"

    package init(_ signer: Identity) {
        self.signer = signer
        certificates = signer.chain
    }

    /// A token over a message.
    package func token(over message: [UInt8]) throws -> [UInt8] {
        try token(imprint: digest(imprintHash, message))
    }

    /// A token over a hash.
    package func token(imprint: [UInt8]) throws -> [UInt8] {
        var times = DERWriter.generalizedTime(time)
        if !fraction.isEmpty {
            let text = UTC.text(time).utf8.filter { (0x30...0x39).contains($0) }
            times = DERWriter.element(DER.generalizedTime, text + Array(fraction.utf8) + [UInt8(ascii: "Z")])
        }
        var fields = [
            DERWriter.integer(1), DERWriter.objectIdentifier(policy),
            DERWriter.sequence([SignatureAlgorithm.encoded(imprintHash), DERWriter.octetString(imprint)]),
            DERWriter.integer(77), times,
        ]
        if let (seconds, milliseconds, microseconds) = accuracy {
            func part(_ number: UInt8, _ value: Int) -> [UInt8] {
                value == 0 ? [] : [DER.context(number)] + DERWriter.integer(value).dropFirst()
            }
            fields.append(
                DERWriter.sequence([
                    seconds == 0 ? [] : DERWriter.integer(seconds), part(0, milliseconds), part(1, microseconds),
                ]))
        }
        if let nonce { fields.append(DERWriter.integer(magnitude: nonce)) }
        if !infoExtensions.isEmpty { fields.append(DERWriter.explicit(1, infoExtensions.flatMap(\.encoded))) }
        let info = DERWriter.sequence(fields)

        let infoType = DERWriter.objectIdentifier("1.2.840.113549.1.9.16.1.4")
        func attribute(_ oid: String, _ value: [UInt8]) -> [UInt8] {
            DERWriter.sequence([DERWriter.objectIdentifier(oid), DERWriter.set([value])])
        }
        let named = try digest(.sha256, (namedCertificate ?? signer.certificate).der)
        let attributes = DERWriter.set([
            attribute("1.2.840.113549.1.9.3", infoType),
            attribute("1.2.840.113549.1.9.4", DERWriter.octetString(try digest(digest, info))),
            attribute(
                namingAttribute,
                DERWriter.sequence([DERWriter.sequence([DERWriter.sequence([DERWriter.octetString(named)])])])),
        ])
        let scheme = self.scheme ?? signer.key.publicKey.usualScheme
        guard let algorithm = SignatureAlgorithm(scheme) else { throw PKIError(.unsupported, "no such algorithm") }
        let signerInfo = DERWriter.sequence([
            DERWriter.integer(1),
            DERWriter.sequence([
                signer.certificate.issuer.der, DERWriter.element(DER.integer, signer.certificate.serialNumber),
            ]),
            SignatureAlgorithm.encoded(digest), [DER.contextConstructed(0)] + attributes.dropFirst(), algorithm.der,
            DERWriter.octetString(try signer.key.signature(over: attributes, scheme: scheme)),
        ])
        return DERWriter.sequence([
            DERWriter.objectIdentifier("1.2.840.113549.1.7.2"),
            DERWriter.explicit(
                0,
                DERWriter.sequence([
                    DERWriter.integer(3), DERWriter.set([SignatureAlgorithm.encoded(digest)]),
                    DERWriter.sequence([infoType, DERWriter.explicit(0, DERWriter.octetString(info))]),
                    certificates.isEmpty ? [] : DERWriter.explicit(0, certificates.flatMap(\.der)),
                    DERWriter.set([signerInfo]),
                ])),
        ])
    }

    private func digest(_ hash: HashAlgorithm, _ bytes: [UInt8]) throws -> [UInt8] { try hash.digest(of: bytes) }
}
