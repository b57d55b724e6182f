import Foundation
import StrictJSON
import TestSupport

/// `countersign serve` as a process of its own.
final class ServeProcess: Sendable {
    let port: Int
    let healthPort: Int
    /// Zero when it serves none.
    let metricsPort: Int
    /// Zero when Kyverno is not served.
    let kyvernoPort: Int
    /// From the start of the process until `/readyz` said yes.
    let startTime: Duration
    /// Who reads its log, when that may stall.
    let reader: StallingReader?
    private let directory: TemporaryDirectory
    private let process: Process
    private let status: AsyncStream<Int32>

    /// Why it does not run.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Starts it on free ports, and waits until it is ready.
    ///
    /// - Parameters:
    ///   - config: the configuration file; `nil` for the one that the environment says.
    ///   - isLogPiped: whether its log goes through a pipe, whose reader can be told to stall.
    ///   - limits: commands of a shell before it becomes the program: `ulimit -n 100`.
    init(
        config: String?, tls: ServingFiles, _ options: [String] = [], environment: [String: String] = [:],
        hasMetrics: Bool = true, isLogPiped: Bool = false, limits: String? = nil
    ) async throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        // An object that did not come to be has no deinit.
        var hasStarted = false
        defer { if !hasStarted { directory.remove() } }
        let log = directory.write([], to: "log")
        let process = Process()
        process.executableURL = URL(filePath: Command.path)
        process.arguments =
            [
                "serve", "--http", "127.0.0.1:0", "--health-port", "127.0.0.1:0", "--metrics-port",
                "127.0.0.1:0", "--cert-dir", tls.directory, "--ca-cert-file", tls.directory + "/gatekeeper.crt",
            ] + options + (config.map { ["-c", $0] } ?? [])
        if let limits {
            process.executableURL = URL(filePath: "/bin/sh")
            process.arguments = ["-c", limits + #"; exec "$0" "$@""#, Command.path] + (process.arguments ?? [])
        }
        process.environment = Command.environment(home: directory.path).merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        reader = isLogPiped ? try StallingReader(into: log) : nil
        process.standardError = try reader?.pipe ?? FileHandle(forWritingTo: URL(filePath: log))
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { process in
            continuation.yield(
                process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
            continuation.finish()
        }
        self.process = process
        status = stream
        let start = ContinuousClock.now
        try process.run()
        var ports: [String: Int] = [:]
        let isReady = try await eventually {
            guard process.isRunning else { return true }
            ports = Self.ports(in: try String(contentsOfFile: log, encoding: .utf8))
            guard ports["provider"] != nil, !hasMetrics || ports["metrics"] != nil, let health = ports["health"] else {
                return false
            }
            return try await TestClient.ask(port: health, method: "GET", path: "/readyz").status == 200
        }
        startTime = .now - start
        guard isReady, let port = ports["provider"], let healthPort = ports["health"] else {
            process.terminate()
            throw Failure(description: try String(contentsOfFile: log, encoding: .utf8))
        }
        (self.port, self.healthPort, self.metricsPort) = (port, healthPort, ports["metrics"] ?? 0)
        kyvernoPort = ports["kyverno"] ?? 0
        hasStarted = true
    }

    /// `msg=listening … for=provider port=…`
    private static func ports(in log: String) -> [String: Int] {
        var ports: [String: Int] = [:]
        for line in log.split(separator: "\n") where line.contains("listening") {
            if let event = try? StrictJSON.parse(Array(line.utf8)) {
                guard let purpose = event["for"]?.string else { continue }
                ports[purpose] = event["port"]?.string.flatMap { Int($0) } ?? event["port"]?.integer.map { Int($0) }
                continue
            }
            let words = line.split(separator: " ")
            guard let purpose = words.first(where: { $0.hasPrefix("for=") })?.dropFirst(4),
                let port = words.first(where: { $0.hasPrefix("port=") }).flatMap({ Int($0.dropFirst(5)) })
            else { continue }
            ports[String(purpose)] = port
        }
        return ports
    }

    /// What it has logged.
    var log: String { (try? String(contentsOfFile: directory.path("log"), encoding: .utf8)) ?? "" }

    /// Whether it has logged this; for logs that are long.
    func hasLogged(_ text: String) throws -> Bool {
        try Data(contentsOf: URL(filePath: directory.path("log")), options: .alwaysMapped).range(of: Data(text.utf8))
            != nil
    }

    var identifier: Int32 { process.processIdentifier }

    var isRunning: Bool { process.isRunning }

    /// Sends a signal.
    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for its end; gives the exit status, or a signal's number with a minus.
    func ended() async -> Int32 {
        for await status in status { return status }
        return -1
    }

    deinit {
        if process.isRunning { process.terminate() }
        directory.remove()
    }
}
