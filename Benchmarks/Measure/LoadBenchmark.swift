import NIOCore
import NIOPosix

/// Latency against load: open loops at rising rates, up to more than the server can answer.
struct LoadBenchmark {
    let files: ServingFiles
    let server: ServerLauncher
    let group: MultiThreadedEventLoopGroup
    /// Where plots are written to.
    let plots: String
    let isQuick: Bool

    func run(_ report: inout Report) async throws {
        for (title, name, style) in [
            ("New mutual-TLS connection for each request", "latency-new-connections", RateSweep.Style.newConnections),
            ("Kept mutual-TLS connections", "latency-keep-alive", .keepAlive),
        ] {
            let points = try await measure(style)
            report.table(
                "Latency against load, open loop: \(title.lowercasingFirst)", LoadPoint.columns, points.map(\.row),
                notes: ["Latency counts from when a request was due. Client and server share the machine."])
            for point in points {
                report.add(
                    Figure(
                        "load.\(name).p99.at-\(point.offered.plainInteger)", unit: "ms",
                        [point.latencies.percentile(0.99)]))
                if let failure = point.firstFailure {
                    note("\(point.failures) requests at \(point.offered.fixed(0))/s failed, the first so: \(failure)")
                }
            }
            let plot = LatencyPlot(
                title: "\(title): latency against offered load",
                subtitle: [
                    "countersign serve, one key, verdict remembered; open loop of \(seconds.fixed(0)) s a point; client on the same machine",
                    "\(report.date), \(report.machine.description)",
                ], points: points)
            let file = "\(plots)/\(name).svg"
            try ServingFiles.write(plot.svg, to: file)
            report.addPlot(file, title: plot.title)
        }
    }

    private var seconds: Double { isQuick ? 1 : 4 }

    private func measure(_ style: RateSweep.Style) async throws -> [LoadPoint] {
        try await server.withServer(files) { _, port in
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            let question = Question(keys: [files.images[0]])
            try await gatekeeper.askOnce(question)
            // What a closed loop reaches says where the curve must end.
            let capacity: Double
            let begun = ContinuousClock.now
            switch style {
            case .newConnections:
                let (outcome, open) = await NewConnectionLoad(gatekeeper: gatekeeper)
                    .run(.closed([question], limit: isQuick ? 200 : 1000), atOnce: 32)
                capacity = Double(try outcome.allGood().count) / (ContinuousClock.now - begun).seconds
                for channel in open { try? await channel.close() }
            case .keepAlive:
                let load = try await KeepAliveLoad(gatekeeper, connections: 32, question: question)
                let started = ContinuousClock.now
                let outcome = try await load.run(.closed([question], for: .seconds(1)))
                capacity = Double(try outcome.allGood().count) / (ContinuousClock.now - started).seconds
                await load.close()
            }
            let shares = isQuick ? [0.2, 0.6, 0.9, 1.1] : [0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1]
            let sweep = RateSweep(
                gatekeeper: gatekeeper, questions: [question], style: style,
                connections: style == .keepAlive ? 32 : 64, time: .milliseconds(Int64(seconds * 1000)),
                timeout: .seconds(15))
            return try await sweep.run(shares.map { ($0 * capacity).roundedToTwoDigits })
        }
    }
}

extension Double {
    /// `1234` as `1200`.
    var roundedToTwoDigits: Double {
        var scale = 1.0
        while self / scale >= 100 { scale *= 10 }
        return (self / scale).rounded() * scale
    }
    fileprivate var plainInteger: String { String(Int(self)) }
}

extension String {
    fileprivate var lowercasingFirst: String { prefix(1).lowercased() + dropFirst() }
}
