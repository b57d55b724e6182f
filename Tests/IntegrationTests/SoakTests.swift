import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// `make soak`: the command under mixed load and random faults for a long time. It must give no wrong verdict, and end
/// with the memory and the descriptors that it had. `COUNTERSIGN_SOAK_SECONDS` says how long; without it nothing runs.
@Suite struct SoakTests {
    private static let seconds = ProcessInfo.processInfo.environment["COUNTERSIGN_SOAK_SECONDS"].flatMap { Double($0) }

    /// Memory and descriptors at a time.
    private struct Sample {
        let memory: Int
        let descriptors: Int
    }

    /// Starts registries, one beside the other, and ends them whatever happens.
    private static func withRegistries(
        _ options: [FaultyRegistry.Options], _ started: [FaultyRegistry] = [],
        _ body: ([FaultyRegistry]) async throws -> Void
    ) async throws {
        guard let next = options.first else { return try await body(started) }
        try await withRegistry(next) { try await withRegistries(Array(options.dropFirst()), started + [$0], body) }
    }

    @Test(.enabled(if: seconds != nil)) func aLongTimeOfTrouble() async throws {
        let duration = Duration.seconds(max(20, Self.seconds ?? 60))
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        var paging = FaultyRegistry.Options()
        paging.referrersPageSize = 1
        var tagging = FaultyRegistry.Options()
        tagging.referrersAPI = false
        var closed = FaultyRegistry.Options()
        // Tokens end all the time.
        closed.authentication = .token(user: "robot", password: "secret", lifetime: 5)
        try await Self.withRegistries([FaultyRegistry.Options(), paging, tagging, closed]) { registries in
            let authority = try CertificateAuthority(name: "soak root")
            let responder = try OpenSSLResponder(authority)
            defer { responder.stop() }
            let names = ["listed", "paged", "tagged", "private"]
            var images: [SoakMix.Image] = []
            for (registry, name) in zip(registries, names) { images += try await SoakMix.publish(registry, as: name) }
            images += try await SoakMix.publish(registries[0], responder, authority)
            try await responder.start()
            let configuration = try Self.configure(files, registries[3], authority)
            let process = try await ServeProcess(
                config: configuration, tls: tls, ["--idle-timeout", "2s", "--cache-ttl", "300ms"],
                isLogPiped: true)
            let tally = SoakTally()
            let mix = SoakMix(process: process, tls: tls, images: images, tally: tally)
            let trouble = SoakTrouble(
                registries: registries, responder: responder, files: files, tls: tls, tally: tally)
            let samples = try await Self.run(for: duration, mix, trouble)
            for registry in registries { registry.clearFaults() }
            process.reader?.stall(false)
            try await responder.start()
            try await mix.settle()
            let end = try Sample(memory: memory(process.identifier), descriptors: descriptors(process.identifier))
            let tokens = registries[3].tokenRequests.count
            process.signal(SIGINT)
            #expect(await process.ended() == 0)
            #expect(try !process.hasLogged("secret") && process.hasLogged("msg=stopped"))
            Self.judge(samples, end, tally.current, tokens, duration)
        }
    }

    private static func configure(
        _ files: CommandFiles, _ registry: FaultyRegistry, _ authority: CertificateAuthority
    ) throws -> String {
        var configuration = ConfigurationText.trusting(
            try Signers.shared.get().authority.certificate.pem + authority.certificate.pem)
        configuration.verificationTimeout = 2500
        configuration.executor = ["maximumConcurrentPerRegistry": 8, "maximumQueued": 64]
        configuration.staleIfError = "5m"
        // Each verification asks the responder.
        configuration.revocation = ["cacheBytes": 0, "ocspTimeout": 1500, "allowPrivateAddresses": true]
        let account = dockerConfig(registry.endpoint, user: "robot", password: "secret")
        configuration.stores = [
            ConfigurationText.registries(dockerConfig: files.directory.write(account, to: "docker.json"))
        ]
        return files.directory.write(configuration.json.bytes, to: "soak.json")
    }

    /// Asks, breaks things and measures, for as long as is wanted.
    private static func run(
        for duration: Duration, _ mix: SoakMix, _ trouble: SoakTrouble
    ) async throws -> [Sample] {
        let end = ContinuousClock.now + duration
        let process = mix.process
        return try await withThrowingTaskGroup(of: [Sample].self) { group in
            for _ in 0..<6 {
                group.addTask {
                    while .now < end, process.isRunning { await mix.ask() }
                    return []
                }
            }
            func repeatedly(_ body: @escaping @Sendable () async throws -> Void) {
                group.addTask {
                    while .now < end, process.isRunning { try await body() }
                    return []
                }
            }
            repeatedly { try await trouble.injectFaults() }
            repeatedly { try await trouble.takeDownTheResponder() }
            repeatedly { try await trouble.revokeTokens() }
            repeatedly { try await mix.stallTheLog() }
            repeatedly {
                try await Task.sleep(for: .seconds(5))
                try trouble.change()
            }
            repeatedly {
                try await Task.sleep(for: .milliseconds(Int.random(in: 4000...9000)))
                await mix.flood()
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

    private static func judge(
        _ samples: [Sample], _ end: Sample, _ counts: SoakTally.Counts, _ tokens: Int, _ duration: Duration
    ) {
        // The first third fills caches and pools.
        let later = samples.dropFirst(samples.count / 3)
        let (early, late) = (later.prefix(later.count / 2), later.suffix(later.count / 2))
        func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }
        guard !early.isEmpty, !late.isEmpty else { return #expect(Bool(false), "no samples") }
        let memory = (early: median(early.map(\.memory)), late: median(late.map(\.memory)))
        let open = (early: median(early.map(\.descriptors)), late: median(late.map(\.descriptors)))
        let megabyte = 1_048_576
        let groups = counts.verdicts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            """
            soak: \(duration.components.seconds) s, \(counts.requests) requests of Gatekeeper, \(counts.kyverno) of \
            Kyverno, \(counts.mutations) mutations, \(counts.dropped) broken off, \(counts.floods) floods with \
            \(counts.flooded) connections
            soak: \(counts.injected) faults injected, \(counts.changes) changes of configuration, \(tokens) tokens asked \
            for, \(counts.revocations) times revoked, responder \(counts.restarts) times down, log \(counts.stalls) times \
            unread, \(counts.answersInStalls) answers meanwhile
            soak: \(groups.joined(separator: "; "))
            soak: \(counts.total.admitted) admitted, \(counts.stale) of them in an outage, \(counts.total.denied) \
            denied, \(counts.total.faults) without a verdict, \(counts.wrong.count) wrong
            soak: memory \(memory.early / megabyte) MiB, then \(memory.late / megabyte), at the end \
            \(end.memory / megabyte); descriptors \(open.early), then \(open.late), at the end \(end.descriptors)
            """)
        #expect(counts.wrong.isEmpty, "\(counts.wrong.prefix(5).joined(separator: "\n"))")
        #expect(counts.total.admitted > 0 && counts.total.denied > 0 && counts.total.faults > 0 && counts.injected > 0)
        // Each part of the mix was there, unless the machine is too slow for much.
        if counts.requests > 1000 {
            for (name, verdicts) in counts.verdicts {
                #expect(verdicts.admitted > 0 && verdicts.denied > 0 && verdicts.faults > 0, "\(name): \(verdicts)")
            }
            #expect(counts.verdicts.count == 6 && counts.mutations > 0 && counts.flooded > 0)
            #expect(counts.answersInStalls > 0)
            #expect(counts.restarts > 0 && tokens > 1)
        }
        // Outages are short, and rare.
        if counts.requests > 2500 { #expect(counts.stale > 0) }
        #expect(memory.late < memory.early + max(memory.early / 10, 8 * megabyte), "memory grows")
        #expect(open.late < open.early + 40, "descriptors grow")
        #expect(end.descriptors < 80, "descriptors are left open")
    }
}
