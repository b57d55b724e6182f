import Crypto
import Encoding
import PKI
import Quotation

/// A digest of an artifact.
public struct ArtifactDigest: Hashable, Sendable, CustomStringConvertible {
    /// The hash algorithms that are accepted.
    public enum Algorithm: String, Hashable, Sendable, CaseIterable {
        case sha256, sha384, sha512

        /// How many bytes a hash has.
        public var length: Int {
            switch self {
            case .sha256: 32
            case .sha384: 48
            case .sha512: 64
            }
        }

        /// The name in protobuf (`dev.sigstore.common.v1.HashAlgorithm`).
        var protobufName: String {
            switch self {
            case .sha256: "SHA2_256"
            case .sha384: "SHA2_384"
            case .sha512: "SHA2_512"
            }
        }

        /// The same as `PKI` has it.
        var hash: HashAlgorithm {
            switch self {
            case .sha256: .sha256
            case .sha384: .sha384
            case .sha512: .sha512
            }
        }

        /// The hash of some bytes.
        func digest(of bytes: some Sequence<UInt8>) -> [UInt8] {
            let bytes = Array(bytes)
            return switch self {
            case .sha256: Array(SHA256.hash(data: bytes))
            case .sha384: Array(SHA384.hash(data: bytes))
            case .sha512: Array(SHA512.hash(data: bytes))
            }
        }
    }

    /// The algorithm.
    public let algorithm: Algorithm
    /// The hash.
    public let bytes: [UInt8]

    /// The hash in lower-case hexadecimal.
    public var hex: String { Hex.text(bytes) }
    /// `algorithm:hex`.
    public var description: String { "\(algorithm.rawValue):\(hex)" }

    /// A digest; nil when the hash has another length than the algorithm gives.
    public init?(algorithm: Algorithm, bytes: [UInt8]) {
        guard bytes.count == algorithm.length else { return nil }
        self.algorithm = algorithm
        self.bytes = bytes
    }

    /// A digest from hexadecimal of the algorithm's length, lower-case; nil for anything else.
    public init?(algorithm: Algorithm, hex: some StringProtocol) {
        let digits = Array(hex.utf8)
        guard digits.count == 2 * algorithm.length else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard !(0x41...0x46).contains(digits[index]), !(0x41...0x46).contains(digits[index + 1]),
                let byte = Hex.byte(digits[index], digits[index + 1])
            else { return nil }
            bytes.append(byte)
        }
        self.init(algorithm: algorithm, bytes: bytes)
    }

    /// A digest from `algorithm:hex`; nil for anything else.
    public init?(parsing text: some StringProtocol) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")),
            let algorithm = Algorithm(rawValue: String(text[..<colon]))
        else { return nil }
        self.init(algorithm: algorithm, hex: text[text.index(after: colon)...])
    }

    /// The digest of some content.
    public init(of content: [UInt8], algorithm: Algorithm = .sha256) {
        self.algorithm = algorithm
        bytes = algorithm.digest(of: content)
    }

    /// Reads `dev.sigstore.common.v1.HashOutput`.
    init(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        try message.only("algorithm", "digest")
        let name = try message.requiredText("algorithm")
        guard let algorithm = Algorithm.allCases.first(where: { $0.protobufName == name }) else {
            throw message.fault("the hash algorithm \"\(name.quoted)\" is not accepted: SHA2_256, SHA2_384, SHA2_512")
        }
        let bytes = try message.requiredBytes("digest", maximum: 64)
        guard let digest = ArtifactDigest(algorithm: algorithm, bytes: bytes) else {
            throw message.fault("the digest has \(bytes.count) bytes, \(name) has \(algorithm.length)")
        }
        self = digest
    }
}

/// What must have been signed: an artifact's content, or no more of it than a digest.
public enum Artifact: Sendable {
    /// The content.
    case content([UInt8])
    /// A digest of the content. Signatures that hash it with another algorithm, or not at all (Ed25519), cannot be
    /// verified with that alone.
    case digest(ArtifactDigest)

    /// The digest with this algorithm; nil when it cannot be known.
    func digest(_ algorithm: ArtifactDigest.Algorithm) -> ArtifactDigest? {
        switch self {
        case .content(let bytes): ArtifactDigest(of: bytes, algorithm: algorithm)
        case .digest(let digest): digest.algorithm == algorithm ? digest : nil
        }
    }

    /// The artifact as messages name it.
    var name: String {
        switch self {
        case .content(let bytes): ArtifactDigest(of: bytes).description
        case .digest(let digest): digest.description
        }
    }
}
