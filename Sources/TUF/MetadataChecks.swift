import FoundationEssentials

/// The checks of the client workflow (specification, sections 5.4 to 5.6), each with its step. They neither fetch nor
/// keep anything, and are the same for what was fetched and for what was kept.
enum MetadataChecks {
    /// The steps of a role whose metadata another role lists.
    private struct Steps {
        let hashes: TUFError.Step
        let signatures: TUFError.Step
        let version: TUFError.Step
        let expiry: TUFError.Step

        static let snapshot = Steps(
            hashes: .snapshotHashes, signatures: .snapshotSignatures, version: .snapshotVersion,
            expiry: .snapshotExpiry)
        static let targets = Steps(
            hashes: .targetsHashes, signatures: .targetsSignatures, version: .targetsVersion, expiry: .targetsExpiry)
    }

    /// What gives a step and a role to what went wrong.
    private static func at<Value>(
        _ step: TUFError.Step, _ role: String, version: Int64? = nil,
        _ work: () throws(TUFError.Problem) -> Value
    ) throws(TUFError) -> Value {
        do { return try work() } catch { throw TUFError(step, role, version: version, error) }
    }

    /// Steps 5.4.2 to 5.4.4.
    ///
    /// - Parameter trusted: the newest timestamp that is trusted, if any.
    /// - Returns: `nil` when the version is the trusted one: then nothing is new, and the trusted one stays.
    static func timestamp(
        _ bytes: [UInt8], root: RootMetadata, trusted: TimestampMetadata?, at time: Date
    ) throws(TUFError) -> TimestampMetadata? {
        let timestamp = try timestampWithoutTime(bytes, root: root)
        let header = timestamp.header
        if let trusted {
            // Step 5.4.3.1
            if header.version == trusted.header.version { return nil }
            guard header.version > trusted.header.version else {
                throw TUFError(
                    .timestampRollback, "timestamp", version: header.version,
                    .rollback(trusted: trusted.header.version, found: header.version, of: "the timestamp"))
            }
            // Step 5.4.3.2
            guard timestamp.snapshot.version >= trusted.snapshot.version else {
                throw TUFError(
                    .timestampRollback, "timestamp", version: header.version,
                    .rollback(
                        trusted: trusted.snapshot.version, found: timestamp.snapshot.version, of: "snapshot.json"))
            }
        }
        try checkExpiry(of: timestamp, at: time)
        return timestamp
    }

    /// Step 5.4.2 alone: a timestamp that only says which versions there were.
    static func timestampWithoutTime(_ bytes: [UInt8], root: RootMetadata) throws(TUFError) -> TimestampMetadata {
        try at(.timestampSignatures, "timestamp") { () throws(TUFError.Problem) in
            let metadata = try SignedMetadata(bytes)
            try root.verify(metadata, as: .timestamp)
            return try TimestampMetadata(metadata)
        }
    }

    /// Step 5.4.4.
    static func checkExpiry(of timestamp: TimestampMetadata, at time: Date) throws(TUFError) {
        try checkExpiry(timestamp.header, .timestampExpiry, "timestamp", at: time)
    }

    /// Step 5.3.10.
    static func checkExpiry(of root: RootMetadata, at time: Date) throws(TUFError) {
        try checkExpiry(root.header, .rootExpiry, "root", at: time)
    }

    /// Steps 5.5.2 to 5.5.6.
    ///
    /// - Parameter trusted: the newest snapshot that is trusted, if any.
    static func snapshot(
        _ bytes: [UInt8], root: RootMetadata, listed: ListedFile, trusted: SnapshotMetadata?, at time: Date
    ) throws(TUFError) -> SnapshotMetadata {
        try at(Steps.snapshot.hashes, "snapshot", version: listed.version) { () throws(TUFError.Problem) in
            try listed.content.check(bytes)
        }
        let snapshot = try snapshotWithoutTime(bytes, root: root)
        try checkVersion(snapshot.header, listed, .snapshot, "snapshot")
        if let trusted {
            try at(.snapshotRollback, "snapshot", version: snapshot.header.version) { () throws(TUFError.Problem) in
                try snapshot.checkNotOlder(than: trusted)
            }
        }
        try checkExpiry(snapshot.header, Steps.snapshot.expiry, "snapshot", at: time)
        return snapshot
    }

    /// Step 5.5.3 alone.
    static func snapshotWithoutTime(_ bytes: [UInt8], root: RootMetadata) throws(TUFError) -> SnapshotMetadata {
        try at(Steps.snapshot.signatures, "snapshot") { () throws(TUFError.Problem) in
            let metadata = try SignedMetadata(bytes)
            try root.verify(metadata, as: .snapshot)
            return try SnapshotMetadata(metadata)
        }
    }

    /// Steps 5.6.2 to 5.6.5, for the top-level role and for those that are delegated to.
    ///
    /// - Parameter verify: checks the signatures.
    static func targets(
        _ bytes: [UInt8], role: String, listed: ListedFile, at time: Date,
        verify: (SignedMetadata) throws(TUFError.Problem) -> Void
    ) throws(TUFError) -> TargetsMetadata {
        try at(Steps.targets.hashes, role, version: listed.version) { () throws(TUFError.Problem) in
            try listed.content.check(bytes)
        }
        let targets = try at(Steps.targets.signatures, role, version: listed.version) { () throws(TUFError.Problem) in
            let metadata = try SignedMetadata(bytes)
            try verify(metadata)
            return try TargetsMetadata(metadata)
        }
        try checkVersion(targets.header, listed, .targets, role)
        try checkExpiry(targets.header, Steps.targets.expiry, role, at: time)
        return targets
    }

    private static func checkVersion(
        _ header: MetadataHeader, _ listed: ListedFile, _ steps: Steps, _ role: String
    ) throws(TUFError) {
        guard header.version == listed.version else {
            throw TUFError(
                steps.version, role, version: header.version,
                .wrongVersion(found: header.version, expected: listed.version))
        }
    }

    private static func checkExpiry(
        _ header: MetadataHeader, _ step: TUFError.Step, _ role: String, at time: Date
    ) throws(TUFError) {
        guard !header.isExpired(at: time) else {
            throw TUFError(step, role, version: header.version, .expired(header.expires))
        }
    }
}
