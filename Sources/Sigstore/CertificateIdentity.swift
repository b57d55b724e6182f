import Expressions
import PKI
import Quotation

/// Who a certificate says signed: its names, and who vouched for them.
public struct SignerIdentity: Hashable, Sendable {
    /// The kinds of names.
    public enum NameKind: String, Hashable, Sendable {
        /// A URI: a workflow, a SPIFFE identity.
        case uri
        /// An e-mail address.
        case email
        /// Fulcio's `otherName`: a user name.
        case otherName
    }

    /// One name.
    public struct Name: Hashable, Sendable {
        /// Its kind.
        public let kind: NameKind
        /// Its text.
        public let text: String
    }

    /// The subject alternative names of these kinds.
    public let names: [Name]
    /// Who issued the token that the certificate was given for; nil when the certificate does not say.
    public let issuer: String?
    /// The other extensions.
    public let extensions: [FulcioExtension: String]

    /// The name for a message: the first one.
    public var name: String { names.first?.text ?? "" }

    /// Reads a certificate.
    public init(_ certificate: Certificate) throws(IdentityError) {
        do throws(PKIError) {
            names = try Self.names(in: certificate)
            issuer = try FulcioExtension.issuer.value(in: certificate)
            var extensions: [FulcioExtension: String] = [:]
            for name in FulcioExtension.allCases { extensions[name] = try name.value(in: certificate) }
            self.extensions = extensions
        } catch {
            throw IdentityError(.malformed, "the identity in the signing certificate cannot be read: \(error)")
        }
    }

    private static func names(in certificate: Certificate) throws(PKIError) -> [Name] {
        guard let source = certificate.extensionValue(CertificateExtension.Identifier.subjectAlternativeName) else {
            return []
        }
        var outer = DERReader(source.value)
        var items = try outer.sequence()
        try outer.end()
        var names: [Name] = []
        while !items.isAtEnd {
            let item = try items.any()
            guard names.count < 64 else { throw PKIError(.tooLarge, "there are more than 64 names") }
            switch item.tag {
            case DER.context(1): names.append(Name(kind: .email, text: try ascii(item.content)))
            case DER.context(6): names.append(Name(kind: .uri, text: try ascii(item.content)))
            case DER.contextConstructed(0):
                if let text = try otherName(item.reader) { names.append(Name(kind: .otherName, text: text)) }
            default: break
            }
        }
        return names
    }

    /// Fulcio's `otherName` (1.3.6.1.4.1.57264.1.7); nil for one of another type.
    private static func otherName(_ source: DERReader) throws(PKIError) -> String? {
        var reader = source
        guard try reader.objectIdentifier() == "1.3.6.1.4.1.57264.1.7" else { return nil }
        var wrapped = try reader.element(DER.contextConstructed(0)).reader
        try reader.end()
        let text = try wrapped.element(DER.utf8String)
        try wrapped.end()
        guard let name = String(validating: text.content, as: UTF8.self) else {
            throw PKIError(.malformed, "a name is not UTF-8")
        }
        return name
    }

    private static func ascii(_ bytes: ArraySlice<UInt8>) throws(PKIError) -> String {
        guard bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw PKIError(.malformed, "a name has characters that are not printable ASCII")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What a text in a certificate must be.
public enum TextMatch: Hashable, Sendable, CustomStringConvertible {
    /// Exactly this, byte for byte.
    case exactly(String)
    /// A whole text that the expression describes.
    case matching(WholeExpression)

    /// Whether a text matches.
    public func accepts(_ text: String) -> Bool {
        switch self {
        case .exactly(let wanted): isSame(wanted, text)
        case .matching(let expression): expression.matches(text)
        }
    }

    /// What is wanted, for a person.
    public var description: String {
        switch self {
        case .exactly(let text): "\"\(text.quoted)\""
        case .matching(let expression): "the expression \"\(expression.pattern.quoted)\""
        }
    }
}

/// An identity that a policy accepts: the name, who vouched for it, and whatever else must be in the certificate.
public struct CertificateIdentity: Hashable, Sendable {
    /// What one of the subject alternative names must be.
    public var name: TextMatch
    /// What the issuer must be.
    public var issuer: TextMatch
    /// What further extensions must be.
    public var extensions: [FulcioExtension: TextMatch]

    /// An identity.
    public init(name: TextMatch, issuer: TextMatch, extensions: [FulcioExtension: TextMatch] = [:]) {
        self.name = name
        self.issuer = issuer
        self.extensions = extensions
    }

    /// Whether a signer is this one.
    public func accepts(_ signer: SignerIdentity) -> Bool {
        signer.names.contains { name.accepts($0.text) } && signer.issuer.map(issuer.accepts) ?? false
            && extensions.allSatisfy { name, wanted in signer.extensions[name].map(wanted.accepts) ?? false }
    }

    /// Why a signer is not this one, for a message; nil when it is.
    func mismatch(_ signer: SignerIdentity) -> String? {
        guard signer.names.contains(where: { name.accepts($0.text) }) else {
            let found = signer.names.map { "\"\($0.text.quoted)\"" }.joined(separator: ", ")
            return "the name is \(found), not \(name)"
        }
        guard let stated = signer.issuer else { return "the certificate names no issuer; wanted is \(issuer)" }
        guard issuer.accepts(stated) else { return "the issuer is \"\(stated.quoted)\", not \(issuer)" }
        for (name, wanted) in extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            guard let value = signer.extensions[name] else {
                return "the certificate has no \(name.rawValue); wanted is \(wanted)"
            }
            guard wanted.accepts(value) else { return "\(name.rawValue) is \"\(value.quoted)\", not \(wanted)" }
        }
        return nil
    }

    /// What is dangerous about the identity: expressions that match anybody. Empty when nothing is.
    public var warnings: [String] {
        var warnings: [String] = []
        let parts = [("name", name), ("issuer", issuer)] + extensions.map { ($0.key.rawValue, $0.value) }
        for (part, wanted) in parts.sorted(by: { $0.0 < $1.0 }) {
            if case .matching(let expression) = wanted, expression.matchesAnything {
                warnings.append(
                    "the expression \"\(expression.pattern.quoted)\" for the \(part) matches anything: name what it must be"
                )
            }
        }
        return warnings
    }
}
