import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign serve` as a process: start, answers, signals, and why it does not start.
@Suite struct ServeCommandTests {
    /// A registry with `app:v1`, signed, and files to serve it with.
    private func withSigned(
        _ body: (FaultyRegistry, Repository, CommandFiles, ServingFiles) async throws -> Void
    ) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            registry.forgetRequests()
            try await body(registry, app, files, try ServingFiles(in: files.directory))
        }
    }

    private func ask(_ process: ServeProcess, _ tls: ServingFiles, _ key: String) async throws -> Answer {
        let reply = try await TestClient.post(
            port: process.port, tls.gatekeeper, body: TestClient.request([key]))
        return Answer(reply, asked: [key])
    }

    @Test func startsAnswersAndStops() async throws {
        try await withSigned { _, app, files, tls in
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            // A debug build on a machine full of other tests; what the release build needs is measured elsewhere.
            #expect(process.startTime < .seconds(15))
            expectAdmitted(try await ask(process, tls, app.name("v1")))
            expectDenied(try await ask(process, tls, app.name("nowhere")), nil, "no such content")
            let healthy = try await TestClient.ask(port: process.healthPort, method: "GET", path: "/healthz")
            #expect(healthy.status == 200)
            let metrics = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics")
            #expect(metrics.text.contains("countersign_build_info{version="))
            #expect(metrics.text.contains("ratify_verification_request_count 2"))
            process.signal(SIGINT)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    @Test func whatIsInFlightIsAnsweredWhenItMustEnd() async throws {
        try await withSigned { registry, app, files, tls in
            for number in 0..<10 { try await app.push("n\(number)", signedBy: Signers.shared.get().other) }
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            registry.forgetRequests()
            registry.inject(.delay(.seconds(2)), method: "HEAD")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    let key = app.name("n\(number % 10)")
                    group.addTask { expectAdmitted(try await ask(process, tls, key)) }
                }
                // All ten images are being looked up: the requests are in the house.
                #expect(try await eventually { registry.requests.count >= 10 })
                try await Task.sleep(for: .milliseconds(500))
                process.signal(SIGTERM)
                try await group.waitForAll()
            }
            #expect(await process.ended() == 0, "\(process.log)")
            await #expect(throws: (any Error).self) { try await ask(process, tls, app.name("n1")) }
        }
    }

    @Test func ratifysEnvironmentAndJSONLogs() async throws {
        try await withSigned { _, app, files, tls in
            var configuration = try ConfigurationText.trustingRelease().json.object ?? [:]
            configuration["logger"] = ["formatter": "json", "level": "error"]
            files.directory.write(JSONValue.object(configuration).bytes, to: "ratify/config.json")
            let process = try await ServeProcess(
                config: nil, tls: tls, environment: ["RATIFY_CONFIG": files.path("ratify"), "RATIFY_LOG_LEVEL": "info"])
            expectAdmitted(try await ask(process, tls, app.name("v1")))
            expectDenied(try await ask(process, tls, app.name("nowhere")))
            process.signal(SIGTERM)
            #expect(await process.ended() == 0)
            let events = process.log.split(separator: "\n").map { try? StrictJSON.parse(Array($0.utf8)) }
            #expect(!events.isEmpty && !events.contains(nil), "\(process.log)")
            let verdicts = events.filter { $0?["verdict"] != nil }
            #expect(verdicts.compactMap { $0?["verdict"]?.string } == ["pass", "fail"], "\(process.log)")
            #expect(verdicts.allSatisfy { $0?["trace-id"]?.string?.isEmpty == false && $0?["time"] != nil })
            #expect(verdicts.first??["digest"]?.string?.hasPrefix("sha256:") == true)
        }
    }

    @Test func connectionsThatGatekeeperForgetsAreClosed() async throws {
        try await withSigned { _, app, files, tls in
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls, ["--idle-timeout", "1s"])
            let client = try await TestClient.connect(port: process.port, tls.gatekeeper)
            expectAdmitted(Answer(try await client.verify([app.name("v1")]), asked: [app.name("v1")]))
            #expect(await client.isClosed(within: .seconds(15)))
            let next = try await TestClient.connect(port: process.port, tls.gatekeeper)
            expectAdmitted(Answer(try await next.verify([app.name("v1")]), asked: [app.name("v1")]))
            // Nobody waits for one that is open and idle.
            process.signal(SIGTERM)
            let start = ContinuousClock.now
            #expect(await process.ended() == 0)
            #expect(ContinuousClock.now - start < .seconds(8))
        }
    }

    @Test func aNewConfigurationNeedsNoRestart() async throws {
        try await withSigned { _, app, files, tls in
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls, ["--cache-ttl", "10m"])
            expectAdmitted(try await ask(process, tls, app.name("v1")))
            let distrust = ConfigurationText.trusting(
                try Signers.shared.get().strangerAuthority.certificate.pem)
            try Data(distrust.json.bytes).write(to: URL(filePath: files.path("config.json")), options: .atomic)
            #expect(try await eventually { try await ask(process, tls, app.name("v1")).denies() })
            process.signal(SIGTERM)
            #expect(await process.ended() == 0)
        }
    }

    @Test func whatItCannotServeWithIsTwoWithTheReason() async throws {
        try await withSigned { _, _, files, tls in
            var broken = try ConfigurationText.trustingRelease()
            broken.trustPolicies = [ConfigurationText.statement(stores: ["ca:nobody"])]
            files.directory.write(broken.json.bytes, to: "broken.json")
            files.directory.write("{", to: "half.json")
            let config = files.path("config.json")
            let local = ["--http", "127.0.0.1:0", "--health-port", "127.0.0.1:0", "--metrics-port", "127.0.0.1:0"]
            try FileManager.default.createDirectory(
                atPath: files.path("empty"), withIntermediateDirectories: true)
            for (arguments, words) in [
                (["-c", files.path("half.json")], "not valid JSON"), (["-c", files.path("gone.json")], "gone.json"),
                (["-c", files.path("broken.json")], "ca:nobody"),
                (["-c", config, "--cert-dir", files.path("empty")], "tls.crt"),
                (["-c", config, "--cert-dir", tls.directory, "--ca-cert-file", files.path("half.json")], "half.json"),
                (["-c", config, "--ca-cert-file", files.path("half.json")], "--cert-dir"),
                (["-c", config, "--enable-crd-manager"], "--enable-crd-manager: "),
                (["-c", config, "--cache-ttl", "soon"], "--cache-ttl"),
                (["-c", config, "--cache-size", "0"], "--cache-size"),
                (["-c", config, "--cache-type", "dapr"], "Dapr"),
                (["-c", config, "--cache-type", "memcached"], "--cache-type"),
                (["-c", config, "--cache-name", "our-redis"], "--cache-name"),
                (["-c", config, "--cache-enabled=perhaps"], "--cache-enabled"),
                (["-c", config, "--metrics-type", "statsd"], "--metrics-type"),
                (["-c", config, "--metrics-port", "metrics"], "--metrics-port"),
                (["-c", config, "--idle-timeout", "0s"], "--idle-timeout"),
                (["-c", config, "--max-keys", "0"], "--max-keys"),
                (["-c", config, "--max-connections", "0"], "--max-connections"),
                (["-c", config, "--max-connections", "2000000"], "ulimit -n"),
                (["-c", config, "--http", "nowhere:none"], "--http"),
            ] {
                let run = try await Command.run(["serve"] + local + arguments)
                #expect(run.status == 2, "\(arguments): \(run)")
                #expect(run.errors.contains(words), "\(arguments): \(run)")
            }
        }
    }

    /// The arguments of the deployment in Ratify's chart, but for addresses and files.
    private func ratifysFlags(cache: Bool) -> [String] {
        [
            "--ca-cert-files=", "--cache-enabled=\(cache)", "--cache-type=ristretto", "--cache-name=dapr-redis",
            "--cache-size=256", "--cache-ttl=10m", "--metrics-enabled=true", "--metrics-type=prometheus",
        ]
    }

    @Test func theFlagsOfRatifysChartHaveTheirEffect() async throws {
        try await withSigned { registry, app, files, tls in
            for (isCached, lookups) in [(true, 0), (false, 2)] {
                let process = try await ServeProcess(
                    config: files.path("config.json"), tls: tls, ratifysFlags(cache: isCached))
                expectAdmitted(try await ask(process, tls, app.name("v1")))
                registry.forgetRequests()
                for _ in 0..<2 { expectAdmitted(try await ask(process, tls, app.name("v1"))) }
                #expect(registry.requests.count { $0.method == "HEAD" } == lookups, "cached: \(isCached)")
                process.signal(SIGTERM)
                #expect(await process.ended() == 0, "\(process.log)")
            }
        }
    }

    @Test func metricsCanBeOff() async throws {
        try await withSigned { _, _, files, tls in
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--metrics-enabled=false"], hasMetrics: false)
            #expect(process.metricsPort == 0 && !process.log.contains("for=metrics"), "\(process.log)")
            process.signal(SIGTERM)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    @Test func aPortThatIsTakenIsTold() async throws {
        try await withSigned { registry, _, files, tls in
            let run = try await Command.run(
                "serve", "-c", files.path("config.json"), "--http", registry.endpoint, "--health-port", "127.0.0.1:0",
                "--metrics-port", "127.0.0.1:0", "--cert-dir", tls.directory)
            #expect(run.status == 2, "\(run)")
            #expect(run.errors.contains(registry.endpoint), "\(run)")
        }
    }
}
