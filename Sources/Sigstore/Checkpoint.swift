import Encoding
import Quotation

/// A checkpoint (C2SP `tlog-checkpoint`): a log's statement of its tree, as a signed note.
struct Checkpoint {
    /// The log's name: the first line.
    let origin: String
    /// How many entries the tree has.
    let size: Int64
    /// The hash of the tree.
    let rootHash: [UInt8]
    let note: SignedNote

    init(_ envelope: String) throws(SignedNote.Fault) {
        note = try SignedNote(envelope)
        let lines = note.text.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count >= 3 else {
            throw SignedNote.Fault(
                description: "its text has \(lines.count) lines; expected the log's name, the tree's size and its hash")
        }
        origin = String(decoding: lines[0], as: UTF8.self)
        guard !origin.isEmpty else { throw SignedNote.Fault(description: "its first line, the log's name, is empty") }
        let digits = String(decoding: lines[1], as: UTF8.self)
        guard let size = Int64(digits), size >= 0, String(size) == digits else {
            throw SignedNote.Fault(
                description: "its second line \"\(digits.quoted)\" is not the number of the tree's entries")
        }
        self.size = size
        guard let hash = Base64.decode(Array(lines[2])), hash.count == 32 else {
            throw SignedNote.Fault(
                description: "its third line is not the tree's hash: 32 bytes in Base64")
        }
        rootHash = hash
    }

    /// Why the checkpoint is not the log's; nil when it is.
    ///
    /// A signature of the log's name and key identifier that is not valid refuses the whole note, as the specification
    /// has it; those of other names and keys are passed over.
    ///
    /// - Parameter namesItself: whether the log's name must be the host and path of its address (Rekor v2). Rekor v1
    ///   has the name of its tree after it, and its operator chooses the host.
    func fault(by log: TransparencyLog, key: LogKey, namesItself: Bool) -> String? {
        let name: String
        if namesItself {
            guard isSame(origin, log.origin) else {
                return "it is of the log \"\(origin.quoted)\", not of \"\(log.origin.quoted)\""
            }
            name = log.origin
        } else {
            name = origin.firstRange(of: " - ").map { String(origin[..<$0.lowerBound]) } ?? origin
        }
        let keyID = Array(log.checkpointKeyID.prefix(4))
        let own = note.signatures.filter { isSame($0.name, name) && $0.keyID == keyID }
        guard !own.isEmpty else {
            return "it has no signature of \"\(name.quoted)\" with the key \(Hex.text(keyID)) of the trusted root"
        }
        guard own.allSatisfy({ key.isValid($0.signature, over: note.text) }) else {
            return "the signature of \"\(name.quoted)\" is not by the log's key of the trusted root"
        }
        return nil
    }
}

/// Whether two texts are the same, code unit by code unit. `==` of strings holds texts for equal that only look alike.
func isSame(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
    left.utf8.elementsEqual(right.utf8)
}
