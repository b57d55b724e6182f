import FoundationEssentials

/// Sections 5.2 to 5.6.6: the four top-level roles.
extension TUFClient {
    /// Section 5.2: the root that the caller gave, and from there the chain as far as it was kept. A kept root that
    /// does not fit ends the chain; the repository gives it anew.
    func keptRoot() throws(TUFError) -> RootMetadata {
        var root: RootMetadata
        do { root = try RootMetadata(trusted: trustedRoot) } catch { throw TUFError(.loadTrustedRoot, "root", error) }
        while let bytes = kept(.root(version: root.header.version + 1), limits.rootLength),
            let next = try? root.successor(bytes)
        { root = next }
        return root
    }

    /// Section 5.3.
    func updatedRoot(
        _ trusted: RootMetadata, at time: Date, _ access: MetadataAccess
    ) async throws(TUFError) -> RootMetadata {
        var root = trusted
        var count = 0
        // Step 5.3.3: until there is no newer one. The specification goes on with an older root when there are too
        // many new ones. Then keys would count that have been revoked: so this is an error, and the next update goes on
        // from the roots that came.
        while let bytes = try await fetched(
            RepositoryPath.metadata("root", version: root.header.version + 1), limits.rootLength, .downloadRoot, "root",
            version: root.header.version + 1, access)
        {
            guard count < limits.newRoots else {
                throw TUFError(
                    .downloadRoot, "root", version: root.header.version + 1, .tooManyRoots(limit: limits.newRoots))
            }
            // Steps 5.3.4 to 5.3.6
            let next = try root.successor(bytes)
            // Step 5.3.11, before the root is kept: an update that ends here has not forgotten to do so. It lets a
            // repository recover from versions that a thief of its keys made too great.
            if root.hasRotated(.timestamp, to: next) || root.hasRotated(.snapshot, to: next) {
                forget(.newestTimestamp)
                forget(.newestSnapshot)
            }
            // Steps 5.3.7 and 5.3.8
            keep(bytes, as: .root(version: next.header.version))
            root = next
            count += 1
        }
        try MetadataChecks.checkExpiry(of: root, at: time)
        return root
    }

    /// Section 5.4.
    func newestTimestamp(
        _ root: RootMetadata, at time: Date, _ access: MetadataAccess
    ) async throws(TUFError) -> (TimestampMetadata, [UInt8]) {
        // What was kept counts if the root's keys have signed it; its expiry does not matter here.
        let keptBytes = kept(.newestTimestamp, limits.timestampLength)
        let trusted = keptBytes.flatMap { try? MetadataChecks.timestampWithoutTime($0, root: root) }
        let path = RepositoryPath.metadata("timestamp", version: nil)
        guard
            let bytes = try await fetched(
                path, limits.timestampLength, .downloadTimestamp, "timestamp", version: nil, access)
        else { throw TUFError(.downloadTimestamp, "timestamp", .notFound) }
        guard let new = try MetadataChecks.timestamp(bytes, root: root, trusted: trusted, at: time) else {
            // Step 5.4.3.1: nothing is new. What is trusted may have expired meanwhile.
            guard let trusted, let keptBytes else { throw TUFError(.downloadTimestamp, "timestamp", .notFound) }
            try MetadataChecks.checkExpiry(of: trusted, at: time)
            return (trusted, keptBytes)
        }
        // Step 5.4.5
        keep(bytes, as: .newestTimestamp)
        return (new, bytes)
    }

    /// Sections 5.5 and 5.6, up to step 5.6.6.
    func topLevel(
        _ root: RootMetadata, _ timestamp: TimestampMetadata, at time: Date, _ access: MetadataAccess,
        _ record: inout UpdateRecord
    ) async throws(TUFError) -> TrustedSet {
        record.add(root.header, of: "root", nil)
        record.add(timestamp.header, of: "timestamp", nil)
        let snapshot = try await snapshot(root, timestamp.snapshot, at: time, access)
        record.add(snapshot.header, of: "snapshot", .snapshot(version: snapshot.header.version))
        let targets = try await targetsRole("targets", root, snapshot, at: time, access) {
            metadata throws(TUFError.Problem) in try root.verify(metadata, as: .targets)
        }
        record.add(targets.header, of: "targets", .targets(role: "targets", version: targets.header.version))
        return TrustedSet(root: root, timestamp: timestamp, snapshot: snapshot, targets: targets)
    }

    private func snapshot(
        _ root: RootMetadata, _ listed: ListedFile, at time: Date, _ access: MetadataAccess
    ) async throws(TUFError) -> SnapshotMetadata {
        // A set that was good needs no comparison with what came after it.
        var trusted: SnapshotMetadata?
        if case .repository = access, let bytes = kept(.newestSnapshot, limits.snapshotLength) {
            trusted = try? MetadataChecks.snapshotWithoutTime(bytes, root: root)
        }
        let (snapshot, bytes) = try await listedFile(
            .snapshot(version: listed.version), "snapshot", listed, limits.snapshotLength, .downloadSnapshot, root,
            access
        ) { bytes throws(TUFError) in
            try MetadataChecks.snapshot(bytes, root: root, listed: listed, trusted: trusted, at: time)
        }
        // Step 5.5.7
        if case .repository = access { keep(bytes, as: .newestSnapshot) }
        return snapshot
    }

    /// Steps 5.6.1 to 5.6.6, for the top-level role and for those that are delegated to.
    func targetsRole(
        _ role: String, _ root: RootMetadata, _ snapshot: SnapshotMetadata, at time: Date, _ access: MetadataAccess,
        verify: (SignedMetadata) throws(TUFError.Problem) -> Void
    ) async throws(TUFError) -> TargetsMetadata {
        guard let listed = snapshot.file(of: role) else {
            throw TUFError(.downloadTargets, role, .notListed("\(role).json"))
        }
        return try await listedFile(
            .targets(role: role, version: listed.version), role, listed, limits.targetsLength, .downloadTargets, root,
            access
        ) { bytes throws(TUFError) in
            try MetadataChecks.targets(bytes, role: role, listed: listed, at: time, verify: verify)
        }.0
    }

    /// Metadata that other metadata lists: what was kept when it is right, or else what the repository has.
    private func listedFile<Value>(
        _ item: StoredItem, _ role: String, _ listed: ListedFile, _ limit: Int, _ step: TUFError.Step,
        _ root: RootMetadata, _ access: MetadataAccess, check: ([UInt8]) throws(TUFError) -> Value
    ) async throws(TUFError) -> (Value, [UInt8]) {
        if let bytes = kept(item, limit) {
            // The store's last good set has no other source: its error is the one that counts.
            if case .storeOnly = access { return (try check(bytes), bytes) }
            if let value = try? check(bytes) { return (value, bytes) }
        }
        let bound = listed.content.length ?? limit
        guard bound <= limit else { throw TUFError(step, role, version: listed.version, .tooLong(limit: limit)) }
        let path = RepositoryPath.metadata(role, version: root.consistentSnapshot ? listed.version : nil)
        guard let bytes = try await fetched(path, bound, step, role, version: listed.version, access) else {
            throw TUFError(step, role, version: listed.version, .notFound)
        }
        let value = try check(bytes)
        keep(bytes, as: item)
        return (value, bytes)
    }
}
