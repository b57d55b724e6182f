import ArgumentParser
import CountersignService

/// How `serve` remembers verdicts.
struct ServeCacheOptions: ParsableArguments {
    /// What Ratify's chart passes when nobody chose a name.
    private static let ratifysName = "dapr-redis"

    @Option(

        help: ArgumentHelp(
            "Whether verdicts are remembered; with =false none is.", valueName: "true|false"))
    var cacheEnabled = true

    @Option(
        help: ArgumentHelp("Where verdicts are remembered: ristretto, this process's own memory.", valueName: "type"))
    var cacheType = "ristretto"

    @Option(help: ArgumentHelp("A Dapr state store's name. Only Ratify's default is accepted.", valueName: "name"))
    var cacheName = ServeCacheOptions.ratifysName

    @Option(help: ArgumentHelp("How many megabytes of verdicts are remembered at most.", valueName: "MB"))
    var cacheSize = 256

    @Option(help: ArgumentHelp("How long a verdict is remembered: 10s, 1m, 0s for not at all.", valueName: "duration"))
    var cacheTTL = "10s"

    func decisionSettings() throws -> DecisionSettings {
        let lifetime = try Duration(flag: "--cache-ttl", cacheTTL)
        guard (1...65_536).contains(cacheSize) else {
            throw CommandFailure(.usage, "--cache-size is \(cacheSize): expected 1 to 65536 megabytes")
        }
        switch cacheType {
        case "ristretto": break
        case "dapr":
            throw CommandFailure(
                .usage, "--cache-type is \"dapr\": state stores of Dapr are not supported; use \"ristretto\"")
        default:
            throw CommandFailure(.usage, "--cache-type is \"\(cacheType)\": not known; use \"ristretto\"")
        }
        guard cacheName == ServeCacheOptions.ratifysName || cacheName.isEmpty else {
            throw CommandFailure(
                .usage,
                "--cache-name is \"\(cacheName)\": it names a state store of Dapr, which a cache of type \"\(cacheType)\" has not; leave it out"
            )
        }
        return DecisionSettings(lifetime: cacheEnabled ? lifetime : .zero, maximumBytes: cacheSize << 20)
    }
}
