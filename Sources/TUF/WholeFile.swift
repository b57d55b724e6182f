import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is written whole or not at all.
package enum WholeFile {
    /// Why a file cannot be used.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        /// What could not be done, with which file, and why.
        package let description: String

        package init(_ action: String, _ path: String, _ code: Int32) {
            description = "cannot \(action) \(path.quotedPath): \(String(cString: strerror(code)))"
        }
    }

    /// Replaces a file at once: whoever reads it sees the old content or the new one, never a part. What is there and
    /// no file, as a device, is left as it is.
    package static func write(_ bytes: [UInt8], to path: String) throws(Fault) {
        var status = stat()
        guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
            throw Fault("replace", path, status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        let temporary = "\(path).\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Fault("write", temporary, errno) }
        var code: Int32 = 0
        var count = 0
        while count < bytes.count, code == 0 {
            let written = bytes.withUnsafeBytes { buffer in
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

    /// The content of a file of at most so many bytes; `nil` when there is none, or it is longer, or something else
    /// than a file. A link at its place is not followed.
    package static func read(_ path: String, maximumLength: Int) throws(Fault) -> [UInt8]? {
        // Not blocking: opening a named pipe would wait for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw Fault("read", path, errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Fault("read", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumLength else { return nil }
        var content = [UInt8](repeating: 0, count: Int(status.st_size))
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
        content.removeLast(content.count - count)
        return content
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
