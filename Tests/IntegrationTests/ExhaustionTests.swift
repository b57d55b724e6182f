import Foundation
import NIOCore
import TestSupport
import Testing

/// `countersign serve` when something runs out: descriptors, the disk that its log goes to, time.
@Suite struct ExhaustionTests {
    private func withSigned(
        _ body: (FaultyRegistry, String, CommandFiles, ServingFiles) async throws -> Void
    ) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await body(registry, app.name("v1"), files, try ServingFiles(in: files.directory))
        }
    }

    private func ask(_ port: Int, _ tls: ServingFiles, _ key: String) async throws -> Answer {
        Answer(
            try await TestClient.post(port: port, tls.gatekeeper, body: TestClient.request([key])), asked: [key])
    }

    /// Sockets that connect from an address of this machine and say nothing.
    private func idleConnections(_ count: Int, port: Int, from source: String = "127.0.0.1") -> [Int32] {
        func address(_ host: String, _ port: Int) -> sockaddr_in {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = inet_addr(host)
            return address
        }
        func with(
            _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
        ) -> Bool {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
        return (0..<count).compactMap { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            if with(address(source, 0), { bind(descriptor, $0, $1) }),
                with(address("127.0.0.1", port), { connect(descriptor, $0, $1) })
            {
                return descriptor
            }
            close(descriptor)
            return nil
        }
    }

    /// Its limit is lowered while it runs: by itself it does not take more connections than it may have files. It does
    /// not spin, says what is wrong, and is not taken for dead.
    @Test func outOfFileDescriptors() async throws {
        try await withSigned { _, key, files, tls in
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            expectAdmitted(try await ask(process.port, tls, key))
            let lowering = try Process.run(
                URL(filePath: "/usr/bin/prlimit"), arguments: ["--pid", "\(process.identifier)", "--nofile=64"])
            lowering.waitUntilExit()
            #expect(lowering.terminationStatus == 0)
            let sockets = idleConnections(100, port: process.port)
            #expect(sockets.count > 60)
            #expect(try await eventually { process.log.contains("connections cannot be accepted") }, "\(process.log)")
            let before = try processorTime(process.identifier)
            try await Task.sleep(for: .seconds(4))
            // A loop that accepts in vain takes all of a core.
            #expect(try processorTime(process.identifier) - before < .seconds(2))
            #expect(process.isRunning, "\(process.log)")
            #expect(try await TestClient.ask(port: process.healthPort, method: "GET", path: "/readyz").status == 200)
            let metrics = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics").text
            #expect(metrics.contains(#"countersign_accept_errors_total{reason="EMFILE"}"#))
            #expect(metrics.contains("countersign_configuration_valid 1"))
            for descriptor in sockets { close(descriptor) }
            let recovered = try await eventually { (try? await ask(process.port, tls, key))?.admits() == true }
            #expect(recovered, "\(process.log)")
            #expect(process.log.contains("--max-connections") && process.log.contains("may have 64 open"))
            #expect(!process.log.contains("check that the file is there"), "\(process.log)")
            process.signal(SIGINT)
            #expect(await process.ended() == 0)
        }
    }

    /// Clients that send requests without end and read no answer, known ones and strangers: nobody waits for them, and
    /// neither memory nor the log grows with what they send.
    @Test func clientsThatSendAndDoNotRead() async throws {
        try await withSigned { _, key, files, tls in
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--kyverno", "127.0.0.1:0"])
            expectAdmitted(try await ask(process.port, tls, key))
            let before = try memory(process.identifier)
            let body = TestClient.request([key])
            let request =
                "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body
            let known = ByteBuffer(string: String(repeating: request, count: (256 << 10) / request.utf8.count))
            let strange = ByteBuffer(
                string: String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 10_000))
            var clients: [TestClient] = []
            var most = before
            for number in 0..<40 {
                let stranger = try await TestClient.connect(
                    port: process.kyvernoPort, TestClient.Options(trusting: tls.serverAuthority))
                try await stranger.channel.setOption(.autoRead, value: false).get()
                stranger.channel.writeAndFlush(strange, promise: nil)
                clients.append(stranger)
                guard number.isMultiple(of: 5) else { continue }
                let friend = try await TestClient.connect(port: process.port, tls.gatekeeper)
                #expect(try await friend.verify([key]).status == 200)
                // The system would take some megabytes for it.
                try await friend.channel.setOption(.socketOption(.so_rcvbuf), value: 8192).get()
                try await friend.channel.setOption(.autoRead, value: false).get()
                friend.channel.writeAndFlush(known, promise: nil)
                clients.append(friend)
                expectAdmitted(try await ask(process.port, tls, key))
                most = max(most, try memory(process.identifier))
            }
            #expect(most - before < 120 << 20, "\(before >> 20) MiB, then \(most >> 20)")
            let refusals = process.log.split(separator: "\n").count { $0.contains("request refused") }
            #expect(refusals < 40, "\(refusals) lines")
            withExtendedLifetime(clients) {}
            expectAdmitted(try await ask(process.port, tls, key))
            process.signal(SIGTERM)
            #expect(await process.ended() == 0, "\(process.log.suffix(2000))")
        }
    }

    /// One client opens connections without end and says nothing. Others are answered all the time, memory has an end,
    /// and so do those connections.
    @Test func tenThousandIdleConnections() async throws {
        try await withSigned { _, key, files, tls in
            // Both ends are files: of this process, and of the other one.
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let count = min(10_000, Int(min(limit.rlim_cur, 1 << 20)) - 1000)
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--idle-timeout", "10m"])
            expectAdmitted(try await ask(process.port, tls, key))
            let before = try memory(process.identifier)

            // Those that have asked and are left open, as Gatekeeper does: the longest idle make room.
            var asked: [TestClient] = []
            for _ in 0..<80 {
                asked.append(try await TestClient.connect(port: process.port, tls.gatekeeper))
                _ = try await asked.last?.verify([key])
            }
            #expect(await asked[0].isClosed(within: .seconds(60)))
            #expect(try await asked[79].verify([key]).status == 200)

            var sockets: [Int32] = []
            defer { for descriptor in sockets { close(descriptor) } }
            var most = 0
            for _ in 0..<10 {
                sockets += idleConnections(count / 10, port: process.port, from: "127.0.0.2")
                most = max(most, try descriptors(process.identifier))
                let start = ContinuousClock.now
                expectAdmitted(try await ask(process.port, tls, key))
                #expect(start.duration(to: .now) < .seconds(60))
            }
            #expect(sockets.count == count / 10 * 10)
            #expect(most < 2300, "\(most) open")
            let after = try memory(process.identifier)
            #expect(after - before < Sanitizer.memory(200 << 20), "\(before >> 20) MiB, then \(after >> 20)")
            #expect(process.log.contains("connection refused") && process.log.contains("client=127.0.0.2"))
            let metrics = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics")
            #expect(metrics.text.contains(#"countersign_connections_refused_total{reason="source"}"#))
            // They end by themselves: nobody has to be told.
            #expect(try await eventually { try descriptors(process.identifier) < 200 })
            #expect(try await asked[79].verify([key]).status == 200)
            process.signal(SIGTERM)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    /// A log that cannot be written is no reason to stop admission.
    @Test func aFullDiskUnderTheLog() async throws {
        try await withSigned { _, key, files, tls in
            let ports = try freePorts(3)
            let process = Process()
            process.executableURL = URL(filePath: Command.path)
            process.arguments = [
                "serve", "--http", "127.0.0.1:\(ports[0])", "--health-port", "127.0.0.1:\(ports[1])", "--metrics-port",
                "127.0.0.1:\(ports[2])", "--cert-dir", tls.directory, "--ca-cert-file",
                tls.directory + "/gatekeeper.crt",
                "-c", files.path("config.json"),
            ]
            process.environment = Command.environment(home: files.directory.path)
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
            process.standardError = FileHandle(forWritingAtPath: "/dev/full")
            try process.run()
            defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
            let isReady = try await eventually {
                (try? await TestClient.ask(port: ports[1], method: "GET", path: "/readyz"))?.status == 200
            }
            #expect(isReady)
            for _ in 0..<3 { expectAdmitted(try await ask(ports[0], tls, key)) }
            expectDenied(try await ask(ports[0], tls, key.replacing(":v1", with: ":none")))
            #expect(process.isRunning)
        }
    }

    /// As many keys as a body can hold, and more than it may.
    @Test func aMebibyteOfKeys() async throws {
        try await withService(try .trustingRelease()) { service in
            let start = ContinuousClock.now
            let many = (0..<20_000).map { "registry.invalid/app:\($0)" }
            let answer = try await service.send(TestClient.request(many))
            #expect(answer.systemError?.contains("1000") == true, "\(answer.text.prefix(300))")
            #expect(answer.items.isEmpty)
            let long = (0..<500).map { "\(String(repeating: "x", count: 1900))\($0)" }
            let refused = try await service.send(TestClient.request(long))
            #expect(refused.items.count == 500)
            #expect(refused.items.allSatisfy { $0["error"]?.string?.isEmpty == false })
            let huge = try await service.send(TestClient.request((0..<60_000).map { "registry.invalid/app:\($0)" }))
            #expect(huge.systemError?.contains("1048576") == true, "\(huge.text.prefix(300))")
            #expect(start.duration(to: .now) < .seconds(60))
            #expect(try await service.readiness().status == 200)
            let one = try await service.send(TestClient.request(["registry.invalid/app:v 1"]))
            #expect(one.items.count == 1 && one.systemError == nil)
        }
    }

    private func freePorts(_ count: Int) throws -> [Int] {
        let servers = try (0..<count).map { _ in try ScriptedServer(answers: [[.close]]) }
        defer { for server in servers { server.stop() } }
        return servers.map(\.port)
    }
}

/// The resident memory of a process in bytes.
func memory(_ process: Int32) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
}

/// How many file descriptors a process has open.
func descriptors(_ process: Int32) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
}

/// The processor time that a process has used, in user and system mode.
func processorTime(_ process: Int32) throws -> Duration {
    let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
    // After the command, which may have spaces: the state is field 3, the times are fields 14 and 15, in hundredths.
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    return .milliseconds(10 * (12...13).reduce(0) { $0 + (Int(fields[$1]) ?? 0) })
}
