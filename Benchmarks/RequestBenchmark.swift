import NIOCore
import NIOPosix

/// Warm requests to the real `countersign serve` on loopback, and what they leave in its memory.
struct RequestBenchmark {
    let files: ServingFiles
    let server: ServerLauncher
    let group: MultiThreadedEventLoopGroup
    let isQuick: Bool

    private var rounds: Int { isQuick ? 3 : 5 }
    private var oneKey: Question { Question(keys: [files.images[0]]) }
    private var tenKeys: Question { Question(keys: Array(files.images.prefix(10))) }

    /// Measures everything and prints two tables.
    func run(_ report: inout Report) async throws {
        var rows: [[String]] = []
        var memory: [[String]] = []
        try await keepAlive(&report, &rows, &memory)
        try await newConnections(&report, &rows, &memory)
        report.table(
            "Warm requests to countersign serve: loopback, TLS 1.3, client certificate, closed loop",
            ["", "requests/s", "(min – max)", "server CPU µs", "(min – max)", "client CPU µs", "p50 ms", "p99 ms"],
            rows,
            notes: [
                "Client and server share the machine: requests/s is what is left to the server; CPU µs is per request."
            ])
        report.table("Resident memory of the server", ["", "MB"], memory)
    }

    private func keepAlive(_ report: inout Report, _ rows: inout [[String]], _ memory: inout [[String]]) async throws {
        try await server.withServer(files) { process, port in
            let gatekeeper = try Gatekeeper(port: port, files: files, group: group)
            let load = try await KeepAliveLoad(gatekeeper, connections: 32, question: oneKey)
            _ = try await load.run(oneKey, limit: 10_000 / 32 + 1)
            remember("after 10 000 keep-alive requests", "memory.after-10000-requests", process, &report, &memory)
            for (name, title, question) in [
                ("keep-alive.one-key", "keep-alive, 32 connections, one key", oneKey),
                ("keep-alive.ten-keys", "keep-alive, 32 connections, ten keys", tenKeys),
            ] {
                _ = try await load.run(question, for: .milliseconds(200))
                var results: [LoadResult] = []
                for _ in 0..<rounds {
                    results.append(
                        try await LoadResult.of(process) {
                            try await load.run(question, for: .milliseconds(isQuick ? 700 : 2000))
                        })
                }
                rows.append(row(title, name, results, &report))
            }
            remember("after the keep-alive rounds", "memory.after-keep-alive", process, &report, &memory)
            await load.close()
        }
    }

    private func newConnections(
        _ report: inout Report, _ rows: inout [[String]], _ memory: inout [[String]]
    ) async throws {
        try await server.withServer(files) { process, port in
            let gatekeeper = try Gatekeeper(port: port, files: files, group: group)
            for image in files.images { try await gatekeeper.askOnce(Question(keys: [image])) }
            let classic = NewConnectionLoad(gatekeeper: gatekeeper)
            let hybrid = NewConnectionLoad(
                gatekeeper: try Gatekeeper(port: port, files: files, group: group, curves: [.x25519_MLKEM768, .x25519]))
            var open: [any Channel] = []
            for (name, title, load, question, atOnce, count) in [
                ("new-connection.at-1.one-key", "new connection each, one at a time", classic, oneKey, 1, 150),
                (
                    "new-connection.hybrid.one-key", "new connection each, 32 at once, X25519MLKEM768", hybrid, oneKey,
                    32, 200
                ),
                (
                    "new-connection.at-32.ten-keys", "new connection each, 32 at once, ten keys", classic, tenKeys, 32,
                    150
                ),
                ("new-connection.at-32.one-key", "new connection each, 32 at once, one key", classic, oneKey, 32, 500),
            ] {
                var results: [LoadResult] = []
                // 3 rounds each, so that the connections are 3 000 in all.
                for _ in 0..<3 {
                    results.append(
                        try await LoadResult.of(process) {
                            let round = try await load.run(
                                question, count: isQuick ? count / 3 : count, atOnce: atOnce)
                            open += round.open
                            return round.latencies
                        })
                }
                rows.append(row(title, name, results, &report))
            }
            let left = open.count { $0.isActive }
            remember(
                "after \(open.count) Gatekeeper-style connections (\(left) still open)", "memory.after-connections",
                process, &report, &memory)
            report.add(Figure("connections.left-open", unit: "connections", [Double(left)]))
            if !isQuick {
                // The idle timeout is 30 s.
                let waited = ContinuousClock.now
                while open.contains(where: \.isActive), ContinuousClock.now - waited < .seconds(45) {
                    try await Task.sleep(for: .milliseconds(250))
                }
                remember(
                    "\((ContinuousClock.now - waited).seconds.fixed(0)) s later (\(open.count { $0.isActive }) still open)",
                    "memory.after-idle-timeout", process, &report, &memory)
            }
            for channel in open { try? await channel.close() }
        }
    }

    private func row(_ title: String, _ name: String, _ results: [LoadResult], _ report: inout Report) -> [String] {
        let rate = report.add(Figure("requests.\(name).rate", unit: "requests/s", results.map(\.requestsPerSecond)))
        let cpu = report.add(Figure("requests.\(name).server-cpu", unit: "µs", results.map(\.serverMicroseconds)))
        let client = report.add(Figure("requests.\(name).client-cpu", unit: "µs", results.map(\.clientMicroseconds)))
        let latency = results.map { Samples($0.latencies) }
        let p50 = report.add(Figure("requests.\(name).p50", unit: "ms", latency.map { $0.percentile(0.5) / 1000 }))
        let p99 = report.add(Figure("requests.\(name).p99", unit: "ms", latency.map { $0.percentile(0.99) / 1000 }))
        return [
            title, rate.samples.median.fixed(0), rate.samples.range(0), cpu.samples.median.short, cpu.samples.range,
            client.samples.median.short, p50.samples.median.fixed(2), p99.samples.median.fixed(2),
        ]
    }

    private func remember(
        _ title: String, _ name: String, _ process: ServerProcess, _ report: inout Report, _ memory: inout [[String]]
    ) {
        guard let now = try? ProcessStatistics(pid: process.pid) else { return }
        report.add(Figure(name, unit: "MB", [now.residentMegabytes]))
        memory.append([title, now.residentMegabytes.fixed(1)])
    }
}
