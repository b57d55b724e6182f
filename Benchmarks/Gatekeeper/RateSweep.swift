import NIOCore

/// What an open loop at one rate found.
struct LoadPoint: Sendable {
    /// Requests per second that were due; answered ones per second, failed ones left out.
    let offered: Double
    let achieved: Double
    let latencies: Latencies
    let failures: Int
    let firstFailure: String?

    /// Whether what was due was answered: a hundredth may be late at the end.
    var isKeptUp: Bool { achieved >= offered * 0.97 && failures == 0 }

    static let columns = [
        "offered/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "failed",
    ]

    var row: [String] {
        [offered.fixed(0), achieved.fixed(0)]
            + [0.5, 0.9, 0.99, 0.999].map { latencies.percentile($0).fixed(2) }
            + [latencies.maximum.fixed(2), "\(failures)"]
    }
}

/// Open loops at rising rates.
struct RateSweep: Sendable {
    enum Style: Sendable {
        /// A new mutual-TLS connection for each request, never closed by the client.
        case newConnections
        case keepAlive
    }

    let gatekeeper: Gatekeeper
    let questions: [Question]
    let style: Style
    /// How many requests may be under way.
    let connections: Int
    let time: TimeAmount
    let timeout: TimeAmount

    /// Measures each rate once, with a pause in which the server recovers.
    func run(_ rates: [Double], onPoint: (LoadPoint) -> Void = { _ in }) async throws -> [LoadPoint] {
        var points: [LoadPoint] = []
        var kept: KeepAliveLoad?
        if style == .keepAlive {
            kept = try await KeepAliveLoad(gatekeeper, connections: connections, question: questions[0])
        }
        for rate in rates {
            let workload = Workload.open(questions, rate: rate, for: time, timeout: timeout)
            var outcome: Outcome
            var left: [any Channel] = []
            if let kept {
                outcome = try await kept.run(workload)
            } else {
                (outcome, left) = await NewConnectionLoad(gatekeeper: gatekeeper).run(workload, atOnce: connections)
            }
            let elapsed = max(Double((NIODeadline.now() - workload.start).nanoseconds), Double(time.nanoseconds)) / 1e9
            outcome = workload.complete(outcome)
            let point = LoadPoint(
                offered: rate, achieved: Double(outcome.latencies.count) / elapsed, latencies: outcome.latencies,
                failures: outcome.failures, firstFailure: outcome.firstFailure)
            points.append(point)
            onPoint(point)
            // The next rate begins without those that this one left.
            for channel in left { try? await channel.close() }
            try await Task.sleep(for: .milliseconds(300))
        }
        await kept?.close()
        return points
    }
}
