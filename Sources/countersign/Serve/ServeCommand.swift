import ArgumentParser
import ConfigurationModel
import CountersignService
import ProviderServer
import Quotation

/// `countersign serve`: the flags are Ratify's, with a few of our own.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve Gatekeeper: verify images, and turn tags into digests.",
        discussion: """
            EXAMPLES
              countersign serve --http :6001 -c config.json --cert-dir /usr/local/tls \\
                --ca-cert-file /usr/local/tls/client-ca/ca.crt --cache-ttl 10s
              countersign serve --enable-crd-manager -c config.json --cert-dir /usr/local/tls

            With --enable-crd-manager the API server is that of the pod's service account, or of $KUBECONFIG or ~/.kube/config.
            Configuration, certificates and trusted certificates are read again when they change. SIGTERM and SIGINT end the
            program after what is in flight is answered.
            """)

    @OptionGroup(title: "Configuration")
    var configuration: ServeConfigurationOptions

    @OptionGroup(title: "Connections")
    var listening: ServeListenOptions

    @OptionGroup(title: "Kyverno")
    var kyverno: ServeKyvernoOptions

    @OptionGroup(title: "Cache")
    var cache: ServeCacheOptions

    @OptionGroup(title: "Metrics and health")
    var observation: ServeObservationOptions

    func run() async throws {
        var provider = try listening.providerConfiguration()
        provider.healthAddress = try observation.healthAddress()
        provider.metricsAddress = try observation.metricsAddress()
        let kyvernoListener = try kyverno.listener()
        var settings = ServerSettings(
            configurationPath: configuration.config, provider: provider,
            decisions: try cache.decisionSettings(), usesResources: configuration.enableCrdManager)
        settings.kyverno = kyvernoListener
        settings.shared = try cache.sharedSettings()
        if let audiences = kyverno.audiences { settings.kyvernoAudiences = audiences }
        settings.clusterCertificates = try listening.clusterCertificates()
        do {
            try await CountersignServer(settings).run()
        } catch let error as CountersignServerError {
            throw CommandFailure(.usage, error.description)
        } catch let error as ProviderServerError {
            throw CommandFailure(.usage, error.description)
        }
    }
}

extension ListenAddress {
    /// An address from a flag; Ratify's `--metrics-port` is a bare number.
    init(flag name: String, _ text: String) throws {
        do {
            self = try ListenAddress(parsing: text.allSatisfy { $0.isASCII && $0.isNumber } ? ":\(text)" : text)
        } catch { throw CommandFailure(.usage, "\(name): \(error)") }
    }
}

extension Duration {
    /// A duration from a flag, as Go writes them.
    init(flag name: String, _ text: String) throws {
        guard let duration = DurationText.parse(text) else {
            throw CommandFailure(
                .usage, "\(name) is \"\(text.quoted)\": expected a duration such as 10s, 1m30s or 500ms")
        }
        self = duration
    }
}
