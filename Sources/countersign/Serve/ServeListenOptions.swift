import ArgumentParser
import CountersignService
import Kubernetes
import ProviderServer
import Quotation

/// How Gatekeeper connects to `serve`, and what one request may be.
struct ServeListenOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where Gatekeeper connects: :PORT or HOST:PORT.", valueName: "address"))
    var http = ":6001"

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

    @Option(
        help: ArgumentHelp(
            "The Secret whose ca.crt client certificates must chain to, read through the Kubernetes API and followed.",
            valueName: "namespace/name"))
    var caCertSecret: String?

    @Option(
        name: .customLong("client-name"),
        help: ArgumentHelp(
            "A name of which a client's certificate must have one, as DNS name or common name; repeat, or separate with commas. Gatekeeper's is gatekeeper-webhook-service.gatekeeper-system.svc. Without it every certificate of the CAs is good.",
            valueName: "name"))
    var clientNames: [String] = []

    @Option(
        help: ArgumentHelp(
            "With RATIFY_CERT_ROTATION=true: the Provider objects whose caBundle is kept.", valueName: "name,name"))
    var rotateProviders = "ratify-provider,ratify-mutation-provider"

    @Option(
        help: ArgumentHelp(
            "When a connection without a request is closed; Gatekeeper up to 3.21 closes none.", valueName: "duration"))
    var idleTimeout = "30s"

    @Option(
        help: ArgumentHelp(
            "How many connections may be open at once (default: 2048, or half of the files the process may open if that is less).",
            valueName: "count"))
    var maxConnections: Int?

    @Option(help: ArgumentHelp("The longest request body.", valueName: "bytes"))
    var maxBodyBytes = 1 << 20

    @Option(help: ArgumentHelp("The most keys in one request.", valueName: "count"))
    var maxKeys = 1000

    func clusterCertificates() throws -> ClusterCertificateSettings {
        var settings = ClusterCertificateSettings()
        if let caCertSecret, !caCertSecret.isEmpty {
            let parts = caCertSecret.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
                throw CommandFailure(.usage, "--ca-cert-secret is \"\(caCertSecret.quoted)\": expected NAMESPACE/NAME")
            }
            settings.authoritySecret = ResourceKey(namespace: parts[0], name: parts[1])
        }
        settings.providers = rotateProviders.split(separator: ",").map(String.init)
        return settings
    }

    func providerConfiguration() throws -> ProviderConfiguration {
        // Ratify's chart says `--ca-cert-files=` when it knows none.
        let authorities = clientAuthorities.flatMap { $0.split(separator: ",").map(String.init) }
        if certDir == nil, !authorities.isEmpty {
            throw CommandFailure(
                .usage, "--ca-cert-file has no meaning without --cert-dir: plain HTTP has no client certificates")
        }
        var configuration = ProviderConfiguration(
            address: try ListenAddress(flag: "--http", http),
            certificates: certDir.map { ServingCertificateFiles(directory: $0, clientAuthorities: authorities) })
        configuration.clientNames = try names()
        guard (1024...(64 << 20)).contains(maxBodyBytes) else {
            throw CommandFailure(.usage, "--max-body-bytes is \(maxBodyBytes): expected 1024 to \(64 << 20)")
        }
        guard (1...100_000).contains(maxKeys) else {
            throw CommandFailure(.usage, "--max-keys is \(maxKeys): expected 1 to 100000")
        }
        let files = OpenFiles.raiseLimit()
        if let maxConnections {
            guard (1...max(1, files - OpenFiles.ownUse)).contains(maxConnections) else {
                throw CommandFailure(
                    .usage,
                    "--max-connections is \(maxConnections): expected 1 to \(max(1, files - OpenFiles.ownUse)), since the process may open \(files) files (ulimit -n) and needs some itself"
                )
            }
            configuration.maximumConnections = maxConnections
        } else {
            configuration.maximumConnections = min(ProviderConfiguration.usualConnections, max(1, files / 2))
        }
        configuration.maximumBodyBytes = maxBodyBytes
        configuration.maximumKeys = maxKeys
        configuration.idleTimeout = try Duration(flag: "--idle-timeout", idleTimeout)
        guard configuration.idleTimeout >= .milliseconds(100) else {
            throw CommandFailure(.usage, "--idle-timeout is \(idleTimeout): expected 100ms or more")
        }
        return configuration
    }

    /// The names of `--client-name`; `nil` when it was not given.
    private func names() throws -> ClientNames? {
        guard !clientNames.isEmpty else { return nil }
        let names = clientNames.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        guard let result = ClientNames(names) else {
            throw CommandFailure(
                .usage,
                "--client-name is empty: expected a name such as gatekeeper-webhook-service.gatekeeper-system.svc")
        }
        return result
    }
}
