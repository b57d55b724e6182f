import Encoding
import PKI
import Quotation

/// Why the key that is said to have signed cannot be used: the step ``VerificationStep/signingKey``.
public struct SigningKeyError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// A key of a kind or size that is not accepted.
        case unsupported
        /// The policy has no key, and the bundle is signed with one.
        case noKey
        /// The policy has no identity, and the bundle is signed with a certificate.
        case noIdentity
    }

    /// The step.
    public static var step: VerificationStep { .signingKey }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

/// A key that signs: one that the policy trusts ("managed"), or the one of a certificate.
public struct SigningKey: Hashable, Sendable {
    /// The key.
    public let publicKey: PublicKey
    /// When signatures of this key are to be trusted; nil for always. Where there is one, a signature must have a
    /// proven time inside it.
    public let validity: ValidityPeriod?
    /// How it may have signed, the usual way first.
    let schemes: [SignatureAlgorithm.Scheme]
    /// How long the halves of an RSA signature are that may be wrapped like one of ECDSA; nil where it may not.
    private let wrappedHalf: Int?

    /// A key, which may sign in all the ways that signers of its kind do: ECDSA with the hash of its curve's size or,
    /// as cosign does, with SHA-256; RSASSA-PKCS1-v1_5 or RSASSA-PSS with SHA-256; Ed25519.
    public init(_ publicKey: PublicKey, validity: ValidityPeriod? = nil) throws(SigningKeyError) {
        switch publicKey.kind {
        case .ec(.p256): schemes = [.ecdsa(.sha256)]
        case .ec(.p384): schemes = [.ecdsa(.sha384), .ecdsa(.sha256)]
        case .ec(.p521): schemes = [.ecdsa(.sha512), .ecdsa(.sha256)]
        case .rsa(let bits) where bits >= SigningScheme.minimumRSABits:
            schemes = [.rsaPKCS1(.sha256), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)]
        case .other("Ed25519"): schemes = [.ed25519]
        default:
            throw SigningKeyError(
                .unsupported,
                "a key of the kind \(publicKey.kind) is not accepted: ECDSA on P-256, P-384 or P-521, Ed25519, and RSA from "
                    + "\(SigningScheme.minimumRSABits) bits are")
        }
        self.publicKey = publicKey
        self.validity = validity
        wrappedHalf = nil
    }

    /// A key of Azure Key Vault, which signs with the hash of its size: RSASSA-PKCS1-v1_5 with SHA-256, SHA-384 or
    /// SHA-512 for 2048, 3072 or 4096 bits, ECDSA with the hash of its curve's size. Signatures with SHA-256 are
    /// accepted from all of them.
    ///
    /// cosign's provider for the vault used to take each signature for one of ECDSA: it wrapped the two halves of an RSA
    /// signature as r and s in ASN.1 (sigstore/sigstore, issue 1384). Such signatures are accepted too.
    public init(keyVault publicKey: PublicKey, validity: ValidityPeriod? = nil) throws(SigningKeyError) {
        var wrapped: Int?
        switch publicKey.kind {
        case .rsa(let bits) where [2_048, 3_072, 4_096].contains(bits):
            schemes =
                switch bits {
                case 2_048: [.rsaPKCS1(.sha256)]
                case 3_072: [.rsaPKCS1(.sha384), .rsaPKCS1(.sha256)]
                default: [.rsaPKCS1(.sha512), .rsaPKCS1(.sha256)]
                }
            wrapped = bits / 16
        case .ec(.p256): schemes = [.ecdsa(.sha256)]
        case .ec(.p384): schemes = [.ecdsa(.sha384), .ecdsa(.sha256)]
        case .ec(.p521): schemes = [.ecdsa(.sha512), .ecdsa(.sha256)]
        default:
            throw SigningKeyError(
                .unsupported,
                "a key of the kind \(publicKey.kind) is not one of Key Vault that signs for cosign: RSA with 2048, 3072 or "
                    + "4096 bits, and ECDSA on P-256, P-384 or P-521 are")
        }
        self.publicKey = publicKey
        self.validity = validity
        wrappedHalf = wrapped
    }

    /// A key that signs in exactly one way, by its name in protobuf (`dev.sigstore.common.v1.PublicKeyDetails`).
    public init(
        _ publicKey: PublicKey, details: String, validity: ValidityPeriod? = nil
    ) throws(SigningKeyError) {
        if details == Self.prehashedEd25519 {
            throw SigningKeyError(
                .unsupported,
                "Ed25519ph (\(details)) is not supported: sign with Ed25519 or ECDSA; no signer of images uses it")
        }
        guard let known = SigningScheme.named[details], known.fits(publicKey) else {
            throw SigningKeyError(
                .unsupported, "a key \(publicKey.kind) with the details \"\(details.quoted)\" is not accepted")
        }
        self.publicKey = publicKey
        self.validity = validity
        schemes = [known.scheme]
        wrappedHalf = nil
    }

    static let prehashedEd25519 = "PKIX_ED25519_PH"

    /// The hint that signers write for a key: the SHA-256 of it, in Base64.
    var hint: String { Base64.encode(ArtifactDigest.Algorithm.sha256.digest(of: publicKey.spkiDER)) }

    /// Whether a signature is the key's over a message.
    func isValid(_ signature: [UInt8], over message: [UInt8]) -> Bool {
        spellings(signature).contains { spelling in
            schemes.contains { publicKey.isValidSignature(spelling, over: message, scheme: $0) }
        }
    }

    /// Whether a signature is the key's over what has this digest; nil when the key signs with no scheme that can be
    /// verified with such a digest alone.
    func isValid(_ signature: [UInt8], ofDigest digest: ArtifactDigest) -> Bool? {
        let usable = schemes.filter { SignatureAlgorithm.hash(of: $0) == digest.algorithm.hash }
        guard !usable.isEmpty else { return nil }
        return spellings(signature).contains { spelling in
            usable.contains { publicKey.isValidSignature(spelling, ofDigest: digest.bytes, scheme: $0) }
        }
    }

    /// A signature, and what is in it when it may be wrapped.
    private func spellings(_ signature: [UInt8]) -> [[UInt8]] {
        guard let wrappedHalf, let inner = try? ECDSASignature.raw(fromDER: signature, coordinateLength: wrappedHalf)
        else { return [signature] }
        return [signature, inner]
    }
}

extension SignatureAlgorithm {
    /// The hash that a scheme signs; nil for those that sign the message itself.
    static func hash(of scheme: Scheme) -> HashAlgorithm? {
        switch scheme {
        case .rsaPKCS1(let hash), .ecdsa(let hash), .rsaPSS(let hash, _, _): hash
        case .ed25519, .other: nil
        }
    }
}
