import PKI

/// Who is said to have signed.
public enum Signer: Sendable {
    /// Whoever the certificate names.
    case certificate(Certificate)
    /// The owner of a key that the policy trusts.
    case key(SigningKey)

    /// The key.
    public var publicKey: PublicKey {
        switch self {
        case .certificate(let certificate): certificate.publicKey
        case .key(let key): key.publicKey
        }
    }

    /// The signer as log entries name it.
    var verifier: EntryBody.Verifier {
        switch self {
        case .certificate(let certificate): .certificate(der: certificate.der)
        case .key(let key): .publicKey(spkiDER: key.publicKey.spkiDER)
        }
    }

    /// The signer in a message.
    var name: String {
        switch self {
        case .certificate(let certificate): "the signing certificate (serial \(certificate.serialNumberHex))"
        case .key(let key): "the key \(key.publicKey.kind) with the SHA-256 \(key.publicKey.sha256Hex.prefix(16))…"
        }
    }
}
