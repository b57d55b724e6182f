import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a file was when it was looked at. Kubernetes replaces mounted files by turning a symbolic link, so the link
/// is followed and the inode counts; the change time tells when a file was rewritten with its times set back.
struct FileStamp: Sendable, Hashable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    let modified: Int64
    let changed: Int64

    /// The stamp of the file now; `nil` when there is none.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    fileprivate init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        changed = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
    }
}

/// A small file's content with the stamp of the file it was read from.
struct WatchedFile: Sendable {
    let path: String
    let bytes: [UInt8]
    let stamp: FileStamp

    /// Reads a file of at most 1 MiB.
    init(path: String) throws(ServingCertificateError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw WatchedFile.unreadable(path) }
        defer { close(descriptor) }
        // The stamp first: a change while reading shows at the next look.
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw WatchedFile.unreadable(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ServingCertificateError("\(path.quotedPath) is not a file")
        }
        let limit = 1 << 20
        guard status.st_size <= limit else {
            throw ServingCertificateError(
                "\(path.quotedPath) is larger than \(limit) bytes: this is not a certificate or key")
        }
        var content: [UInt8] = []
        content.reserveCapacity(Int(status.st_size))
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw WatchedFile.unreadable(path) }
            if count == 0 { break }
            content.append(contentsOf: chunk[..<count])
            guard content.count <= limit else {
                throw ServingCertificateError(
                    "\(path.quotedPath) is larger than \(limit) bytes: this is not a certificate or key")
            }
        }
        self.path = path
        self.bytes = content
        self.stamp = FileStamp(status)
    }

    private static func unreadable(_ path: String) -> ServingCertificateError {
        ServingCertificateError("cannot read \(path.quotedPath): \(String(cString: strerror(errno)))")
    }
}
