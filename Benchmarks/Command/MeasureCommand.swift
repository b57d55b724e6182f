import ArgumentParser
import NIOPosix
import StrictJSON

/// The parts of a run.
enum Part: String, CaseIterable, ExpressibleByArgument {
    case verifications, sigstore, requests, start, cold, memory, load

    /// Whether it is measured in this process, without a server.
    var isInMemory: Bool { self == .verifications || self == .sigstore }
}

/// `countersign-bench measure`
struct MeasureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Measures verifications, requests, cold images, memory and start-up; loopback only.")

    @Option(help: "The countersign command to measure, built for release.")
    var countersign: String

    @Option(help: "A directory for keys, images and logs; what it holds is overwritten.")
    var directory: String

    @Option(help: "Also write all figures as JSON to this file.")
    var output: String?

    @Option(
        help: """
            Also write all tables as Markdown to this file; if it has the marks of docs/performance.md, between them.
            """)
    var markdown: String?

    @Option(help: "Where the plots are written to. (default: --directory)")
    var plots: String?

    @Option(help: "Only these parts: \(Part.allCases.map(\.rawValue).joined(separator: ", ")). Repeat for several.")
    var only: [Part] = []

    @Flag(help: "Fewer and shorter rounds: a look, not a measurement.")
    var quick = false

    func run() async throws {
        // Parts end by themselves before that; what hangs is ended.
        ServerProcess.endTogether(after: quick ? 180 : 600)
        let until = ContinuousClock.now + .seconds(quick ? 120 : 465)
        raiseFileLimit()
        let parts = only.isEmpty ? Part.allCases : only
        let machine = Machine()
        print(machine.description)
        var report = Report(machine: machine, isQuick: quick)
        if parts.contains(.verifications) { try await SignatureBenchmark(isQuick: quick).run(&report) }
        if parts.contains(.sigstore) { try SigstoreBenchmark(isQuick: quick).run(&report) }
        if parts.contains(where: { !$0.isInMemory }) { try await runServer(parts, until, &report) }
        let goals = Goal.table(report)
        report.table(goals.title, goals.columns, goals.rows, notes: goals.notes)
        if let output {
            try ServingFiles.write(report.json.prettyText, to: output)
            print("\nAll figures: \(output)")
        }
        if let markdown { try report.writeMarkdown(to: markdown) }
        for plot in report.plots where plots != nil { print("Plot: \(plot.file)") }
    }

    /// - Parameter until: on a machine that is so busy that this is past, parts that are left are left out.
    private func runServer(
        _ parts: [Part], _ until: ContinuousClock.Instant, _ report: inout Report
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let files = try await ServingFiles(directory: directory, count: 10, countersign: countersign)
        let server = ServerLauncher(countersign: countersign)
        for part in [Part.requests, .start, .cold, .load, .memory] where parts.contains(part) {
            guard ContinuousClock.now < until else {
                note(
                    "no time is left for the part \(part.rawValue): this machine is busy; --only \(part.rawValue) measures it"
                )
                continue
            }
            switch part {
            case .verifications, .sigstore: break
            case .requests:
                try await RequestBenchmark(files: files, server: server, group: group, isQuick: quick).run(&report)
            case .start:
                try await StartUpBenchmark(files: files, server: server, group: group, isQuick: quick).run(&report)
            case .cold:
                try await ColdBenchmark(files: files, server: server, group: group, isQuick: quick).run(&report)
            case .load:
                try await LoadBenchmark(
                    files: files, server: server, group: group, plots: plots ?? directory, isQuick: quick
                ).run(&report)
            case .memory:
                try await MemoryBenchmark(
                    files: files, server: server, group: group, isQuick: quick, until: until
                ).run(&report)
            }
        }
        try await group.shutdownGracefully()
    }
}
