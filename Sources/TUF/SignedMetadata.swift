import Quotation
import StrictJSON

/// Metadata with its signatures (specification, section 4.2.1), before anything of it is believed.
struct SignedMetadata: Sendable {
    /// The text, as it came.
    let bytes: [UInt8]
    /// What is signed.
    let signed: JSONObject
    /// The canonical form of what is signed: what signatures are over.
    let signedBytes: [UInt8]
    /// Signatures by the id of their key. One that is not hexadecimal is empty, and valid for no key: roots that are
    /// still being signed have such.
    private let signatures: [String: [UInt8]]

    init(_ bytes: [UInt8]) throws(TUFError.Problem) {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes) } catch { throw .malformed("\(error)") }
        let members = try MetadataMembers(value, "the metadata")
        self.bytes = bytes
        signed = try members.object("signed")
        signedBytes = try CanonicalJSON.bytes(.object(signed))
        var signatures: [String: [UInt8]] = [:]
        for element in try members.array("signatures") {
            let signature = try MetadataMembers(element, "a signature")
            let id = try signature.string("keyid")
            let text = try signature.string("sig")
            guard signatures.updateValue(RepositoryKey.hexBytes(text) ?? [], forKey: id) == nil else {
                throw .malformed("there are two signatures with the key id \"\(id.quoted)\"")
            }
        }
        self.signatures = signatures
    }

    /// Checks that as many different keys of a role have signed as its threshold asks for. What counts are key ids of
    /// the role, each once, and keys, each once: a key that is listed under two ids is one.
    ///
    /// - Parameter owner: whose keys these are, for the error.
    func verify(by role: SigningRole, of keys: [String: RepositoryKey], owner: String) throws(TUFError.Problem) {
        var counted: Set<RepositoryKey> = []
        for id in role.keyIDs {
            guard let key = keys[id], let signature = signatures[id], !signature.isEmpty, !counted.contains(key),
                key.isValidSignature(signature, over: signedBytes)
            else { continue }
            counted.insert(key)
            if counted.count >= role.threshold { return }
        }
        throw .unsigned(valid: counted.count, threshold: Int(role.threshold), by: owner)
    }
}

/// Which keys sign for a role, and how many of them must.
struct SigningRole: Hashable, Sendable {
    /// Each id once, in the order of the text.
    let keyIDs: [String]
    /// At least 1.
    let threshold: Int64

    init(_ members: MetadataMembers) throws(TUFError.Problem) {
        keyIDs = try members.strings("keyids")
        threshold = try members.positive("threshold")
        guard Set(keyIDs).count == keyIDs.count else { throw members.fault("keyids", "names a key twice") }
    }

    /// The keys that may sign, whatever their ids are.
    func keys(of all: [String: RepositoryKey]) -> Set<RepositoryKey> { Set(keyIDs.compactMap { all[$0] }) }

    static func keys(_ object: JSONObject) throws(TUFError.Problem) -> [String: RepositoryKey] {
        var keys: [String: RepositoryKey] = [:]
        for (id, value) in object.members { keys[id] = try RepositoryKey(value) }
        return keys
    }
}
