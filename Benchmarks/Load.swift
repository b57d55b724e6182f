import NIOCore

/// What a round of load found.
struct LoadResult: Sendable {
    /// The time of each request in microseconds.
    let latencies: [Double]
    /// How long the round took, in seconds.
    let seconds: Double
    /// Processor time of the server in the round, in seconds.
    let serverCPU: Double
    /// Processor time of this process in the round, in seconds.
    let clientCPU: Double

    var requestsPerSecond: Double { Double(latencies.count) / seconds }
    /// Microseconds of the server's processor time for each request.
    var serverMicroseconds: Double { serverCPU / Double(latencies.count) * 1e6 }
    var clientMicroseconds: Double { clientCPU / Double(latencies.count) * 1e6 }

    /// Measures a round around a piece of work that gives latencies.
    static func of(_ server: ServerProcess, _ work: () async throws -> [Double]) async throws -> LoadResult {
        let (cpu, own, start) = (
            try ProcessStatistics(pid: server.pid).cpuSeconds, processorTime(), ContinuousClock.now
        )
        let latencies = try await work()
        let elapsed = ContinuousClock.now - start
        guard !latencies.isEmpty else { throw BenchmarkError("a round without a single request") }
        return LoadResult(
            latencies: latencies, seconds: elapsed.seconds,
            serverCPU: try ProcessStatistics(pid: server.pid).cpuSeconds - cpu, clientCPU: processorTime() - own)
    }
}

/// Closed-loop load over connections that stay: each asks again as soon as it is answered (Gatekeeper from 3.22 on).
struct KeepAliveLoad: Sendable {
    let gatekeeper: Gatekeeper
    let channels: [any Channel]

    /// Opens the connections, and sees on each that it is answered rightly.
    init(_ gatekeeper: Gatekeeper, connections: Int, question: Question) async throws {
        self.gatekeeper = gatekeeper
        var channels: [any Channel] = []
        for _ in 0..<connections {
            let channel = try await gatekeeper.connect()
            channels.append(channel)
            _ = try await gatekeeper.ask(question, on: channel, isThorough: true)
        }
        self.channels = channels
    }

    /// Asks on all connections for some time, or for some requests on each.
    func run(_ question: Question, limit: Int = .max, for time: TimeAmount = .seconds(60)) async throws -> [Double] {
        let deadline = NIODeadline.now() + time
        return try await withThrowingTaskGroup(of: [Double].self) { group in
            for channel in channels {
                group.addTask { try await gatekeeper.ask(question, on: channel, limit: limit, until: deadline) }
            }
            var all: [Double] = []
            for try await latencies in group { all += latencies }
            return all
        }
    }

    func close() async { for channel in channels { try? await channel.close() } }
}

/// What Gatekeeper up to 3.21 does: a new mutual-TLS connection for each request, which it never closes.
struct NewConnectionLoad: Sendable {
    let gatekeeper: Gatekeeper

    /// Asks `count` times, `atOnce` at a time; gives the latencies from the first packet to the answer, and the connections.
    func run(_ question: Question, count: Int, atOnce: Int) async throws -> (latencies: [Double], open: [any Channel]) {
        try await withThrowingTaskGroup(of: ([Double], [any Channel]).self) { group in
            for worker in 0..<atOnce {
                let share = count / atOnce + (worker < count % atOnce ? 1 : 0)
                group.addTask {
                    var latencies: [Double] = []
                    var channels: [any Channel] = []
                    for _ in 0..<share {
                        let start = ContinuousClock.now
                        let channel = try await gatekeeper.connect()
                        channels.append(channel)
                        _ = try await gatekeeper.ask(question, on: channel)
                        latencies.append((ContinuousClock.now - start).seconds * 1e6)
                    }
                    return (latencies, channels)
                }
            }
            var all: (latencies: [Double], open: [any Channel]) = ([], [])
            for try await (latencies, channels) in group {
                all.latencies += latencies
                all.open += channels
            }
            return all
        }
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
