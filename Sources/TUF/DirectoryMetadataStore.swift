import Files
import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A directory with a file for each item. A file is replaced at once: whoever reads it sees the old content or the new
/// one. Several processes may share it.
package struct DirectoryMetadataStore: MetadataStore {
    private let path: String

    /// - Parameter path: made, with those above it, when something is stored.
    package init(path: String) { self.path = path }

    private func file(_ item: StoredItem) -> String { "\(path)/\(item.fileName)" }

    package func load(_ item: StoredItem, maximumLength: Int) throws -> [UInt8]? {
        do throws(FileAccess.Fault) {
            return try FileAccess.read(file(item), maximumBytes: maximumLength, followsLinks: false)
        } catch {
            // Nothing is there, or what is there is no file, or longer than it may be: none of ours.
            guard error.isMissing || error.isOfAnotherKind else { throw error }
            return nil
        }
    }

    package func store(_ bytes: [UInt8], as item: StoredItem) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileAccess.write(bytes, to: file(item))
    }

    package func remove(_ item: StoredItem) throws { try unlinkFile(item.fileName) }

    package func removeAll(except items: Set<StoredItem>) throws {
        let kept = Set(items.map(\.fileName))
        for name in try FileManager.default.contentsOfDirectory(atPath: path)
        where Self.isOurs(name) && !kept.contains(name) {
            try unlinkFile(name)
        }
    }

    private func unlinkFile(_ name: String) throws {
        guard unlink("\(path)/\(name)") == 0 || errno == ENOENT || errno == ENOTDIR else {
            throw FileAccess.Fault("remove", "\(path)/\(name)", errno)
        }
    }

    /// Whether a file may be removed when it is not needed: of the forms that ``StoredItem/fileName`` gives, roots
    /// excepted.
    private static func isOurs(_ name: String) -> Bool {
        if name.hasSuffix(".target") { return true }
        let digits = name.utf8.prefix { (0x30...0x39).contains($0) }.count
        return digits > 0 && name.hasSuffix(".json") && !name.dropFirst(digits).elementsEqual(".root.json")
    }
}
