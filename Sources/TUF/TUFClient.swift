import FoundationEssentials

/// A client of a TUF repository: the client workflow of the specification, section 5.
///
/// Trust begins with a root that the caller has. Everything else, what was kept too, is checked anew each time. What is
/// new counts as a whole or not at all: an update that fails leaves the last good set as it was, and
/// ``lastGood(targets:at:)`` gives it until its own expiry. A store that cannot be written does no harm to an update;
/// what it should have kept is remembered in memory.
///
/// Key ids are names: they are not computed anew, since published roots compute them in several ways. Different ids
/// with one key count as one.
package actor TUFClient {
    let trustedRoot: [UInt8]
    let fetcher: any RepositoryFetcher
    let store: any MetadataStore
    let limits: TUFLimits
    let targetsDirectory: String
    /// What the store did not take: bytes, or that something is gone.
    private var unstored: [StoredItem: [UInt8]?] = [:]
    private var isUpdating = false
    /// What went wrong with the store in the last update, in its own words.
    package private(set) var storeFaults: [String] = []

    /// - Parameters:
    ///   - trustedRoot: where trust begins; its expiry does not matter.
    ///   - targetsDirectory: where the repository has targets, relative to its metadata.
    package init(
        trustedRoot: [UInt8], fetcher: any RepositoryFetcher, store: any MetadataStore, limits: TUFLimits = TUFLimits(),
        targetsDirectory: String = "targets"
    ) {
        self.trustedRoot = trustedRoot
        self.fetcher = fetcher
        self.store = store
        self.limits = limits
        self.targetsDirectory = targetsDirectory
    }

    /// Refuses bytes that trust cannot begin with: no root, or none that its own keys have signed.
    package static func check(trustedRoot bytes: [UInt8]) throws(TUFError) {
        do { _ = try RootMetadata(trusted: bytes) } catch { throw TUFError(.loadTrustedRoot, "root", error) }
    }

    /// Brings all metadata up to date, and gives targets.
    ///
    /// - Parameters:
    ///   - paths: the names of the targets that are wanted.
    ///   - time: when the update begins (step 5.1): what expires at it or before is refused.
    ///   - deadline: when the update must be over.
    package func update(
        targets paths: [String], at time: Date, deadline: ContinuousClock.Instant
    ) async throws(TUFError) -> TrustedTargets {
        guard !isUpdating else { throw TUFError(.loadTrustedRoot, "root", .busy) }
        isUpdating = true
        defer { isUpdating = false }
        storeFaults = []
        let access = MetadataAccess.repository(deadline)
        let root = try await updatedRoot(try keptRoot(), at: time, access)
        let (timestamp, bytes) = try await newestTimestamp(root, at: time, access)
        var record = UpdateRecord()
        let set = try await topLevel(root, timestamp, at: time, access, &record)
        let contents = try await contents(of: paths, set, at: time, access, &record)
        // From here on the new set is the last good one: everything that it needs is stored.
        keep(bytes, as: .timestamp)
        forgetAll(but: record.items.union([.timestamp, .newestTimestamp, .newestSnapshot]))
        return record.result(contents)
    }

    /// The targets of the last update that came to its end, without asking the repository.
    ///
    /// - Parameters:
    ///   - paths: the names of the targets that are wanted.
    ///   - time: what expires at it or before is refused.
    package func lastGood(targets paths: [String], at time: Date) async throws(TUFError) -> TrustedTargets {
        let root = try keptRoot()
        try MetadataChecks.checkExpiry(of: root, at: time)
        guard let bytes = kept(.timestamp, limits.timestampLength) else {
            throw TUFError(.downloadTimestamp, "timestamp", .notFound)
        }
        let timestamp = try MetadataChecks.timestampWithoutTime(bytes, root: root)
        try MetadataChecks.checkExpiry(of: timestamp, at: time)
        var record = UpdateRecord()
        let set = try await topLevel(root, timestamp, at: time, .storeOnly, &record)
        let contents = try await contents(of: paths, set, at: time, .storeOnly, &record)
        return record.result(contents)
    }

    // MARK: What is kept

    /// What was kept; `nil` when there is nothing, or it cannot be read, which ``storeFaults`` tells.
    func kept(_ item: StoredItem, _ maximumLength: Int) -> [UInt8]? {
        if let bytes = unstored[item] { return bytes }
        do { return try store.load(item, maximumLength: maximumLength) } catch {
            storeFaults.append("\(error)")
            return nil
        }
    }

    func keep(_ bytes: [UInt8], as item: StoredItem) {
        do {
            try store.store(bytes, as: item)
            unstored[item] = nil
        } catch {
            storeFaults.append("\(error)")
            unstored[item] = .some(bytes)
        }
    }

    func forget(_ item: StoredItem) {
        do {
            try store.remove(item)
            unstored[item] = nil
        } catch {
            storeFaults.append("\(error)")
            unstored[item] = .some(nil)
        }
    }

    private func forgetAll(but items: Set<StoredItem>) {
        unstored = unstored.filter { item, _ in
            if case .root = item { true } else { items.contains(item) }
        }
        do { try store.removeAll(except: items) } catch { storeFaults.append("\(error)") }
    }
}

/// Where metadata and targets may come from.
enum MetadataAccess: Sendable {
    /// From the store, and what it does not have from the repository, until a time.
    case repository(ContinuousClock.Instant)
    case storeOnly
}

/// What took part in an update.
struct UpdateRecord {
    private(set) var items: Set<StoredItem> = []
    private var versions: [String: Int64] = [:]
    private var validUntil = Date.distantFuture

    mutating func add(_ header: MetadataHeader, of role: String, _ item: StoredItem?) {
        if let item { items.insert(item) }
        versions[role] = header.version
        validUntil = min(validUntil, header.expires)
    }

    mutating func add(target item: StoredItem) { items.insert(item) }

    func result(_ contents: [String: [UInt8]]) -> TrustedTargets {
        TrustedTargets(contents: contents, versions: versions, validUntil: validUntil)
    }
}
