import Foundation
import Notation
import OCI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// `make soak`: the command under mixed load and random faults for a long time. It must give no wrong verdict, and end
/// with the memory and the descriptors that it had. `COUNTERSIGN_SOAK_SECONDS` says how long; without it nothing runs.
@Suite struct SoakTests {
    private static let seconds = ProcessInfo.processInfo.environment["COUNTERSIGN_SOAK_SECONDS"].flatMap { Double($0) }

    /// An image, and whether it may ever run.
    private struct Image {
        let key: String
        let isGood: Bool
    }

    /// What was seen, from all who ask at once.
    private final class Tally: Sendable {
        struct Counts {
            var requests = 0
            var admitted = 0
            var denied = 0
            var faults = 0
            var mutations = 0
            var dropped = 0
            var injected = 0
            var changes = 0
            var wrong: [String] = []
        }
        private let counts = Mutex(Counts())

        var current: Counts { counts.withLock { $0 } }
        func add(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
    }

    /// Memory and descriptors at a time.
    private struct Sample {
        let memory: Int
        let descriptors: Int
    }

    @Test(.enabled(if: seconds != nil)) func aLongTimeOfTrouble() async throws {
        let duration = Duration.seconds(max(20, Self.seconds ?? 60))
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        try await withRegistry { first in
            var paging = FaultyRegistry.Options()
            paging.referrersPageSize = 1
            try await withRegistry(paging) { second in
                let images = try await Self.publish(first) + Self.publish(second)
                let configuration = try Self.configure(files)
                let process = try await ServeProcess(
                    config: configuration, tls: tls, ["--idle-timeout", "2s", "--cache-ttl", "300ms"])
                let tally = Tally()
                let samples = try await Self.run(
                    for: duration, process, tls, images, [first, second], files, tally)
                first.clearFaults()
                second.clearFaults()
                try await Self.settle(process, tls, images, tally)
                let end = try Sample(memory: memory(process.identifier), descriptors: descriptors(process.identifier))
                process.signal(SIGINT)
                #expect(await process.ended() == 0)
                Self.judge(samples, end, tally.current, duration)
            }
        }
    }

    /// Images of every kind.
    private static func publish(_ registry: FaultyRegistry) async throws -> [Image] {
        let signers = try Signers.shared.get()
        let app = try Repository("\(registry.endpoint)/soak")
        try await app.push("jws", signedBy: signers.release, .jws)
        try await app.push("cose", signedBy: signers.other, .cose)
        try await app.push("unsigned", signedBy: nil)
        try await app.push("tampered", signedBy: signers.release, .jws, .tampered)
        try await app.push("expired", signedBy: signers.other, .cose, .expired)
        try await app.push("stranger", signedBy: signers.stranger)
        let both = try await app.push("both", signedBy: signers.stranger)
        try await signers.release.sign(both, in: app.reference, at: app.destination)
        let good = ["jws", "cose", "both"]
        return (good + ["unsigned", "tampered", "expired", "stranger"]).map {
            Image(key: app.name($0), isGood: good.contains($0))
        }
    }

    private static func configure(_ files: CommandFiles) throws -> String {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.verificationTimeout = 2500
        configuration.executor = ["maximumConcurrentPerRegistry": 8, "maximumQueued": 64]
        return files.directory.write(configuration.json.bytes, to: "soak.json")
    }

    /// Asks, breaks things and measures, for as long as is wanted.
    private static func run(
        for duration: Duration, _ process: ServeProcess, _ tls: ServingFiles, _ images: [Image],
        _ registries: [FaultyRegistry], _ files: CommandFiles, _ tally: Tally
    ) async throws -> [Sample] {
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: [Sample].self) { group in
            for _ in 0..<6 {
                group.addTask {
                    while .now < end, process.isRunning { await ask(process, tls, images, tally) }
                    return []
                }
            }
            group.addTask {
                while .now < end { try await injectFaults(registries, tally) }
                return []
            }
            group.addTask {
                while .now < end {
                    try await Task.sleep(for: .seconds(5))
                    try change(files, tls, tally)
                }
                return []
            }
            group.addTask {
                var samples: [Sample] = []
                while .now < end, process.isRunning {
                    try await Task.sleep(for: .milliseconds(500))
                    samples.append(
                        try Sample(memory: memory(process.identifier), descriptors: descriptors(process.identifier)))
                }
                return samples
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// One thing that a client does.
    private static func ask(_ process: ServeProcess, _ tls: ServingFiles, _ images: [Image], _ tally: Tally) async {
        do {
            let client = try await TestClient.connect(port: process.port, tls.gatekeeper)
            switch Int.random(in: 0..<20) {
            case 0:
                // Goes away in the middle.
                try await client.send(
                    "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
                tally.add { $0.dropped += 1 }
                client.close()
            case 1:
                let reply = try await client.ask("POST", "/ratify/gatekeeper/v1/verify", body: "{not json")
                tally.add {
                    $0.requests += 1
                    if !reply.text.contains("systemError") { $0.wrong.append("no system error: \(reply.text)") }
                }
                client.close()
            case 2, 3:
                let key = images.randomElement()?.key ?? ""
                _ = try await client.ask(
                    "POST", "/ratify/gatekeeper/v1/mutate", body: TestClient.request([key]))
                tally.add { $0.mutations += 1 }
                client.close()
            default:
                let asked = Array(images.shuffled().prefix(Int.random(in: 1...4)))
                let answer = Answer(try await client.verify(asked.map(\.key)), asked: asked.map(\.key))
                tally.add { counts in
                    counts.requests += 1
                    for image in asked { check(answer, image, &counts) }
                }
                // As Gatekeeper does, most are left open.
                if Bool.random() { client.close() }
            }
        } catch {
            tally.add { $0.dropped += 1 }
        }
        try? await Task.sleep(for: .milliseconds(Int.random(in: 0...60)))
    }

    /// Only faults that may pass are injected, so a verdict is either right or not there.
    private static func check(_ answer: Answer, _ image: Image, _ counts: inout Tally.Counts) {
        if answer.admits(image.key) {
            counts.admitted += 1
            if !image.isGood { counts.wrong.append("admitted \(image.key): \(answer)") }
        } else if answer.denies(image.key) {
            counts.denied += 1
            if image.isGood { counts.wrong.append("denied \(image.key): \(answer)") }
        } else {
            counts.faults += 1
            if answer.systemError?.contains(image.key) != true {
                counts.wrong.append("no word on \(image.key): \(answer)")
            }
        }
    }

    private static func injectFaults(_ registries: [FaultyRegistry], _ tally: Tally) async throws {
        let kinds: [RegistryFault.Kind] = [
            .tooManyRequests(retryAfter: nil), .tooManyRequests(retryAfter: "1"), .status(500), .status(503), .reset,
            .cutShort, .delay(.milliseconds(700)), .delay(.seconds(4)),
            .slowBody(bytes: 400, every: .milliseconds(150)),
        ]
        guard let registry = registries.randomElement(), let kind = kinds.randomElement(),
            let path = ["/v2/soak/manifests/*", "/v2/soak/referrers/*", "/v2/soak/blobs/*"].randomElement()
        else { return }
        registry.inject(kind, path: path, count: Int.random(in: 1...20))
        registry.forgetRequests()
        tally.add { $0.injected += 1 }
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...1500)))
        if Int.random(in: 0..<3) == 0 { registry.clearFaults() }
    }

    /// The same configuration written anew, sometimes broken for a moment; the serving certificate written anew.
    private static func change(_ files: CommandFiles, _ tls: ServingFiles, _ tally: Tally) throws {
        let path = files.path("soak.json")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        if Bool.random() { try Data(text.utf8.prefix(text.utf8.count / 2)).write(to: URL(filePath: path)) }
        // Another space is another configuration.
        try Data((text + (text.hasSuffix("  ") ? "" : " ")).utf8).write(to: URL(filePath: path), options: .atomic)
        let certificate = tls.directory + "/tls.crt"
        try Data(contentsOf: URL(filePath: certificate)).write(to: URL(filePath: certificate), options: .atomic)
        tally.add { $0.changes += 1 }
    }

    /// Without faults every image gets its verdict again, and the connections that were left go.
    private static func settle(
        _ process: ServeProcess, _ tls: ServingFiles, _ images: [Image], _ tally: Tally
    ) async throws {
        for image in images {
            let isRight = try await eventually {
                let answer = Answer(
                    try await TestClient.post(
                        port: process.port, tls.gatekeeper, body: TestClient.request([image.key])), asked: [image.key])
                tally.add { check(answer, image, &$0) }
                return image.isGood ? answer.admits() : answer.denies()
            }
            #expect(isRight, "\(image.key) has no verdict after the faults are gone")
        }
        try await Task.sleep(for: .seconds(4))
    }

    private static func judge(_ samples: [Sample], _ end: Sample, _ counts: Tally.Counts, _ duration: Duration) {
        // The first third fills caches and pools.
        let later = samples.dropFirst(samples.count / 3)
        let (early, late) = (later.prefix(later.count / 2), later.suffix(later.count / 2))
        func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }
        guard !early.isEmpty, !late.isEmpty else { return #expect(Bool(false), "no samples") }
        let memory = (early: median(early.map(\.memory)), late: median(late.map(\.memory)))
        let open = (early: median(early.map(\.descriptors)), late: median(late.map(\.descriptors)))
        let megabyte = 1_048_576
        print(
            """
            soak: \(duration.components.seconds) s, \(counts.requests) requests, \(counts.mutations) mutations, \
            \(counts.dropped) broken off, \(counts.injected) faults injected, \(counts.changes) changes of configuration
            soak: \(counts.admitted) admitted, \(counts.denied) denied, \(counts.faults) without a verdict, \
            \(counts.wrong.count) wrong
            soak: memory \(memory.early / megabyte) MiB, then \(memory.late / megabyte), at the end \
            \(end.memory / megabyte); descriptors \(open.early), then \(open.late), at the end \(end.descriptors)
            """)
        #expect(counts.wrong.isEmpty, "\(counts.wrong.prefix(5).joined(separator: "\n"))")
        #expect(counts.admitted > 0 && counts.denied > 0 && counts.faults > 0 && counts.injected > 0)
        #expect(memory.late < memory.early + max(memory.early / 10, 8 * megabyte), "memory grows")
        #expect(open.late < open.early + 40, "descriptors grow")
        #expect(end.descriptors < 80, "descriptors are left open")
    }
}
