import FoundationEssentials
import Logging
import ServiceLifecycle
import Verification

/// Looks at a file again and again, and tells each fault once: what was in force before it stays.
struct PeriodicLook {
    let interval: Duration
    let logger: Logger
    /// What a fault means, before its reason: "settings not changed, the former ones stay in force".
    let consequence: String

    /// The longest file.
    private static let maximumBytes = 16 << 20

    /// The whole content of a file.
    static func content(of path: String) throws(ConfigurationError) -> [UInt8] {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw ConfigurationError(path: "", problem: "cannot be read from \(path): check that the file is there")
        }
        guard data.count <= maximumBytes else {
            throw ConfigurationError(path: "", problem: "has more than \(maximumBytes) bytes")
        }
        return Array(data)
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
