import FoundationEssentials
import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Finds and reads files, within limits.
enum FileTree {
    /// Adds the regular files at a path, which is one itself or a directory of them, in the order of their names.
    static func files(
        at path: String, limits: FileCertificates.Limits, into files: inout [String], depth: Int = 0
    ) throws(KeyManagementError) {
        switch try kind(of: path) {
        case .file:
            guard files.count < limits.maximumFiles else {
                throw KeyManagementError(
                    .unreadable, "\(path.quotedPath): there are more than \(limits.maximumFiles) files")
            }
            files.append(path)
        case .directory:
            guard depth < limits.maximumDepth else {
                throw KeyManagementError(
                    .unreadable, "\(path.quotedPath) lies more than \(limits.maximumDepth) directories deep")
            }
            let names: [String]
            do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
                throw KeyManagementError(
                    .unreadable, "the directory \(path.quotedPath) cannot be listed; check that it may be read")
            }
            for name in names.sorted() where !name.hasPrefix(".") {
                let inner = path.hasSuffix("/") ? path + name : path + "/" + name
                // A link to a directory is not followed below the path itself: it may lead back.
                if isLink(inner), (try? kind(of: inner)) != .file { continue }
                // A name that vanished since the listing is gone, which is no fault.
                guard exists(inner) else { continue }
                try Self.files(at: inner, limits: limits, into: &files, depth: depth + 1)
            }
        case .other:
            throw KeyManagementError(.unreadable, "\(path.quotedPath) is neither a file nor a directory")
        }
    }

    /// The content of a regular file.
    static func content(of path: String, maximumBytes: Int) throws(KeyManagementError) -> [UInt8] {
        // Not to wait where the name is a pipe that somebody put there after the listing.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(path) }
        defer { _ = close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw failure(path) }
        guard information.st_mode & S_IFMT == S_IFREG else {
            throw KeyManagementError(.unreadable, "\(path.quotedPath) is not a regular file")
        }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path)
            }
            if count == 0 { return content }
            content += buffer[..<count]
            guard content.count <= maximumBytes else {
                throw KeyManagementError(.unreadable, "\(path.quotedPath) has more than \(maximumBytes) bytes")
            }
        }
    }

    private enum Kind { case file, directory, other }

    private static func kind(of path: String) throws(KeyManagementError) -> Kind {
        var information = stat()
        guard stat(path, &information) == 0 else { throw failure(path) }
        return switch information.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        default: .other
        }
    }

    private static func isLink(_ path: String) -> Bool {
        var information = stat()
        return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFLNK
    }

    private static func exists(_ path: String) -> Bool {
        var information = stat()
        return lstat(path, &information) == 0
    }

    /// What the last system call said of a path.
    private static func failure(_ path: String) -> KeyManagementError {
        switch errno {
        case ENOENT, ENOTDIR: KeyManagementError(.unreadable, "\(path.quotedPath) does not exist")
        case EACCES, EPERM: KeyManagementError(.unreadable, "\(path.quotedPath) may not be read by this process")
        case ELOOP: KeyManagementError(.unreadable, "\(path.quotedPath) is a link that leads in a circle")
        default: KeyManagementError(.unreadable, "\(path.quotedPath) cannot be read (error \(errno))")
        }
    }
}
