import Encoding

/// One thing that a client keeps.
package enum StoredItem: Hashable, Sendable {
    /// A root after the one that the client came with. All of them are kept: the chain is checked again from the
    /// first, so that nobody who can write to the store can replace it.
    case root(version: Int64)
    /// The timestamp of the last update that came to its end. It names the snapshot, and that the targets, which were
    /// stored before it: so there always is a whole set.
    case timestamp
    case snapshot(version: Int64)
    /// Metadata of a role of targets.
    case targets(role: String, version: Int64)
    /// A target, by its SHA-256 in hexadecimal.
    case target(sha256: String)
    /// The newest timestamp that was ever good: no older one is accepted, even if the update went no further.
    case newestTimestamp
    /// The same for the snapshot.
    case newestSnapshot

    /// A name for a file: without separators, different for different items.
    package var fileName: String {
        switch self {
        case .root(let version): "\(version).root.json"
        case .timestamp: "timestamp.json"
        case .snapshot(let version): "\(version).snapshot.json"
        // No delegated role has the name of a top-level one.
        case .targets(let role, let version): "\(version).\(PercentEncoding.encode(role)).json"
        case .target(let sha256): "\(sha256).target"
        case .newestTimestamp: "newest-timestamp.json"
        case .newestSnapshot: "newest-snapshot.json"
        }
    }
}

/// Where a client keeps what it trusts, as bytes. Nothing that is loaded is believed: it is checked as if it had been
/// fetched.
package protocol MetadataStore: Sendable {
    /// What was kept; `nil` when there is nothing, or it is longer than so many bytes.
    func load(_ item: StoredItem, maximumLength: Int) throws -> [UInt8]?
    /// Keeps something, whole or not at all.
    func store(_ bytes: [UInt8], as item: StoredItem) throws
    /// Forgets something; no error when there is nothing.
    func remove(_ item: StoredItem) throws
    /// Forgets everything but roots and what is named.
    func removeAll(except items: Set<StoredItem>) throws
}
