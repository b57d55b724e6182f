import Crypto
import Encoding
import PKI
import Quotation

/// A witness: somebody who has seen a log's tree grow and signs its checkpoints (C2SP `tlog-cosignature`).
public struct Witness: Hashable, Sendable {
    /// Its name in signed notes.
    public let name: String
    private let keyID: [UInt8]
    private let key: PublicKey

    /// The type of a timestamped Ed25519 cosignature.
    private static let type: UInt8 = 0x04

    /// A witness from its verifier key as C2SP writes it: `name+keyID+base64(type, key)`. Nil for anything else, and
    /// for another type than a timestamped Ed25519 cosignature.
    public init?(verifierKey text: String) {
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, let bytes = Base64.decode(String(parts[2])), bytes.count == 33,
            bytes[0] == Self.type
        else { return nil }
        let identifier = SHA256.hash(data: Array(parts[0].utf8) + [0x0A] + bytes).prefix(4)
        guard isSame(Hex.text(identifier), parts[1]) else { return nil }
        // SubjectPublicKeyInfo of Ed25519 (RFC 8410).
        let prefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
        guard let key = try? PublicKey(spkiDER: prefix + bytes.dropFirst()) else { return nil }
        name = String(parts[0])
        keyID = Array(identifier)
        self.key = key
    }

    /// Whether the witness has signed a checkpoint.
    func hasSigned(_ checkpoint: Checkpoint) -> Bool {
        checkpoint.note.signatures.contains { line in
            guard isSame(line.name, name), line.keyID == keyID, line.signature.count == 8 + 64 else { return false }
            let time = line.signature.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let message = Array("cosignature/v1\ntime \(time)\n".utf8) + checkpoint.note.text
            return key.isValidSignature(line.signature.dropFirst(8), over: message, scheme: .ed25519)
        }
    }
}
