import ArgumentParser
import CountersignService
import GatekeeperProvider
import Verification

/// `countersign serve`: the flags are Ratify's, with a few of our own.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve Gatekeeper: verify images, and turn tags into digests.",
        discussion: """
            EXAMPLES
              countersign serve --http :6001 -c config.json --cert-dir /usr/local/tls \\
                --ca-cert-file /usr/local/tls/client-ca/ca.crt --cache-ttl 10s

            Configuration, certificates and trusted certificates are read again when they change. SIGTERM and SIGINT end the
            program after what is in flight is answered.
            """)

    @Option(help: ArgumentHelp("Where Gatekeeper connects: :PORT or HOST:PORT.", valueName: "address"))
    var http = ":6001"

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "Configuration file. (default: $RATIFY_CONFIG/config.json, then ~/.ratify/config.json)", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Directory with tls.crt and tls.key. Without it plain HTTP is served, which Gatekeeper refuses.",
            valueName: "directory"))
    var certDir: String?

    @Option(
        name: [.customLong("ca-cert-file"), .customLong("ca-cert-files")],
        help: ArgumentHelp(
            "PEM files of the CAs that client certificates must chain to; repeat, or separate with commas.",
            valueName: "file"))
    var clientAuthorities: [String] = []

    @Option(help: ArgumentHelp("How long a verdict is remembered: 10s, 1m, 0s for not at all.", valueName: "duration"))
    var cacheTTL = "10s"

    @Option(help: ArgumentHelp("Where /healthz and /readyz are.", valueName: "address"))
    var healthPort = ":9099"

    @Option(help: ArgumentHelp("Where /metrics is.", valueName: "address"))
    var metricsPort = "8888"

    @Option(
        help: ArgumentHelp(
            "When a connection without a request is closed; Gatekeeper up to 3.21 closes none.", valueName: "duration"))
    var idleTimeout = "30s"

    @Option(help: ArgumentHelp("The longest request body.", valueName: "bytes"))
    var maxBodyBytes = 1 << 20

    @Option(help: ArgumentHelp("The most keys in one request.", valueName: "count"))
    var maxKeys = 1000

    @Flag(help: "Take the configuration from custom resources (not supported in this version).")
    var enableCrdManager = false

    func run() async throws {
        guard !enableCrdManager else {
            throw CommandFailure(
                .usage,
                "--enable-crd-manager: custom resources are not supported in this version; give a configuration file with -c"
            )
        }
        let settings = ServerSettings(
            configurationPath: config, provider: try providerConfiguration(),
            decisionLifetime: try duration(cacheTTL, "--cache-ttl"))
        do {
            try await CountersignServer(settings).run()
        } catch let error as CountersignServerError {
            throw CommandFailure(.usage, error.description)
        } catch let error as ProviderServerError {
            throw CommandFailure(.usage, error.description)
        }
    }

    private func providerConfiguration() throws -> ProviderConfiguration {
        let authorities = clientAuthorities.flatMap { $0.split(separator: ",").map(String.init) }
        if certDir == nil, !authorities.isEmpty {
            throw CommandFailure(
                .usage, "--ca-cert-file has no meaning without --cert-dir: plain HTTP has no client certificates")
        }
        var configuration = ProviderConfiguration(
            address: try address(http, "--http"),
            certificates: certDir.map { ServingCertificateFiles(directory: $0, clientAuthorities: authorities) },
            healthAddress: try address(healthPort, "--health-port"),
            metricsAddress: try address(metricsPort, "--metrics-port"))
        guard (1024...(64 << 20)).contains(maxBodyBytes) else {
            throw CommandFailure(.usage, "--max-body-bytes is \(maxBodyBytes): expected 1024 to \(64 << 20)")
        }
        guard (1...100_000).contains(maxKeys) else {
            throw CommandFailure(.usage, "--max-keys is \(maxKeys): expected 1 to 100000")
        }
        configuration.maximumBodyBytes = maxBodyBytes
        configuration.maximumKeys = maxKeys
        configuration.idleTimeout = try duration(idleTimeout, "--idle-timeout")
        guard configuration.idleTimeout >= .milliseconds(100) else {
            throw CommandFailure(.usage, "--idle-timeout is \(idleTimeout): expected 100ms or more")
        }
        return configuration
    }

    /// An address; Ratify's `--metrics-port` is a bare number.
    private func address(_ text: String, _ flag: String) throws -> ListenAddress {
        do {
            return try ListenAddress(parsing: text.allSatisfy { $0.isASCII && $0.isNumber } ? ":\(text)" : text)
        } catch { throw CommandFailure(.usage, "\(flag): \(error)") }
    }

    private func duration(_ text: String, _ flag: String) throws -> Duration {
        guard let duration = DurationText.parse(text) else {
            throw CommandFailure(.usage, "\(flag) is \"\(text)\": expected a duration such as 10s, 1m30s or 500ms")
        }
        return duration
    }
}
