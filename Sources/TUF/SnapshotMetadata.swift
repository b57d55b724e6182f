import Quotation
import StrictJSON

/// What a timestamp or a snapshot says of another file of metadata.
struct ListedFile: Hashable, Sendable {
    let version: Int64
    let content: ExpectedContent

    init(_ members: MetadataMembers) throws(TUFError.Problem) {
        version = try members.positive("version")
        content = try ExpectedContent(members, isRequired: false)
    }
}

/// A timestamp (specification, section 4.6): the newest snapshot.
struct TimestampMetadata: Sendable {
    let header: MetadataHeader
    let snapshot: ListedFile

    init(_ metadata: SignedMetadata) throws(TUFError.Problem) {
        let members = MetadataMembers(metadata.signed, "the timestamp")
        header = try MetadataHeader(members, type: TopLevelRole.timestamp.rawValue)
        let files = MetadataMembers(try members.object("meta"), "\"meta\" of the timestamp")
        guard files.object.count == 1 else { throw files.fault("snapshot.json", "must be the only file") }
        snapshot = try ListedFile(MetadataMembers(try files.object("snapshot.json"), "snapshot.json of the timestamp"))
    }
}

/// A snapshot (specification, section 4.4): the version of each role of targets.
struct SnapshotMetadata: Sendable {
    let header: MetadataHeader
    /// By the name of the file, such as `targets.json`.
    let files: [String: ListedFile]

    init(_ metadata: SignedMetadata) throws(TUFError.Problem) {
        let members = MetadataMembers(metadata.signed, "the snapshot")
        header = try MetadataHeader(members, type: TopLevelRole.snapshot.rawValue)
        var files: [String: ListedFile] = [:]
        for (name, value) in try members.object("meta").members {
            files[name] = try ListedFile(MetadataMembers(value, "\(name.quoted) of the snapshot"))
        }
        self.files = files
    }

    /// What it says of a role of targets.
    func file(of role: String) -> ListedFile? { files["\(role).json"] }

    /// Step 5.5.5: no file of an older snapshot is left out, none goes back.
    func checkNotOlder(than trusted: SnapshotMetadata) throws(TUFError.Problem) {
        for (name, file) in trusted.files.sorted(by: { $0.key < $1.key }) {
            guard let mine = files[name] else { throw .notListed(name) }
            guard mine.version >= file.version else {
                throw .rollback(trusted: file.version, found: mine.version, of: name)
            }
        }
    }
}
