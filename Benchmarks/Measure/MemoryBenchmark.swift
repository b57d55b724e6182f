import NIOCore
import NIOPosix

/// What stays in the server's memory: of connections that nobody closes, and of images by the hundred thousand.
struct MemoryBenchmark {
    let files: ServingFiles
    let server: ServerLauncher
    let group: MultiThreadedEventLoopGroup
    let isQuick: Bool
    /// When the last image must have been asked for.
    let until: ContinuousClock.Instant

    func run(_ report: inout Report) async throws {
        var rows: [[String]] = []
        try await connections(&report, &rows)
        if !isQuick { try await distinctImages(&report, &rows) }
        report.table("Resident memory of the server", ["", "MB", "(min – max)"], rows)
    }

    /// 3 000 connections in Gatekeeper's manner, to a new server each time.
    private func connections(_ report: inout Report, _ rows: inout [[String]]) async throws {
        let count = isQuick ? 1000 : 3000
        var (resident, left, later): ([Double], [Double], [Double]) = ([], [], [])
        let runs = isQuick ? 1 : 3
        for run in 0..<runs {
            try await server.withServer(files) { process, port in
                let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
                let question = Question(keys: [files.images[0]])
                try await gatekeeper.askOnce(question)
                let load = await NewConnectionLoad(gatekeeper: gatekeeper)
                    .run(.closed([question], limit: count, for: .seconds(60)), atOnce: 32)
                _ = try load.outcome.allGood()
                resident.append(try ProcessStatistics(pid: process.pid).residentMegabytes)
                left.append(Double(load.open.count { $0.isActive }))
                if run == runs - 1, !isQuick {
                    // The idle timeout is 30 s.
                    let waited = ContinuousClock.now
                    while load.open.contains(where: \.isActive), ContinuousClock.now - waited < .seconds(45) {
                        try await Task.sleep(for: .milliseconds(250))
                    }
                    later.append(try ProcessStatistics(pid: process.pid).residentMegabytes)
                }
                for channel in load.open { try? await channel.close() }
            }
        }
        let figure = report.add(
            Figure(isQuick ? "memory.after-1000-connections" : "memory.after-3000-connections", unit: "MB", resident))
        let open = report.add(Figure("connections.left-open", unit: "connections", left)).samples.median.fixed(0)
        rows.append(
            row("after \(Double(count).fixed(0)) connections in Gatekeeper's manner, \(open) still open", figure))
        if !later.isEmpty {
            rows.append(
                row("30 s later, none open", report.add(Figure("memory.after-idle-timeout", unit: "MB", later))))
        }
    }

    /// 100 000 images, each with a digest and a signature of its own, with the caches as they ship.
    private func distinctImages(_ report: inout Report, _ rows: inout [[String]]) async throws {
        let registry = try await GeneratedRegistry(signer: files.quickSigner, group: group)
        let begun = ContinuousClock.now
        try await server.withServer(files, configuration: files.registryConfiguration) { process, port in
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            let load = try await KeepAliveLoad(
                gatekeeper, connections: 4, question: Question(keys: registry.images(0..<1)))
            var (next, admitted, undecided) = (1, 0, 0)
            var marks = [10_000, 50_000]
            while admitted < Self.distinct, ContinuousClock.now < until {
                let count = min(5000, Self.distinct - admitted)
                let questions = stride(from: next, to: next + count, by: 10).map {
                    Question(keys: registry.images($0..<($0 + 10)))
                }
                next += count
                let outcome = try await load.run(.closed(questions, limit: questions.count, isThorough: true))
                admitted += outcome.latencies.count * 10
                undecided += outcome.failures * 10
                // On a busy machine the server may say that it has too much to do; it must say nothing that is wrong.
                if let failure = outcome.firstFailure, !failure.hasPrefix(Question.undecided) || undecided > 2000 {
                    throw BenchmarkError("\(outcome.failures) requests failed, the first so: \(failure)")
                }
                while let mark = marks.first, admitted >= mark {
                    marks.removeFirst()
                    let now = try ProcessStatistics(pid: process.pid).residentMegabytes
                    let figure = report.add(Figure("memory.after-\(mark)-images", unit: "MB", [now]))
                    rows.append(row("after \(Double(mark).fixed(0)) distinct images", figure))
                }
            }
            let statistics = try ProcessStatistics(pid: process.pid)
            // Under its name only if it is that.
            let figure = report.add(
                Figure("memory.after-\(admitted)-images", unit: "MB", [statistics.residentMegabytes]))
            rows.append(row("after \(Double(admitted).fixed(0)) distinct images", figure))
            let peak = report.add(Figure("memory.peak-\(admitted)-images", unit: "MB", [statistics.peakMegabytes]))
            rows.append(row("the most it was until then", peak))
            let cpu = report.add(
                Figure("cold.serve.ten-keys.cpu", unit: "ms", [statistics.cpuSeconds * 1000 / Double(admitted)]))
            note(
                "\(admitted) images took \((ContinuousClock.now - begun).seconds.fixed(0)) s, "
                    + "\(cpu.samples.median.short) ms CPU each, \(undecided) not judged at the first time")
            await load.close()
        }
        await registry.stop()
    }

    private static let distinct = 100_000

    private func row(_ title: String, _ figure: Figure) -> [String] {
        [title, figure.samples.median.fixed(1), figure.samples.range(1)]
    }
}
