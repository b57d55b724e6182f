import Crypto
import Encoding
import Quotation

/// The digest of content (OCI image specification, "Digests"): an algorithm and the hash in lower-case hexadecimal.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The hash algorithms that are accepted.
    public enum Algorithm: String, Hashable, Sendable, CaseIterable {
        case sha256, sha384, sha512

        /// How many hexadecimal characters a hash of this algorithm has.
        public var hexLength: Int {
            switch self {
            case .sha256: 64
            case .sha384: 96
            case .sha512: 128
            }
        }
    }

    /// The algorithm.
    public let algorithm: Algorithm
    /// The hash, in lower-case hexadecimal.
    public let hex: String

    /// Parses `algorithm:hex`.
    ///
    /// - Throws: ``DigestError`` when the algorithm is not one of ``Algorithm``, or the hash has another length or
    ///   other characters than lower-case hexadecimal.
    public init(parsing text: some StringProtocol) throws(DigestError) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw .malformed(String(text.prefix(200)))
        }
        guard let algorithm = Algorithm(rawValue: String(text[..<colon])) else {
            throw .unsupportedAlgorithm(String(text[..<colon].prefix(40)))
        }
        let hex = text[text.index(after: colon)...]
        guard hex.utf8.count == algorithm.hexLength,
            hex.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { throw .malformed(String(text.prefix(200))) }
        self.algorithm = algorithm
        self.hex = String(hex)
    }

    /// The digest of some content.
    public init(of content: [UInt8], algorithm: Algorithm = .sha256) {
        self.algorithm = algorithm
        self.hex =
            switch algorithm {
            case .sha256: Hex.text(SHA256.hash(data: content))
            case .sha384: Hex.text(SHA384.hash(data: content))
            case .sha512: Hex.text(SHA512.hash(data: content))
            }
    }

    /// Whether this is the digest of the content.
    public func matches(_ content: [UInt8]) -> Bool { Digest(of: content, algorithm: algorithm) == self }

    /// `algorithm:hex`.
    public var description: String { "\(algorithm.rawValue):\(hex)" }
}

/// Why a text is not a ``Digest``.
public enum DigestError: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(String)
    case unsupportedAlgorithm(String)

    /// What a digest looks like.
    static let expectation = "sha256:, sha384: or sha512: and the hash in lower-case hexadecimal"

    /// What is wrong and what is expected, for a person.
    public var description: String {
        switch self {
        case .malformed(let text):
            "\"\(text.quoted)\" is not a digest: expected \(Self.expectation)"
        case .unsupportedAlgorithm(let name):
            "digest algorithm \"\(name.quoted)\" is not supported: use sha256, sha384 or sha512"
        }
    }
}

extension Digest {
    /// The tag that lists this content's referrers where there is no API for it (distribution specification,
    /// "Referrers Tag Schema"): the hash is cut to 64 characters.
    public var referrersTag: String { "\(algorithm.rawValue)-\(hex.prefix(64))" }

    /// The tag where cosign keeps this content's signatures: `sha256-<hex>.sig` (cosign's signature specification,
    /// "Tag-based Discovery"). `nil` for digests whose tag would be longer than a tag may be.
    public var cosignSignatureTag: String? { cosignTag(".sig") }

    /// The tag where cosign keeps attestations of this content: `sha256-<hex>.att`. `nil` as above.
    public var cosignAttestationTag: String? { cosignTag(".att") }

    private func cosignTag(_ suffix: String) -> String? {
        let tag = "\(algorithm.rawValue)-\(hex)\(suffix)"
        return ReferenceGrammar.isTag(tag) ? tag : nil
    }

    /// The digest whose ``cosignSignatureTag`` this is.
    public init?(cosignSignatureTag tag: String) {
        guard tag.hasSuffix(".sig"), let dash = tag.utf8.firstIndex(of: UInt8(ascii: "-")),
            let digest = try? Digest(
                parsing: "\(tag[..<dash]):\(tag[tag.index(after: dash)...].dropLast(4))"),
            digest.cosignSignatureTag == tag
        else { return nil }
        self = digest
    }
}
