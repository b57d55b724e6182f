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

    /// Measures everything and prints a table.
    func run(_ report: inout Report) async throws {
        var rows: [[String]] = []
        try await keepAlive(&report, &rows)
        try await newConnections(&report, &rows)
        report.table(
            "Warm requests to countersign serve: loopback, TLS 1.3, client certificate, closed loop",
            ["", "requests/s", "(min – max)", "server CPU µs", "(min – max)", "client CPU µs", "p50 ms", "p99 ms"],
            rows,
            notes: [
                "Client and server share the machine: requests/s is what is left to the server; CPU µs is per request."
            ])
    }

    private func keepAlive(_ report: inout Report, _ rows: inout [[String]]) async throws {
        try await server.withServer(files) { process, port in
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            let load = try await KeepAliveLoad(gatekeeper, connections: 32, question: oneKey)
            _ = try await load.run(.closed([oneKey], limit: 10_000)).allGood()
            let resident = try ProcessStatistics(pid: process.pid).residentMegabytes
            report.add(Figure("memory.after-10000-requests", unit: "MB", [resident]))
            for (name, title, question) in [
                ("keep-alive.one-key", "keep-alive, 32 connections, one key", oneKey),
                ("keep-alive.ten-keys", "keep-alive, 32 connections, ten keys", tenKeys),
            ] {
                _ = try await load.run(.closed([question], for: .milliseconds(200))).allGood()
                var results: [LoadResult] = []
                for _ in 0..<rounds {
                    results.append(
                        try await LoadResult.of(process) {
                            try await load.run(.closed([question], for: .milliseconds(isQuick ? 700 : 2000)))
                        })
                }
                rows.append(row(title, name, results, &report))
            }
            await load.close()
        }
    }

    private func newConnections(_ report: inout Report, _ rows: inout [[String]]) async throws {
        try await server.withServer(files) { process, port in
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            for image in files.images { try await gatekeeper.askOnce(Question(keys: [image])) }
            let classic = NewConnectionLoad(gatekeeper: gatekeeper)
            let hybrid = NewConnectionLoad(
                gatekeeper: try Gatekeeper(
                    port: port, identity: files.client, group: group, curves: [.x25519_MLKEM768, .x25519]))
            var open: [any Channel] = []
            for (name, title, load, question, atOnce, count) in [
                ("new-connection.at-1.one-key", "new connection each, one at a time", classic, oneKey, 1, 300),
                (
                    "new-connection.at-32.one-key", "new connection each, 32 at once, one key", classic, oneKey, 32,
                    1000
                ),
                (
                    "new-connection.at-32.ten-keys", "new connection each, 32 at once, ten keys", classic, tenKeys, 32,
                    400
                ),
                (
                    "new-connection.hybrid.one-key", "the same, one key, X25519MLKEM768", hybrid, oneKey, 32, 400
                ),
            ] {
                var results: [LoadResult] = []
                for _ in 0..<rounds {
                    results.append(
                        try await LoadResult.of(process) {
                            let round = await load.run(
                                .closed([question], limit: isQuick ? count / 4 : count), atOnce: atOnce)
                            open += round.open
                            return round.outcome
                        })
                }
                rows.append(row(title, name, results, &report))
            }
            for channel in open { try? await channel.close() }
        }
    }

    private func row(_ title: String, _ name: String, _ results: [LoadResult], _ report: inout Report) -> [String] {
        let rate = report.add(Figure("requests.\(name).rate", unit: "requests/s", results.map(\.requestsPerSecond)))
        let cpu = report.add(Figure("requests.\(name).server-cpu", unit: "µs", results.map(\.serverMicroseconds)))
        let client = report.add(Figure("requests.\(name).client-cpu", unit: "µs", results.map(\.clientMicroseconds)))
        let p50 = report.add(Figure("requests.\(name).p50", unit: "ms", results.map { $0.latencies.percentile(0.5) }))
        let p99 = report.add(Figure("requests.\(name).p99", unit: "ms", results.map { $0.latencies.percentile(0.99) }))
        return [
            title, rate.samples.median.fixed(0), rate.samples.range(0), cpu.samples.median.short, cpu.samples.range,
            client.samples.median.short, p50.samples.median.fixed(2), p99.samples.median.fixed(2),
        ]
    }
}
