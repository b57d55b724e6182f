import NIOCore

/// What a round of load found.
struct LoadResult: Sendable {
    let latencies: Latencies
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

    /// Measures a round around a piece of work, in which no request may fail.
    static func of(_ server: ServerProcess, _ work: () async throws -> Outcome) async throws -> LoadResult {
        let (cpu, own, start) = (
            try ProcessStatistics(pid: server.pid).cpuSeconds, processorTime(), ContinuousClock.now
        )
        let latencies = try await work().allGood()
        let elapsed = ContinuousClock.now - start
        guard latencies.count > 0 else { throw BenchmarkError("a round without a single request") }
        return LoadResult(
            latencies: latencies, seconds: elapsed.seconds,
            serverCPU: try ProcessStatistics(pid: server.pid).cpuSeconds - cpu, clientCPU: processorTime() - own)
    }
}

/// Load over connections that stay (Gatekeeper from 3.22 on).
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
            _ = try await gatekeeper.ask(Workload.Job(question: question, due: nil), on: channel, isThorough: true)
                .allGood()
        }
        self.channels = channels
    }

    /// Asks on all connections. One that fails is replaced, as Gatekeeper's client would.
    func run(_ workload: Workload) async throws -> Outcome {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for channel in channels {
                group.addTask {
                    var whole = Outcome()
                    var channel = channel
                    while true {
                        let part: Outcome
                        do {
                            if !channel.isActive { channel = try await gatekeeper.connect() }
                            part = try await gatekeeper.ask(workload, on: channel)
                        } catch {
                            // Not even a connection: do not hammer.
                            whole.fail("\(error)")
                            if NIODeadline.now() >= workload.end { return whole }
                            try await Task.sleep(for: .milliseconds(50))
                            continue
                        }
                        whole.add(part)
                        if part.failures == 0 { return whole }
                    }
                }
            }
            var all = Outcome()
            for try await part in group { all.add(part) }
            return all
        }
    }

    func close() async { for channel in channels { try? await channel.close() } }
}

/// What Gatekeeper up to 3.21 does: a new mutual-TLS connection for each request, which it never closes.
struct NewConnectionLoad: Sendable {
    let gatekeeper: Gatekeeper

    /// Asks, `atOnce` at a time; latencies count from before the first packet. Gives the connections, too.
    func run(_ workload: Workload, atOnce: Int) async -> (outcome: Outcome, open: [any Channel]) {
        await withTaskGroup(of: (Outcome, [any Channel]).self) { group in
            for _ in 0..<atOnce {
                group.addTask {
                    var outcome = Outcome()
                    var channels: [any Channel] = []
                    while let job = workload.next() {
                        if let due = job.due, due > .now() {
                            try? await gatekeeper.group.next().scheduleTask(deadline: due) {}.futureResult.get()
                        }
                        let begun = Workload.Job(question: job.question, due: job.due ?? .now())
                        do {
                            let channel = try await gatekeeper.connect()
                            channels.append(channel)
                            outcome.add(
                                try await gatekeeper.ask(
                                    begun, on: channel, isThorough: workload.isThorough, timeout: workload.timeout))
                        } catch { outcome.fail("\(error)") }
                    }
                    return (outcome, channels)
                }
            }
            var all: (outcome: Outcome, open: [any Channel]) = (Outcome(), [])
            for await (outcome, channels) in group {
                all.outcome.add(outcome)
                all.open += channels
            }
            return all
        }
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
