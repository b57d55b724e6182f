import Foundation
import Synchronization
import TestSupport
import Testing

/// `countersign serve` whose log goes into a pipe that nobody reads for a while.
@Suite struct LogPipeTests {
    /// The process, and what was read of its log.
    private final class Piped: Sendable {
        let process = Process()
        private let pipe = Pipe()
        private let text = Mutex<[UInt8]>([])
        private let isReading = Mutex(true)

        init(_ arguments: [String], home: String) throws {
            process.executableURL = URL(filePath: Command.path)
            process.arguments = arguments
            process.environment = Command.environment(home: home)
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = pipe
            try process.run()
            let input = pipe.fileHandleForReading.fileDescriptor
            Thread.detachNewThread { [self] in
                var buffer = [UInt8](repeating: 0, count: 64 << 10)
                while true {
                    guard isReading.withLock({ $0 }) else {
                        usleep(5000)
                        continue
                    }
                    let count = Foundation.read(input, &buffer, buffer.count)
                    guard count > 0 else { break }
                    text.withLock { $0 += buffer[..<count] }
                }
            }
        }

        func read(_ wanted: Bool) { isReading.withLock { $0 = wanted } }

        var lines: [Substring] { text.withLock { String(decoding: $0, as: UTF8.self) }.split(separator: "\n") }

        func port(of purpose: String) -> Int? {
            lines.first { $0.contains("msg=listening") && $0.contains("for=\(purpose)") }?.split(separator: " ")
                .first { $0.hasPrefix("port=") }.flatMap { Int($0.dropFirst(5)) }
        }

        func end() { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    @Test func aLogThatNobodyReadsHoldsUpNoAnswer() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        let serve = try Piped(
            [
                "serve", "--http", "127.0.0.1:0", "--health-port", "127.0.0.1:0", "--metrics-port", "127.0.0.1:0",
                "--cert-dir", tls.directory, "--ca-cert-file", tls.directory + "/gatekeeper.crt", "-c",
                files.path("config.json"),
            ], home: files.directory.path)
        defer { serve.end() }
        let isUp = try await eventually {
            ["provider", "health", "metrics"].allSatisfy { serve.port(of: $0) != nil } || !serve.process.isRunning
        }
        let (port, metrics) = (serve.port(of: "provider"), serve.port(of: "metrics"))
        guard isUp, let port, let metrics else {
            Issue.record("\(serve.lines)")
            return
        }

        // Some kilobytes of log for each key, more together than the pipe and the writer have room for.
        serve.read(false)
        let (requests, keysEach) = (32, 60)
        let keys = (0..<keysEach).map { "\(String(repeating: "x", count: 1500)) \($0)" }
        let client = try await TestClient.connect(port: port, tls.gatekeeper)
        for _ in 0..<requests {
            let answer = Answer(try await client.verify(keys), asked: keys)
            #expect(answer.items.count == keysEach && answer.systemError == nil)
        }
        func scraped() async throws -> Int {
            let page = try await TestClient.ask(port: metrics, method: "GET", path: "/metrics").text
            let line = page.split(separator: "\n").first { $0.hasPrefix("countersign_log_lines_dropped_total ") }
            return line?.split(separator: " ").last.flatMap { Int($0) } ?? -1
        }
        let dropped = try await scraped()
        #expect(dropped > 0 && dropped % keysEach == 0 && dropped < requests * keysEach, "\(dropped)")

        // It is told where they are missing, and what comes later comes after it.
        serve.read(true)
        let isTold = try await eventually {
            let notes = serve.lines.filter { $0.contains("msg=\"log lines dropped\"") }
            let told = notes.compactMap { note in
                note.split(separator: " ").first { $0.hasPrefix("lines=") }.flatMap { Int($0.dropFirst(6)) }
            }
            return told.reduce(0, +) == dropped
        }
        #expect(isTold, "\(serve.lines.suffix(3))")
        func refused() -> Int { serve.lines.count { $0.contains("msg=verify") && $0.contains("verdict=refused") } }
        #expect(refused() == requests * keysEach - dropped)
        _ = try await client.verify(["not a reference"])
        #expect(try await scraped() == dropped)
        kill(serve.process.processIdentifier, SIGINT)
        #expect(try await eventually { !serve.process.isRunning })
        #expect(serve.process.terminationStatus == 0)
        #expect(try await eventually { serve.lines.last?.contains("msg=stopped") == true }, "\(serve.lines.suffix(3))")
        #expect(refused() == requests * keysEach - dropped + 1)
    }
}
