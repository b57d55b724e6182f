import ArgumentParser
import FoundationEssentials
import NIOPosix
import StrictJSON

/// The parts of a run.
enum Part: String, CaseIterable, ExpressibleByArgument {
    case verifications, requests, start
}

@main
struct CountersignBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "countersign-bench",
        abstract: "Measures verifications from memory, provider requests, memory and start-up; loopback only.")

    @Option(help: "The countersign command to measure, built for release.")
    var countersign: String

    @Option(help: "A directory for keys, images and logs; what it holds is overwritten.")
    var directory: String

    @Option(help: "Also write all figures as JSON to this file.")
    var output: String?

    @Option(help: "Only these parts: \(Part.allCases.map(\.rawValue).joined(separator: ", ")). Repeat for several.")
    var only: [Part] = []

    @Flag(help: "Fewer and shorter rounds: a look, not a measurement.")
    var quick = false

    func run() async throws {
        ServerProcess.endTogether(after: quick ? 40 : 180)
        let parts = only.isEmpty ? Part.allCases : only
        let machine = Machine()
        print("\(machine.cores) cores, \(machine.processor), load average \(machine.loadAverage.short) at the start")
        var report = Report()
        if parts.contains(.verifications) { try await SignatureBenchmark(isQuick: quick).run(&report) }
        if parts.contains(.requests) || parts.contains(.start) {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
            let files = try await ServingFiles(directory: directory, count: 10, countersign: countersign)
            let server = ServerLauncher(countersign: countersign)
            if parts.contains(.requests) {
                try await RequestBenchmark(files: files, server: server, group: group, isQuick: quick).run(&report)
            }
            if parts.contains(.start) {
                try await StartUpBenchmark(files: files, server: server, group: group, isQuick: quick).run(&report)
            }
            try await group.shutdownGracefully()
        }
        if let output {
            try ServingFiles.write(report.json(isQuick: quick, machine: machine).prettyText, to: output)
            print("\nAll figures: \(output)")
        }
    }
}
