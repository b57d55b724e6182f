import Encoding
import FoundationEssentials

/// An OCSP response (RFC 6960, section 4.2): what a responder says of certificates. Nothing in it may be relied on
/// before ``verify(for:issuer:at:)`` accepted it.
public struct OCSPResponse: Sendable {
    /// How large a response may be.
    public static let maximumBytes = 1 << 20

    /// What is said of one certificate.
    public struct Single: Hashable, Sendable {
        /// The answer.
        public enum Status: Hashable, Sendable {
            /// It is not revoked.
            case good
            /// It was revoked.
            case revoked(Date, reason: RevocationList.Entry.Reason?)
            /// The responder does not know it.
            case unknown
        }

        /// Which certificate it is about.
        public let certificateID: OCSPCertificateID
        /// The answer.
        public let status: Status
        /// Since when the answer is known to be right.
        public let thisUpdate: Date
        /// When a newer answer will be there at the latest; nil where it does not say.
        public let nextUpdate: Date?
        /// Since when the key is known or suspected not to be trusted.
        public let invalidityDate: Date?
        /// Critical extensions that are not understood: the answer cannot be used then.
        public let unknownCriticalExtensions: [String]

        /// Whether it says that the certificate was revoked.
        public var isRevoked: Bool { if case .revoked = status { true } else { false } }
    }

    /// Who signed a response.
    public enum ResponderID: Hashable, Sendable {
        /// The subject of the responder's certificate.
        case name(DistinguishedName)
        /// The SHA-1 of the responder's key.
        case keyHash([UInt8])

        func matches(_ certificate: Certificate) -> Bool {
            switch self {
            case .name(let name): certificate.subject == name
            case .keyHash(let hash): (try? OpenSSL.digest(.sha1, of: certificate.publicKey.keyBytes)) == hash
            }
        }
    }

    /// Who signed it.
    public let responderID: ResponderID
    /// When it was signed.
    public let producedAt: Date
    /// What is said, of each certificate.
    public let responses: [Single]
    /// Critical extensions of the whole response that are not understood: it cannot be used then.
    public let unknownCriticalExtensions: [String]
    /// Certificates that came with it.
    public let certificates: [Certificate]
    /// How it was signed.
    public let signatureAlgorithm: SignatureAlgorithm
    private let signature: [UInt8]
    private let signedBytes: [UInt8]

    /// Reads a response from its DER. A response that says that the responder could not answer (`tryLater`,
    /// `unauthorized`, …) is an error of kind `missing`.
    public init(der: [UInt8]) throws(PKIError) {
        guard der.count <= OCSPResponse.maximumBytes else {
            throw PKIError(
                .tooLarge, "an OCSP response has \(der.count) bytes; at most \(OCSPResponse.maximumBytes) are accepted")
        }
        do { try self.init(checked: der) } catch {
            throw error.kind == .missing ? error : error.within("this is not an OCSP response")
        }
    }

    private init(checked der: [UInt8]) throws(PKIError) {
        var outer = DERReader(der)
        var response = try outer.sequence()
        try outer.end()
        let status = try DER.smallInteger(DER.integerContent(response.element(DER.enumerated).content))
        guard status == 0 else {
            let names = [1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"]
            throw PKIError(.missing, "the OCSP responder gave no answer: \(names[status] ?? "status \(status)")")
        }
        var wrapped = try response.element(DER.contextConstructed(0)).reader
        try response.end()
        var bytes = try wrapped.sequence()
        try wrapped.end()
        let type = try bytes.objectIdentifier()
        guard type == "1.3.6.1.5.5.7.48.1.1" else {
            throw PKIError(.unsupported, "its type is \(type), not the basic one")
        }
        var inner = DERReader(try bytes.octetString())
        try bytes.end()
        var basic = try inner.sequence()
        try inner.end()

        let signed = try basic.element(DER.sequence)
        signedBytes = Array(signed.encoded)
        signatureAlgorithm = try SignatureAlgorithm(basic.element(DER.sequence))
        signature = Array(try basic.octetAlignedBitString())
        var certificates: [Certificate] = []
        if let element = try basic.optional(DER.contextConstructed(0)) {
            var list = element.reader
            var items = try list.sequence()
            try list.end()
            while !items.isAtEnd {
                guard certificates.count < 16 else { throw PKIError(.tooLarge, "it has more than 16 certificates") }
                certificates.append(try Certificate(der: Array(items.any().encoded)))
            }
        }
        try basic.end()
        self.certificates = certificates

        var fields = signed.reader
        if let version = try fields.optional(DER.contextConstructed(0)) {
            var number = version.reader
            guard try number.smallInteger() == 0 else { throw PKIError(.unsupported, "its version is not 1") }
            try number.end()
        }
        let responder = try fields.any()
        var name = responder.reader
        switch responder.tag {
        case DER.contextConstructed(1): responderID = .name(try DistinguishedName(name.element(DER.sequence)))
        case DER.contextConstructed(2): responderID = .keyHash(Array(try name.octetString()))
        default: throw DER.fault("has \(DER.name(of: responder.tag)) where the responder should be named")
        }
        try name.end()
        producedAt = try DER.time(fields.element(DER.generalizedTime))
        var list = try fields.sequence()
        var responses: [Single] = []
        while !list.isAtEnd {
            guard responses.count < 1_000 else { throw PKIError(.tooLarge, "it has more than 1000 answers") }
            responses.append(try Single(list.element(DER.sequence)))
        }
        self.responses = responses
        unknownCriticalExtensions = try OCSPResponse.extensions(&fields).filter(\.isCritical).map(\.oid)
        try fields.end()
    }

    /// Extensions under the explicit tag 1.
    static func extensions(_ fields: inout DERReader) throws(PKIError) -> [CertificateExtension] {
        guard let element = try fields.optional(DER.contextConstructed(1)) else { return [] }
        var inner = element.reader
        let extensions = try CertificateExtension.list(inner.element(DER.sequence))
        try inner.end()
        return extensions
    }
}

extension OCSPResponse.Single {
    init(_ element: DERElement) throws(PKIError) {
        var fields = element.reader
        certificateID = try OCSPCertificateID(fields.element(DER.sequence))
        let answer = try fields.any()
        switch answer.tag {
        case DER.context(0): status = .good
        case DER.context(2): status = .unknown
        case DER.contextConstructed(1):
            var info = answer.reader
            let date = try DER.time(info.element(DER.generalizedTime))
            var reason: RevocationList.Entry.Reason?
            if let wrapped = try info.optional(DER.contextConstructed(0)) {
                var inner = wrapped.reader
                let number = try DER.smallInteger(DER.integerContent(inner.element(DER.enumerated).content))
                try inner.end()
                reason = RevocationList.Entry.Reason(rawValue: number)
            }
            try info.end()
            status = .revoked(date, reason: reason)
        default: throw DER.fault("has \(DER.name(of: answer.tag)) where a status should be")
        }
        guard !(answer.tag != DER.contextConstructed(1) && !answer.content.isEmpty) else {
            throw DER.fault("has a NULL with content")
        }
        thisUpdate = try DER.time(fields.element(DER.generalizedTime))
        var next: Date?
        if let wrapped = try fields.optional(DER.contextConstructed(0)) {
            var inner = wrapped.reader
            next = try DER.time(inner.element(DER.generalizedTime))
            try inner.end()
        }
        nextUpdate = next
        let extensions = try OCSPResponse.extensions(&fields)
        try fields.end()
        var invalidity: Date?
        var unknown: [String] = []
        for item in extensions {
            if item.oid == CertificateExtension.Identifier.invalidityDate {
                var reader = DERReader(item.value)
                invalidity = try DER.time(reader.element(DER.generalizedTime))
                try reader.end()
            } else if item.isCritical, item.oid != CertificateExtension.Identifier.reasonCode {
                unknown.append(item.oid)
            }
        }
        invalidityDate = invalidity
        unknownCriticalExtensions = unknown
    }
}

extension OCSPResponse {
    /// The answer about a certificate, after everything was checked but whether it is recent: the worst of
    /// ``answers(for:issuer:at:)``.
    public func verify(for certificate: Certificate, issuer: Certificate, at moment: Date) throws(PKIError) -> Single {
        let answers = try answers(for: certificate, issuer: issuer, at: moment)
        return answers.first { $0.isRevoked } ?? answers.first { $0.status == .unknown } ?? answers[0]
    }

    /// All answers about a certificate, at least one, after everything was checked but whether they are recent: the
    /// signature, that its signer may answer for the issuer, and that the answers are about this certificate of this
    /// issuer.
    ///
    /// The signer must be the issuer itself, or hold a certificate that the issuer signed for the purpose OCSPSigning
    /// and that is valid at the moment (RFC 6960, section 4.2.2.2).
    ///
    /// - Throws: ``PKIError`` that says which of these failed; kind `missing` when there is no answer for the
    ///   certificate.
    public func answers(
        for certificate: Certificate, issuer: Certificate, at moment: Date
    ) throws(PKIError) -> [Single] {
        guard !signatureAlgorithm.isWeak else {
            throw PKIError(.unsupported, "the OCSP response is signed with \(signatureAlgorithm), which is not secure")
        }
        try checkSigner(issuer: issuer, at: moment)
        let answers = responses.filter { $0.certificateID.matches(certificate, issuer: issuer) }
        guard !answers.isEmpty else {
            throw PKIError(.missing, "the OCSP response has no answer for the certificate \"\(certificate.subject)\"")
        }
        let unknown = unknownCriticalExtensions + answers.flatMap(\.unknownCriticalExtensions)
        guard unknown.isEmpty else {
            throw PKIError(
                .unsupported,
                "the OCSP response has critical extensions that are not understood: \(unknown.joined(separator: ", "))")
        }
        return answers
    }

    private func checkSigner(issuer: Certificate, at moment: Date) throws(PKIError) {
        func signed(_ certificate: Certificate) -> Bool {
            certificate.publicKey.isValidSignature(signature, over: signedBytes, algorithm: signatureAlgorithm)
        }
        if responderID.matches(issuer) {
            // The issuer's own certificate may come along, or another one of the same key: the key is what counts.
            guard signed(issuer) else {
                throw PKIError(
                    .badSignature, "the signature of the OCSP response is not by the issuer \"\(issuer.subject)\"")
            }
            return
        }
        guard let delegate = certificates.first(where: { responderID.matches($0) }) else {
            throw PKIError(
                .badSignature,
                "the OCSP response is neither by the issuer \"\(issuer.subject)\" nor by a responder whose certificate it has"
            )
        }
        let name = "the certificate \"\(delegate.subject)\" of the OCSP responder"
        guard delegate.issuer == issuer.subject, delegate.isSigned(by: issuer), !delegate.signatureAlgorithm.isWeak
        else {
            throw PKIError(.badSignature, "\(name) was not issued by \"\(issuer.subject)\"")
        }
        guard delegate.extendedKeyUsage?.contains(ExtendedKeyUsage.ocspSigning) == true else {
            throw PKIError(.mismatch, "\(name) is not for OCSP signing: its extended key usage lacks OCSPSigning")
        }
        if let usage = delegate.keyUsage, !usage.contains(.digitalSignature) {
            throw PKIError(.mismatch, "\(name) is not for signatures: its key usage lacks digitalSignature")
        }
        guard delegate.isValid(at: moment) else {
            throw PKIError(
                .mismatch,
                "\(name) is valid from \(UTC.text(delegate.notBefore)) to \(UTC.text(delegate.notAfter)), not now")
        }
        guard signed(delegate) else {
            throw PKIError(.badSignature, "the signature of the OCSP response is not by \"\(delegate.subject)\"")
        }
    }
}
