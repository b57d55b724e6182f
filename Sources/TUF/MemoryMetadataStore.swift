import Synchronization

/// A store for the life of the process.
package final class MemoryMetadataStore: MetadataStore {
    private let items = Mutex<[StoredItem: [UInt8]]>([:])

    /// An empty one.
    package init() {}

    package func load(_ item: StoredItem, maximumLength: Int) -> [UInt8]? {
        items.withLock { $0[item].flatMap { $0.count <= maximumLength ? $0 : nil } }
    }

    package func store(_ bytes: [UInt8], as item: StoredItem) { items.withLock { $0[item] = bytes } }

    package func remove(_ item: StoredItem) { items.withLock { $0[item] = nil } }

    package func removeAll(except kept: Set<StoredItem>) {
        items.withLock { items in
            items = items.filter { item, _ in
                if case .root = item { true } else { kept.contains(item) }
            }
        }
    }
}
