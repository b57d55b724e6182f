import Crypto
import Encoding
import StrictJSON

/// What signed metadata says of a file: its length and digests (specification, sections 4.4 and 4.5).
struct ExpectedContent: Hashable, Sendable {
    /// A function that digests are given by, in the order in which they are looked for.
    private enum Function: String, CaseIterable {
        case sha256, sha384, sha512

        func digest(_ bytes: [UInt8]) -> [UInt8] {
            switch self {
            case .sha256: Array(SHA256.hash(data: bytes))
            case .sha384: Array(SHA384.hash(data: bytes))
            case .sha512: Array(SHA512.hash(data: bytes))
            }
        }
    }

    /// In bytes, where it is given.
    let length: Int?
    /// Digests in lower-case hexadecimal by the name of their function; those of functions that are not known, too.
    private let digests: [String: String]?

    /// - Parameter isRequired: whether both must be given, as for targets.
    init(_ members: MetadataMembers, isRequired: Bool) throws(TUFError.Problem) {
        length = isRequired || members.object["length"] != nil ? try members.length("length") : nil
        guard isRequired || members.object["hashes"] != nil else {
            digests = nil
            return
        }
        var digests: [String: String] = [:]
        for (name, value) in try members.object("hashes").members {
            guard let text = value.string, let bytes = RepositoryKey.hexBytes(text) else {
                throw members.fault("hashes", "has a digest that is not hexadecimal")
            }
            digests[name] = Hex.text(bytes)
        }
        guard !digests.isEmpty else { throw members.fault("hashes", "has no digest") }
        self.digests = digests
    }

    /// The known digests, the preferred one first: what names of files begin with in a consistent snapshot.
    var prefixes: [String] { Function.allCases.compactMap { digests?[$0.rawValue] } }

    /// The SHA-256, in lower-case hexadecimal, where it is given.
    var sha256: String? { digests?[Function.sha256.rawValue] }

    /// Checks a file. Every digest that is known must be right, and where digests are given one must be known.
    func check(_ bytes: [UInt8]) throws(TUFError.Problem) {
        if let length, bytes.count != length { throw .wrongLength(expected: length, found: bytes.count) }
        guard let digests else { return }
        var isChecked = false
        for function in Function.allCases {
            guard let digest = digests[function.rawValue] else { continue }
            guard Hex.text(function.digest(bytes)) == digest else { throw .wrongHash(function.rawValue) }
            isChecked = true
        }
        guard isChecked else { throw .noKnownHash }
    }
}
