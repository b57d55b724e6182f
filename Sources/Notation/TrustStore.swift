import PKI
import Quotation

/// The types of trust stores (trust store and trust policy specification, "Trust Store").
public enum TrustStoreType: String, Hashable, Sendable, CaseIterable {
    /// Certificate authorities whose users sign.
    case ca
    /// Signing authorities.
    case signingAuthority
    /// Timestamp authorities.
    case tsa
}

/// A trust store as a policy names it: `ca:name`.
public struct TrustStoreName: Hashable, Sendable, CustomStringConvertible {
    /// The type.
    public let type: TrustStoreType
    /// The name within the type.
    public let name: String

    /// A name of a type.
    ///
    /// - Throws: ``TrustPolicyError`` when the name has other characters than letters, digits, `_`, `.` and `-`. `.`
    ///   and `..` are refused too, since stores are directories; the reference implementation takes them.
    public init(_ type: TrustStoreType, _ name: String) throws(TrustPolicyError) {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
            }
        }
        guard isPlain, !name.isEmpty, name != ".", name != ".." else {
            throw TrustPolicyError(
                "\"\(name.quoted)\" is not a name of a trust store; expected letters, digits, \"_\", \".\" and \"-\""
            )
        }
        self.type = type
        self.name = name
    }

    /// Parses `type:name`.
    public init(parsing text: String) throws(TrustPolicyError) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw TrustPolicyError("the trust store \"\(text.quoted)\" is not type:name, for example \"ca:acme\"")
        }
        guard let type = TrustStoreType(rawValue: String(text[..<colon])) else {
            throw TrustPolicyError(
                "the trust store \"\(text.quoted)\" is of an unknown type; expected ca, signingAuthority or tsa")
        }
        try self.init(type, String(text[text.index(after: colon)...]))
    }

    /// `type:name`.
    public var description: String { "\(type.rawValue):\(name)" }
}

/// Where trusted certificates are kept, in named stores.
public protocol TrustStore: Sendable {
    /// All certificates of a named store, at least one.
    ///
    /// - Throws: ``TrustStoreError`` when there is no such store, or when anything in it is not a trusted certificate:
    ///   a store is used as a whole or not at all.
    func certificates(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> [Certificate]

    /// The certificates that are available now of a named store with several sources, and which sources are missing. A
    /// signature that chains to an available certificate is good whatever else the store holds: more trust only admits
    /// more. For any other signature there is no verdict while a source is missing.
    ///
    /// - Throws: ``TrustStoreError`` as ``certificates(type:named:)`` does, but for sources that are missing.
    func content(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> TrustStoreContent
}

extension TrustStore {
    /// A store with one source: all of it, or nothing.
    public func content(
        type: TrustStoreType, named name: String
    ) async throws(TrustStoreError) -> TrustStoreContent {
        TrustStoreContent(certificates: try await certificates(type: type, named: name))
    }
}

/// The available certificates of a trust store, and what is missing of it.
public struct TrustStoreContent: Sendable, Hashable {
    /// The certificates that are available.
    public var certificates: [Certificate]
    /// A sentence for each source that is missing, with its name. Empty when the store is complete.
    public var missing: [String]

    /// The content of a store, complete by default.
    public init(certificates: [Certificate], missing: [String] = []) {
        self.certificates = certificates
        self.missing = missing
    }

    /// Why nothing can be said of a signature that these certificates do not vouch for; `nil` when all is there.
    var gap: ValidationFailure? {
        guard !missing.isEmpty else { return nil }
        let others =
            certificates.isEmpty
            ? "" : " (the \(certificates.count) trusted certificates that are there do not vouch for this signature)"
        return ValidationFailure(missing.joined(separator: "; ") + others, isTransient: true)
    }
}

/// Why a trust store cannot be used.
public struct TrustStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, where, and what to do about it.
    public let description: String
    /// Whether it may well be gone in a moment: certificates that are still being fetched.
    public let isTransient: Bool

    /// Whether asking again is of no use before somebody has mended the store, or what fills it.
    public let isConfiguration: Bool

    /// An error.
    ///
    /// - Parameter isConfiguration: whether the store must be mended; unless told otherwise, when it is not transient.
    public init(_ description: String, isTransient: Bool = false, isConfiguration: Bool? = nil) {
        self.description = description
        self.isTransient = isTransient
        self.isConfiguration = isConfiguration ?? !isTransient
    }
}

/// Which certificates may be in a trust store: certificate authorities and self-signed certificates, as the reference
/// implementation has it; in `tsa` stores root certificates only.
public enum TrustedCertificateRule {
    /// Why a certificate may not be in a store, `nil` when it may.
    public static func refusal(of certificate: Certificate, in type: TrustStoreType) -> String? {
        if type == .tsa {
            guard certificate.isCA, certificate.isSelfSigned else {
                return "\"\(certificate.subject)\" is not a root certificate authority, as a tsa store needs"
            }
            return nil
        }
        guard certificate.isCA || certificate.isSelfSigned else {
            return "\"\(certificate.subject)\" is neither a certificate authority nor self-signed"
        }
        return nil
    }
}
