import FoundationEssentials

/// Targets that were found and checked, and until when they may be relied on.
package struct TrustedTargets: Hashable, Sendable {
    /// The content of each target by its name.
    package let contents: [String: [UInt8]]
    /// The version of the metadata of each role that took part: for status and logs.
    package let versions: [String: Int64]
    /// The first expiry among the metadata that took part.
    package let validUntil: Date
}

/// The metadata of the four top-level roles, checked against each other.
struct TrustedSet: Sendable {
    let root: RootMetadata
    let timestamp: TimestampMetadata
    let snapshot: SnapshotMetadata
    let targets: TargetsMetadata
}
