import FoundationEssentials
import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A directory with a file for each item. A file is replaced at once: whoever reads it sees the old content or the new
/// one. Several processes may share it.
package struct DirectoryMetadataStore: MetadataStore {
    /// Why the directory cannot be used.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String

        init(_ action: String, _ path: String, _ code: Int32) {
            description = "cannot \(action) \(path.quotedPath): \(String(cString: strerror(code)))"
        }
    }

    private let path: String

    /// - Parameter path: made, with those above it, when something is stored.
    package init(path: String) { self.path = path }

    private func file(_ item: StoredItem) -> String { "\(path)/\(item.fileName)" }

    package func load(_ item: StoredItem, maximumLength: Int) throws -> [UInt8]? {
        let file = file(item)
        // Not blocking: opening a named pipe would wait for its other end.
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw Fault("read", file, errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Fault("read", file, errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumLength else { return nil }
        var content = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < content.count {
            let read = content.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(count))
            }
            if read < 0 {
                guard errno == EINTR else { throw Fault("read", file, errno) }
            } else if read == 0 {
                break
            } else {
                count += read
            }
        }
        content.removeLast(content.count - count)
        return content
    }

    package func store(_ bytes: [UInt8], as item: StoredItem) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let file = file(item)
        let temporary = "\(path)/.\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Fault("write", temporary, errno) }
        var code: Int32 = 0
        var count = 0
        while count < bytes.count, code == 0 {
            let written = bytes.withUnsafeBytes { buffer in
                Self.writeBytes(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if written < 0 {
                if errno != EINTR { code = errno }
            } else {
                count += written
            }
        }
        if code == 0, fsync(descriptor) != 0 { code = errno }
        close(descriptor)
        if code == 0, rename(temporary, file) != 0 { code = errno }
        if code != 0 {
            unlink(temporary)
            throw Fault("write", file, code)
        }
    }

    package func remove(_ item: StoredItem) throws {
        let file = file(item)
        guard unlink(file) == 0 || errno == ENOENT || errno == ENOTDIR else { throw Fault("remove", file, errno) }
    }

    package func removeAll(except items: Set<StoredItem>) throws {
        let kept = Set(items.map(\.fileName))
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where Self.isOurs(name) {
            guard !kept.contains(name) else { continue }
            guard unlink("\(path)/\(name)") == 0 || errno == ENOENT else {
                throw Fault("remove", "\(path)/\(name)", errno)
            }
        }
    }

    /// Whether a file may be removed when it is not needed: of the forms that ``StoredItem/fileName`` gives, roots
    /// excepted.
    private static func isOurs(_ name: String) -> Bool {
        if name.hasSuffix(".target") { return true }
        let digits = name.utf8.prefix { (0x30...0x39).contains($0) }.count
        return digits > 0 && name.hasSuffix(".json") && !name.dropFirst(digits).elementsEqual(".root.json")
    }

    /// `write` of the C library, by its full name: there are others.
    private static func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes, count)
        #else
            Musl.write(descriptor, bytes, count)
        #endif
    }
}
