import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Files, read within bounds and written whole or not at all.
package enum FileAccess {
    /// What tells one version of a file from another: a mounted Kubernetes secret changes by its inode.
    package struct Version: Hashable, Sendable {
        package let device: UInt64
        package let inode: UInt64
        package let size: Int64
        package let seconds: Int
        package let nanoseconds: Int
        package let isDirectory: Bool
    }

    /// Why a file cannot be used.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package let code: Int32
        package let description: String

        package var isMissing: Bool { Fault.meansMissing(code) }

        /// Whether it stays until somebody mends it: nothing is there, or what is there is not what it should be, or
        /// may not be used. Trouble of the machine, such as too many open files, may pass.
        package var isLasting: Bool {
            isMissing || [0, EACCES, EPERM, EISDIR, ELOOP, ENAMETOOLONG, EROFS, EINVAL].contains(code)
        }

        /// Whether it is none that may be read: no regular file, or too long.
        package var isOfAnotherKind: Bool { code == 0 }

        package static func meansMissing(_ code: Int32) -> Bool { code == ENOENT || code == ENOTDIR }

        package init(_ action: String, _ path: String, _ code: Int32) {
            self.code = code
            description = "cannot \(action) \(path.quotedPath): \(String(cString: strerror(code)))"
        }

        package init(_ path: String, problem: String, code: Int32 = 0) {
            self.code = code
            description = "\(path.quotedPath) \(problem)"
        }
    }

    /// The version of the file at a path, symbolic links followed; `nil` when there is none.
    package static func version(_ path: String) throws(Fault) -> Version? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let code = errno
            if Fault.meansMissing(code) { return nil }
            throw Fault("look at", path, code)
        }
        return version(status)
    }

    private static func version(_ status: stat) -> Version {
        Version(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
            isDirectory: status.st_mode & S_IFMT == S_IFDIR)
    }

    /// Whether a path is a directory.
    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The whole content of a regular file of at most so many bytes.
    ///
    /// - Parameter followsLinks: whether a symbolic link at its place leads to it.
    package static func read(
        _ path: String, maximumBytes: Int, followsLinks: Bool = true
    ) throws(Fault) -> [UInt8] {
        // Not blocking: opening a named pipe would wait for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW))
        guard descriptor >= 0 else { throw Fault("read", path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Fault("read", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Fault(path, problem: "is not a regular file") }
        guard status.st_size <= maximumBytes else {
            throw Fault(path, problem: "has \(status.st_size) bytes, more than the limit of \(maximumBytes)")
        }
        var content = [UInt8](repeating: 0, count: Int(status.st_size) + 1)
        var count = 0
        while count < content.count {
            let read = content.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(count))
            }
            if read < 0 {
                guard errno == EINTR else { throw Fault("read", path, errno) }
            } else if read == 0 {
                break
            } else {
                count += read
            }
        }
        guard count <= Int(status.st_size) else {
            throw Fault(path, problem: "grows while it is being read", code: EAGAIN)
        }
        content.removeLast(content.count - count)
        return content
    }

    /// Replaces a file at once: whoever reads it sees the old content or the new one, never a part. What is there and
    /// is no file, as a device, is left as it is.
    package static func write(_ content: [UInt8], to path: String) throws(Fault) {
        var status = stat()
        guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
            throw Fault("replace", path, status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        let temporary = "\(path).\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Fault("write", temporary, errno) }
        var code: Int32 = 0
        var count = 0
        while count < content.count, code == 0 {
            let written = content.withUnsafeBytes { buffer in
                writeBytes(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if written < 0 {
                if errno != EINTR { code = errno }
            } else {
                count += written
            }
        }
        if code == 0, fsync(descriptor) != 0 { code = errno }
        close(descriptor)
        if code == 0, rename(temporary, path) != 0 { code = errno }
        if code != 0 {
            unlink(temporary)
            throw Fault("write", path, code)
        }
    }

    /// Makes a directory and those above it.
    package static func makeDirectory(_ path: String) throws(Fault) {
        if mkdir(path, 0o755) == 0 || isDirectory(path) { return }
        let code = errno
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        guard code == ENOENT, !parent.isEmpty else { throw Fault("make the directory", path, code) }
        try makeDirectory(parent)
        guard mkdir(path, 0o755) == 0 || isDirectory(path) else { throw Fault("make the directory", path, errno) }
    }

    /// Takes the lock that a file stands for, unless someone else has it. It is free again when its descriptor is
    /// closed, by ``unlock(_:)`` or by the end of the process.
    package static func tryLock(_ path: String) throws(Fault) -> Int32? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Fault("lock", path, errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
        let code = errno
        close(descriptor)
        guard code == EWOULDBLOCK || code == EINTR else { throw Fault("lock", path, code) }
        return nil
    }

    /// Frees what ``tryLock(_:)`` took.
    package static func unlock(_ descriptor: Int32) { close(descriptor) }

    /// The `write` of the C library, by a name that the one above does not hide.
    private static func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes, count)
        #else
            Musl.write(descriptor, bytes, count)
        #endif
    }
}
