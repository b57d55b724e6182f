import ArgumentParser

@main
struct CountersignBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "countersign-bench",
        abstract: "Measures countersign, and puts load on any Gatekeeper external-data provider.",
        subcommands: [MeasureCommand.self, LoadCommand.self], defaultSubcommand: MeasureCommand.self)
}
