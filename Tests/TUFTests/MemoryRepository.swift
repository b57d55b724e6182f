import Foundation

@testable import TUF

/// A repository's files in memory, which may change between updates, and the paths that were asked for.
actor MemoryRepository: RepositoryFetcher {
    private(set) var files: [String: [UInt8]] = [:]
    private(set) var asked: [String] = []

    func serve(_ files: [String: [UInt8]]) { self.files = files }

    func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
        asked.append(path)
        guard let file = files[path] else { return nil }
        guard file.count <= maximumLength else { throw RepositoryFetchError.tooLong }
        return file
    }
}

/// A store in memory, which may be told to fail.
final class MemoryStore: MetadataStore, @unchecked Sendable {
    struct Full: Error {}

    private let lock = NSLock()
    private var items: [StoredItem: [UInt8]] = [:]
    private let isFull: Bool

    init(isFull: Bool = false) { self.isFull = isFull }

    var stored: [StoredItem: [UInt8]] { lock.withLock { items } }

    func set(_ item: StoredItem, _ bytes: [UInt8]) { lock.withLock { items[item] = bytes } }

    func load(_ item: StoredItem, maximumLength: Int) throws -> [UInt8]? {
        lock.withLock { items[item].flatMap { $0.count <= maximumLength ? $0 : nil } }
    }

    func store(_ bytes: [UInt8], as item: StoredItem) throws {
        guard !isFull else { throw Full() }
        lock.withLock { items[item] = bytes }
    }

    func remove(_ item: StoredItem) throws {
        guard !isFull else { throw Full() }
        lock.withLock { items[item] = nil }
    }

    func removeAll(except kept: Set<StoredItem>) throws {
        lock.withLock {
            items = items.filter { item, _ in
                if case .root = item { true } else { kept.contains(item) }
            }
        }
    }
}

extension TUFError.Problem {
    /// The name of the case.
    var name: String {
        switch self {
        case .notFound: "notFound"
        case .deadline: "deadline"
        case .busy: "busy"
        case .noKnownHash: "noKnownHash"
        case .noSuchTarget: "noSuchTarget"
        case .unsafePath: "unsafePath"
        default: Mirror(reflecting: self).children.first?.label ?? ""
        }
    }
}
