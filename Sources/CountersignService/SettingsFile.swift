import ConfigurationModel
import Logging
import ServiceLifecycle
import Synchronization

/// `config.json` where custom resources say what is verified: it says how requests are served, and is read again when
/// it changes. A file that is not valid leaves the former settings in force.
package final class SettingsFile: Service {
    /// The file's path.
    package let path: String
    private let interval: Duration
    private let logger: Logger
    private let onChange: @Sendable (ServiceSettings) -> Void
    private let content = Mutex<[UInt8]>([])

    /// A file that was not read yet.
    package init(
        path: String, interval: Duration = .seconds(1), logger: Logger,
        onChange: @escaping @Sendable (ServiceSettings) -> Void
    ) {
        self.path = path
        self.interval = interval
        self.logger = logger
        self.onChange = onChange
    }

    /// Reads the file, and tells when it is another one.
    package func load() throws(ConfigurationError) {
        let bytes = try FilePoller.content(of: path)
        guard content.withLock({ $0 != bytes }) else { return }
        let configuration = try ServiceConfiguration(parsing: bytes, isWhole: false)
        content.withLock { $0 = bytes }
        for warning in configuration.warnings { logger.warning("configuration: \(warning)") }
        onChange(configuration.settings)
    }

    /// Looks at the file again and again, until graceful shutdown.
    package func run() async throws {
        let poller = FilePoller(
            interval: interval, logger: logger, consequence: "settings not changed, the former ones stay in force")
        await poller.run(load)
    }
}
