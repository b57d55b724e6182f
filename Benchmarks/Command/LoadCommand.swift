import ArgumentParser
import FoundationEssentials
import NIOCore
import NIOPosix

extension Question.Expectation: ExpressibleByArgument {}

/// `countersign-bench load`
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract:
            "Puts load on a Gatekeeper external-data provider (Countersign, Ratify, your own), as Gatekeeper does.",
        discussion: """
            Without --open-loop each connection asks as soon as it is answered: what a provider can do. With --open-loop requests
            are due at a fixed rate, and latency counts from then: what clients of a provider see at that load.

            EXAMPLES
              countersign-bench load --address 10.0.0.7:6001 --server-name ratify.gatekeeper-system --ca-cert ca.crt \\
                --client-cert client.crt --client-key client.key --image registry.example.com/app:v1 --seconds 10
              countersign-bench load … --open-loop --rate 100 --rate 200 --rate 400 --histogram --plot latency.svg
            """)

    @Option(help: "Where the provider listens: HOST:PORT.")
    var address: String

    @Option(help: "The name that the provider's certificate must have.")
    var serverName = "localhost"

    @Option(help: ArgumentHelp("The authority of the provider's certificate, PEM.", valueName: "file"))
    var caCert: String

    @Option(help: ArgumentHelp("The client's certificate with its chain, PEM.", valueName: "file"))
    var clientCert: String

    @Option(help: ArgumentHelp("The client's key, PEM.", valueName: "file"))
    var clientKey: String

    @Option(help: "The path that is asked.")
    var path = "/ratify/gatekeeper/v1/verify"

    @Option(
        help: ArgumentHelp("An image to ask for. Repeat for several, which are asked for in turn.", valueName: "ref"))
    var image: [String]

    @Option(help: ArgumentHelp("How many images there are in one request.", valueName: "count"))
    var keys = 1

    @Option(help: "What makes an answer right: admitted (each image is), answered (any answer of the protocol).")
    var expect = Question.Expectation.admitted

    @Flag(
        help: "Keep connections, as Gatekeeper does from 3.22 on. Without it each request has a new one, never closed.")
    var keepAlive = false

    @Option(help: ArgumentHelp("How many requests may be under way.", valueName: "count"))
    var connections = 32

    @Option(help: "How long each measurement takes.")
    var seconds = 5

    @Option(help: ArgumentHelp("How long one answer may take.", valueName: "seconds"))
    var timeout = 15

    @Flag(help: "Requests are due at the rates given, whether the one before is answered or not.")
    var openLoop = false

    @Option(help: ArgumentHelp("Requests per second, with --open-loop. Repeat for a curve.", valueName: "count"))
    var rate: [Double] = []

    @Flag(help: "Print the distribution of latencies in HdrHistogram's text form.")
    var histogram = false

    @Option(help: ArgumentHelp("Write a plot of latency against load, with --open-loop.", valueName: "file.svg"))
    var plot: String?

    @Option(help: ArgumentHelp("What the plot says at its top.", valueName: "text"))
    var title = "Latency against offered load"

    func validate() throws {
        guard parsedAddress != nil else { throw ValidationError("--address \"\(address)\": expected HOST:PORT") }
        guard !image.isEmpty else { throw ValidationError("give an --image to ask for") }
        for (name, value, range) in [
            ("--keys", keys, 1...1000), ("--connections", connections, 1...10_000), ("--seconds", seconds, 1...86_400),
            ("--timeout", timeout, 1...3600),
        ] {
            guard range.contains(value) else {
                throw ValidationError("\(name) is \(value): expected \(range.lowerBound) to \(range.upperBound)")
            }
        }
        guard openLoop == !rate.isEmpty else {
            throw ValidationError("--open-loop and --rate go together: a closed loop has no rate of its own")
        }
        guard rate.allSatisfy({ $0 > 0 && $0 <= 1_000_000 }) else {
            throw ValidationError("--rate: expected more than 0, at most 1000000")
        }
        guard plot == nil || openLoop else { throw ValidationError("--plot shows rates: use it with --open-loop") }
    }

    private var parsedAddress: (host: String, port: Int)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (1...65_535).contains(port), colon > address.startIndex
        else { return nil }
        let host = address[..<colon]
        return (String(host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host), port)
    }

    func run() async throws {
        raiseFileLimit()
        guard let (host, port) = parsedAddress else { return }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let gatekeeper = try Gatekeeper(
            host: host, port: port, serverName: serverName,
            identity: Gatekeeper.Identity(
                providerAuthority: try pem(caCert), clientChain: try pem(clientCert), clientKey: try pem(clientKey)),
            group: group)
        // Each image begins one request, so that all are asked for.
        let questions = image.indices.map { first in
            Question(
                keys: (0..<keys).map { image[(first + $0) % image.count] }, path: path, host: serverName,
                expecting: expect)
        }
        // One request first: what is wrong with names, certificates or images shows here, in words.
        try await gatekeeper.askOnce(questions[0])
        if openLoop {
            try await open(gatekeeper, questions)
        } else {
            try await closed(gatekeeper, questions)
        }
        try await group.shutdownGracefully()
    }

    private func pem(_ path: String) throws -> String {
        let text = textFile(path)
        guard text.contains("-----BEGIN ") else { throw ValidationError("\(path): not there, or not PEM") }
        return text
    }

    private func closed(_ gatekeeper: Gatekeeper, _ questions: [Question]) async throws {
        let timeout = TimeAmount.seconds(Int64(timeout))
        var kept: KeepAliveLoad?
        if keepAlive {
            kept = try await KeepAliveLoad(gatekeeper, connections: connections, question: questions[0])
        }
        let workload = Workload.closed(questions, for: .seconds(Int64(seconds)), timeout: timeout)
        let begun = ContinuousClock.now
        let outcome: Outcome
        if let kept {
            outcome = try await kept.run(workload)
        } else {
            outcome = await NewConnectionLoad(gatekeeper: gatekeeper).run(workload, atOnce: connections).outcome
        }
        let rate = Double(outcome.latencies.count) / (ContinuousClock.now - begun).seconds
        show([
            LoadPoint(
                offered: .nan, achieved: rate, latencies: outcome.latencies, failures: outcome.failures,
                firstFailure: outcome.firstFailure)
        ])
    }

    private func open(_ gatekeeper: Gatekeeper, _ questions: [Question]) async throws {
        let sweep = RateSweep(
            gatekeeper: gatekeeper, questions: questions, style: keepAlive ? .keepAlive : .newConnections,
            connections: connections, time: .seconds(Int64(seconds)), timeout: .seconds(Int64(timeout)))
        let points = try await sweep.run(rate.sorted()) {
            note("\($0.offered.fixed(0))/s: p50 \($0.latencies.percentile(0.5).fixed(2)) ms, \($0.failures) failed")
        }
        show(points)
        guard let plot else { return }
        let machine = Machine()
        let how = keepAlive ? "\(connections) kept connections" : "a new connection for each request"
        let drawing = LatencyPlot(
            title: title,
            subtitle: [
                "\(address), \(keys) \(keys == 1 ? "key" : "keys") a request, \(how); open loop of \(seconds) s a point",
                "client: \(machine.cores) cores, \(machine.processor), \(Date().ISO8601Format().prefix(10))",
            ], points: points)
        try ServingFiles.write(drawing.svg, to: plot)
        print("Plot: \(plot)")
    }

    private func show(_ points: [LoadPoint]) {
        print(
            Table(title: openLoop ? "Open loop" : "Closed loop", columns: LoadPoint.columns, rows: points.map(\.row))
                .text)
        for point in points {
            if let failure = point.firstFailure {
                print("\nThe first failure\(openLoop ? " at \(point.offered.fixed(0))/s" : ""): \(failure)")
            }
            if histogram {
                print("\nLatency in ms\(openLoop ? " at \(point.offered.fixed(0))/s" : "")")
                print(point.latencies.distribution)
            }
        }
    }
}
