import ArgumentParser
import ProviderServer
import Quotation

/// Where `serve` says how it is doing.
struct ServeObservationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where /healthz and /readyz are.", valueName: "address"))
    var healthPort = ":9099"

    @Option(

        help: ArgumentHelp("Whether /metrics is served.", valueName: "true|false"))
    var metricsEnabled = true

    @Option(help: ArgumentHelp("The format of the metrics: prometheus.", valueName: "type"))
    var metricsType = "prometheus"

    @Option(help: ArgumentHelp("Where /metrics is.", valueName: "address"))
    var metricsPort = "8888"

    func healthAddress() throws -> ListenAddress { try ListenAddress(flag: "--health-port", healthPort) }

    /// `nil` when no metrics are wanted. Type and address are checked all the same.
    func metricsAddress() throws -> ListenAddress? {
        guard metricsType == "prometheus" else {
            throw CommandFailure(
                .usage, "--metrics-type is \"\(metricsType.quoted)\": only \"prometheus\" is supported")
        }
        let address = try ListenAddress(flag: "--metrics-port", metricsPort)
        return metricsEnabled ? address : nil
    }
}
