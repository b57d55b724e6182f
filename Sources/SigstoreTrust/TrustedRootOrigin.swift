import FoundationEssentials
import KeyManagement
import Sigstore
import Synchronization

/// Where a trusted root comes from, with the memory of what it gave. Several providers may have the same one.
package protocol TrustedRootOrigin: Sendable {
    /// What it gave, and how it is doing.
    var holder: TrustedRootHolder { get }
    /// Whether what it gives stands in the configuration itself.
    var isFixed: Bool { get }
    /// Looks now. Who asks while that is under way waits for the same look.
    func look() async
    /// How long until the next look is due, for somebody who wants one in each interval; nil when none ever is.
    func wait(interval: Duration) -> Duration?
}

/// A trusted root that stands in the configuration itself, and never changes.
package struct FixedTrustedRoot: TrustedRootOrigin {
    package let holder: TrustedRootHolder
    package let isFixed = true

    /// Reads a trusted root in JSON.
    package init(json: [UInt8], origins: TrustedRootOrigins, now: Date = Date()) throws(TrustedRootError) {
        self.init(try origins.roots.root(parsing: json), source: "trustedRoot of the configuration", now: now)
    }

    /// A trusted root of certificates and keys of one's own.
    package init(
        own instance: OwnInstance, origins: TrustedRootOrigins, now: Date = Date()
    ) throws(KeyManagementError) {
        let root = try origins.roots.root(of: instance.identifier) { () throws(KeyManagementError) in
            try instance.trustedRoot()
        }
        self.init(root, source: "certificates and keys of the configuration", now: now)
    }

    private init(_ root: LoadedRoot, source: String, now: Date) {
        holder = TrustedRootHolder(now: { now })
        holder.install(root, TrustedRootHolder.Description(source: source, read: now))
    }

    package func look() async {}
    package func wait(interval: Duration) -> Duration? { nil }
}

/// The origins of trusted roots that are in use in this process, held weakly: who names the same one shares what it
/// knows. So a change of the configuration neither opens a gap nor forgets which versions of signed metadata were seen.
package final class TrustedRootOrigins: Sendable {
    private struct Entries<Key: Hashable & Sendable, Origin: AnyObject & Sendable>: Sendable {
        private struct Entry {
            weak var origin: Origin?
        }

        private var entries: [Key: Entry] = [:]

        subscript(_ key: Key) -> Origin? { entries[key]?.origin }

        /// The origin that is in use, or else this one from now on.
        mutating func inUse(_ key: Key, or origin: Origin) -> Origin {
            if let known = entries[key]?.origin { return known }
            entries = entries.filter { $0.value.origin != nil }
            entries[key] = Entry(origin: origin)
            return origin
        }
    }

    let roots = LoadedRoots()
    private let repositories = Mutex(Entries<RepositoryTrustedRoot.Place, RepositoryTrustedRoot>())
    private let files = Mutex(Entries<String, TrustedRootFile>())

    /// None yet.
    package init() {}

    /// The origin that is in use for a repository, or a new one.
    package func repository<Fault: Error>(
        _ place: RepositoryTrustedRoot.Place, make: () throws(Fault) -> RepositoryTrustedRoot
    ) throws(Fault) -> RepositoryTrustedRoot {
        if let known = repositories.withLock({ $0[place] }) { return known }
        let made = try make()
        return repositories.withLock { $0.inUse(place, or: made) }
    }

    /// The origin that is in use for a file, or a new one, after a look at the file.
    package func file(_ path: String, now: @escaping @Sendable () -> Date = { Date() }) -> TrustedRootFile {
        let made = TrustedRootFile(path, roots: roots, now: now)
        let file = files.withLock { $0.inUse(path, or: made) }
        file.load()
        return file
    }
}
