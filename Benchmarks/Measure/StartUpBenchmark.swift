import Glibc
import NIOPosix

/// From the start of the process to its first answer, and what it weighs then.
struct StartUpBenchmark {
    let files: ServingFiles
    let server: ServerLauncher
    let group: MultiThreadedEventLoopGroup
    let isQuick: Bool

    /// Starts the server several times; prints one table.
    func run(_ report: inout Report) async throws {
        var (answered, ready, memory): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<(isQuick ? 3 : 7) {
            let (port, health) = (try ServerLauncher.freePort(), try ServerLauncher.freePort())
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            let log = files.directory + "/serve.log"
            let process = try ServerProcess(
                server.countersign,
                files.arguments(port: port, healthPort: health, configuration: files.layoutConfiguration), log: log)
            do {
                async let first = untilAnswered(gatekeeper, since: process.started)
                ready.append(try await ServerLauncher.untilReady(process, port: health) * 1000)
                answered.append(try await first * 1000)
                await process.stop()
            } catch {
                await process.stop()
                throw BenchmarkError("\(error)\nThe end of the server's log:\n\(textFile(log).suffix(3000))")
            }
            // A second start, left alone: nobody has asked it anything but whether it is ready. Long enough for
            // whatever it does after its start: a figure of the first moment would say nothing of a process that runs
            // for weeks.
            try await server.withServer(files) { process, _ in
                try await Task.sleep(for: .seconds(16))
                memory.append(try ProcessStatistics(pid: process.pid).residentMegabytes)
            }
        }
        var rows = [
            row(
                "start to first verified answer over TLS, ms",
                report.add(Figure("start.first-answer", unit: "ms", answered))),
            row("start to /readyz 200, ms", report.add(Figure("start.ready", unit: "ms", ready))),
            row("resident memory, idle for 16 s, MB", report.add(Figure("memory.idle", unit: "MB", memory))),
        ]
        if let size = await strippedMegabytes() {
            rows.append(row("stripped binary, MB", report.add(Figure("binary.stripped", unit: "MB", [size]))))
        }
        report.table("Start and size", ["", "median", "(min – max)"], rows)
    }

    private func row(_ title: String, _ figure: Figure) -> [String] {
        [title, figure.samples.median.fixed(1), figure.samples.range(1)]
    }

    /// Asks again and again, a new connection each, until there is a right answer.
    private func untilAnswered(_ gatekeeper: Gatekeeper, since start: ContinuousClock.Instant) async throws -> Double {
        let question = Question(keys: [files.images[0]])
        var last: (any Error)?
        while ContinuousClock.now - start < .seconds(15) {
            do {
                try await gatekeeper.askOnce(question)
                return (ContinuousClock.now - start).seconds
            } catch { last = error }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw BenchmarkError("no right answer within 15 s: \(last.map { "\($0)" } ?? "none at all")")
    }

    private func strippedMegabytes() async -> Double? {
        let copy = files.directory + "/countersign.stripped"
        do {
            try await ServerProcess.run(
                "strip", ["-o", copy, server.countersign], log: files.directory + "/strip.log")
        } catch {
            note("the size of the stripped binary is left out: \(error)")
            return nil
        }
        defer { unlink(copy) }
        var status = stat()
        return stat(copy, &status) == 0 ? Double(status.st_size) / 1e6 : nil
    }
}
