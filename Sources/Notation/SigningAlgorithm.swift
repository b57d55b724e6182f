import PKI

/// The signature algorithms of the Notary Project (signature specification, "Signature Algorithm Requirements").
public enum SigningAlgorithm: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// RSASSA-PSS with SHA-256, for RSA keys of 2048 bits.
    case ps256 = "PS256"
    /// RSASSA-PSS with SHA-384, for RSA keys of 3072 bits.
    case ps384 = "PS384"
    /// RSASSA-PSS with SHA-512, for RSA keys of 4096 bits.
    case ps512 = "PS512"
    /// ECDSA on P-256 with SHA-256.
    case es256 = "ES256"
    /// ECDSA on P-384 with SHA-384.
    case es384 = "ES384"
    /// ECDSA on P-521 with SHA-512.
    case es512 = "ES512"

    /// The one algorithm that a key may sign with (signature specification, "Algorithm Selection"); `nil` for kinds and
    /// sizes of keys that may not sign. The size is exact: the reference verifier rounds an RSA modulus up to bytes,
    /// and so lets 2047 bits pass where the specification wants 2048.
    public init?(key: PublicKey) {
        switch key.kind {
        case .rsa(bits: 2048): self = .ps256
        case .rsa(bits: 3072): self = .ps384
        case .rsa(bits: 4096): self = .ps512
        case .ec(.p256): self = .es256
        case .ec(.p384): self = .es384
        case .ec(.p521): self = .es512
        default: return nil
        }
    }

    /// The value of `alg` in JWS: RFC 7518, section 3.1.
    public var jwsName: String { rawValue }

    /// The value of `alg` in COSE: COSE envelope specification, "Supported `alg` header values".
    public var coseLabel: Int64 {
        switch self {
        case .ps256: -37
        case .ps384: -38
        case .ps512: -39
        case .es256: -7
        case .es384: -35
        case .es512: -36
        }
    }

    /// The algorithm of a COSE `alg`.
    public init?(coseLabel: Int64) {
        guard let algorithm = Self.allCases.first(where: { $0.coseLabel == coseLabel }) else { return nil }
        self = algorithm
    }

    /// The hash function.
    public var hash: HashAlgorithm {
        switch self {
        case .ps256, .es256: .sha256
        case .ps384, .es384: .sha384
        case .ps512, .es512: .sha512
        }
    }

    /// The name in JWS.
    public var description: String { rawValue }
}
