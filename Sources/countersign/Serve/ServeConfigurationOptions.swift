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
            "Take the configuration from custom resources (not supported in this version).", valueName: "true|false"))
    var enableCrdManager = false

    func check() throws {
        guard !enableCrdManager else {
            throw CommandFailure(
                .usage,
                "--enable-crd-manager: custom resources are not supported in this version; give a configuration file with -c"
            )
        }
    }
}
