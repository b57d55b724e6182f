import ConfigurationModel
import FoundationEssentials
import Logging
import Quotation
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Looks at a file again and again, and tells each fault once: what was in force before it stays.
struct FilePoller {
    let interval: Duration
    let logger: Logger
    /// What a fault means, before its reason: "settings not changed, the former ones stay in force".
    let consequence: String

    /// The longest file.
    private static let maximumBytes = 16 << 20

    /// The whole content of a file.
    static func content(of path: String) throws(ConfigurationError) -> [UInt8] {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw unreadable(path)
        }
        guard data.count <= maximumBytes else {
            throw ConfigurationError(path: "", problem: "has more than \(maximumBytes) bytes")
        }
        return Array(data)
    }

    /// Why a file cannot be read, and what to do.
    private static func unreadable(_ path: String) -> ConfigurationError {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        let code = errno
        guard descriptor < 0 else {
            close(descriptor)
            return ConfigurationError(
                path: "", problem: "cannot be read from \(path.quotedPath): check that it is a file")
        }
        let reason = String(cString: strerror(code))
        switch code {
        case EMFILE, ENFILE, ENOMEM:
            var error = ConfigurationError(
                path: "",
                problem:
                    "could not be looked at in \(path.quotedPath): \(reason); see what the process has open, and its limit of files"
            )
            error.isShortage = true
            return error
        case ENOENT:
            return ConfigurationError(
                path: "", problem: "cannot be read from \(path.quotedPath): check that the file is there")
        default:
            return ConfigurationError(
                path: "",
                problem: "cannot be read from \(path.quotedPath): \(reason); check the file and its permissions")
        }
    }

    /// Looks until graceful shutdown.
    func run(_ look: () throws(ConfigurationError) -> Void) async {
        var reported: String?
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try look()
                reported = nil
            } catch {
                let reason = error.description
                if reason != reported { logger.error("\(consequence): \(reason)") }
                reported = reason
            }
            try? await cancelWhenGracefulShutdown { [interval] in try await Task.sleep(for: interval) }
        }
    }
}
