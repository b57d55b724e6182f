import Crypto
import CryptoExtras
import Notation
import PKI
import StrictJSON

/// The signature of an envelope and nothing else around it: the least that any verifier must compute.
///
/// One swift-crypto verification of the very bytes that the envelope's signature is over, hash included, with a key
/// that was parsed before.
struct BareSignature {
    private enum Key {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
    }

    private let key: Key
    private let isSHA384: Bool
    private let signature: [UInt8]
    private let message: [UInt8]

    init(envelope: [UInt8], format: EnvelopeFormat, key: PublicKey) throws {
        let parsed = try SignatureEnvelope(parsing: envelope, mediaType: format.mediaType)
        signature = parsed.signature
        message =
            switch format {
            case .jws: try BareSignature.signedByJWS(envelope)
            case .cose: try BareSignature.signedByCOSE(envelope, payload: parsed.payload)
            }
        switch key.kind {
        case .rsa: self.key = .rsa(try _RSA.Signing.PublicKey(derRepresentation: key.spkiDER))
        case .ec(.p256): self.key = .p256(try P256.Signing.PublicKey(x963Representation: key.keyBytes))
        case .ec(.p384): self.key = .p384(try P384.Signing.PublicKey(x963Representation: key.keyBytes))
        default: throw BenchmarkError("no bare signature for a key of the kind \(key.kind)")
        }
        isSHA384 = SigningAlgorithm(key: key)?.hash == .sha384
        guard verify() else { throw BenchmarkError("the bare signature of a \(format) envelope does not verify") }
    }

    /// The one operation.
    func verify() -> Bool {
        switch key {
        case .rsa(let key):
            let value = _RSA.Signing.RSASignature(rawRepresentation: signature)
            return isSHA384
                ? key.isValidSignature(value, for: SHA384.hash(data: message), padding: .PSS)
                : key.isValidSignature(value, for: SHA256.hash(data: message), padding: .PSS)
        case .p256(let key):
            guard let value = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: SHA256.hash(data: message))
        case .p384(let key):
            guard let value = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: SHA384.hash(data: message))
        }
    }

    /// RFC 7515, section 5.2, item 8: the encoded header, a point, the encoded payload.
    private static func signedByJWS(_ envelope: [UInt8]) throws -> [UInt8] {
        let json = try StrictJSON.parse(envelope)
        guard let header = json["protected"]?.string, let payload = json["payload"]?.string else {
            throw BenchmarkError("not a JWS envelope")
        }
        return Array("\(header).\(payload)".utf8)
    }

    /// RFC 9052, section 4.4: the array of the context, the protected header, no additional data and the payload.
    private static func signedByCOSE(_ envelope: [UInt8], payload: [UInt8]) throws -> [UInt8] {
        // Tag 18, an array of four, the protected header as a byte string.
        guard envelope.starts(with: [0xD2, 0x84]) else { throw BenchmarkError("not a tagged COSE_Sign1 message") }
        let rest = envelope.dropFirst(2)
        let (head, length): (Int, Int) =
            switch rest.first {
            case .some(let byte) where (0x40...0x57).contains(byte): (1, Int(byte) - 0x40)
            case 0x58: (2, Int(rest[rest.startIndex + 1]))
            case 0x59: (3, Int(rest[rest.startIndex + 1]) << 8 | Int(rest[rest.startIndex + 2]))
            default: throw BenchmarkError("a COSE protected header of an unexpected length")
            }
        return [0x84, 0x6A] + Array("Signature1".utf8) + rest.prefix(head + length) + [0x40] + byteString(payload)
    }

    private static func byteString(_ bytes: [UInt8]) -> [UInt8] {
        switch bytes.count {
        case 0..<24: [0x40 + UInt8(bytes.count)] + bytes
        case 24..<256: [0x58, UInt8(bytes.count)] + bytes
        default: [0x59, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
        }
    }
}
