import ArgumentParser

/// Where `serve` takes its configuration from.
struct ServeConfigurationOptions: ParsableArguments {
    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "Configuration file. (default: $RATIFY_CONFIG/config.json, then ~/.ratify/config.json)", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Take stores, verifiers, policies and trusted certificates from custom resources; the file then says only how requests are served and logged.",
            valueName: "true|false"))
    var enableCrdManager = false
}
