import Concurrency
import Foundation
import Notation
import OCI
import Synchronization
import TestSupport
import Testing

/// A cluster that starts: two thousand pods of two hundred images at once, nothing known of any image, and a registry
/// that takes its time and limits requests.
///
/// The registry takes a hundred requests a second. With `COUNTERSIGN_COLD_START=full` it takes a hundred in six
/// seconds, which makes a thousand a minute, and each call comes over a connection of its own.
@Suite struct ColdStartTests {
    private static let isFull = ProcessInfo.processInfo.environment["COUNTERSIGN_COLD_START"] == "full"

    /// What an image is.
    private enum Kind { case signed, unsigned, tampered }

    private struct Image {
        let key: String
        let kind: Kind
    }

    /// Puts two hundred images into a registry.
    private func images(in registry: FaultyRegistry) throws -> [Image] {
        let identity = try Signers.shared.get().other.identity
        let signer = try EnvelopeSigner(key: identity.key, chain: identity.chain)
        return try (0..<200).map { number in
            let (repository, tag) = ("team/app-\(number / 10)", "v\(number % 10)")
            let kind: Kind = number % 5 < 3 ? .signed : number % 5 == 3 ? .unsigned : .tampered
            let image = registry.putImage(repository, tag: tag, content: "\(repository):\(tag)")
            if kind != .unsigned {
                var envelope = try signer.sign(image, SigningOptions(format: .jws), now: Date())
                if kind == .tampered { envelope = try TestSigner.spoiled(envelope, .jws) }
                registry.putReferrer(
                    of: image, artifactType: MediaType.notationSignature, blob: envelope,
                    mediaType: EnvelopeFormat.jws.mediaType,
                    annotations: ["io.cncf.notary.x509chain.thumbprint#S256": "[]"], in: repository)
            }
            return Image(key: "\(registry.endpoint)/\(repository):\(tag)", kind: kind)
        }
    }

    /// What became of the pods.
    private struct Course: Sendable {
        var wrong: [String] = []
        /// Answers without a verdict, by what they said.
        var faults: [String: Int] = [:]
        var undecided = 0
        var mostMemory = 0
    }

    private final class Ledger: Sendable {
        let course = Mutex(Course())
    }

    /// Words of each fault that may pass here; whatever else is answered is wrong.
    private static let passing = [
        "throttled", "429", "overloaded", "no answer", "no place", "was over", "time for this call ended",
    ]

    private func judge(_ answer: Answer, _ image: Image, _ course: inout Course) -> Bool {
        guard answer.item(image.key) != nil else {
            let said = answer.systemError ?? ""
            if let word = Self.passing.first(where: said.contains), !said.contains("no signature") {
                course.faults[word, default: 0] += 1
            } else {
                course.wrong.append("\(image.key): \(answer)")
            }
            return false
        }
        let isUnsigned = answer.reason(image.key).contains("no signature")
        let isRight =
            switch image.kind {
            case .signed: answer.admits(image.key)
            case .unsigned: answer.denies(image.key) && isUnsigned
            case .tampered: answer.denies(image.key) && !isUnsigned
            }
        if !isRight { course.wrong.append("\(image.key): \(answer)") }
        return true
    }

    @Test func twoThousandPodsOfTwoHundredImages() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        var configuration = try ConfigurationText.trustingRelease()
        // Ratify's own, as in a cluster.
        configuration.verificationTimeout = 2900
        files.directory.write(configuration.json.bytes, to: "config.json")
        try await withRegistry { registry in
            let images = try images(in: registry)
            registry.answer(after: .milliseconds(50))
            registry.limit(100, per: .seconds(Self.isFull ? 6 : 1))
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--cache-ttl", "10m", "--idle-timeout", "5m"])
            let idle = try memory(process.identifier)
            var generator = SeededGenerator(seed: 6)
            let pods = (0..<2000).map { images[$0 % images.count] }.shuffled(using: &generator)
            let start = ContinuousClock.now
            let course = try await admit(pods, process, tls)
            let took = start.duration(to: .now)

            let requests = registry.requests.count - registry.refusedByLimit
            print(
                """
                cold start: \(took.milliseconds.rounded() / 1000) s for \(requests) requests and \
                \(registry.refusedByLimit) refused ones; \(course.faults.sorted { $0.key < $1.key }); memory \
                \(idle >> 20) MiB idle, \(course.mostMemory >> 20) at most
                """)
            #expect(course.wrong.isEmpty, "\(course.wrong.count): \(course.wrong.prefix(5))")
            #expect(course.undecided == 0, "\(course.undecided) of 2000 pods have no verdict")
            expectNothingTwice(registry, images.count)
            // Ten times what is in those answers.
            #expect(
                course.mostMemory - idle < Sanitizer.memory(64 << 20),
                "\(idle >> 20) MiB, then \(course.mostMemory >> 20)")
            process.signal(SIGINT)
            #expect(await process.ended() == 0)
        }
    }

    /// The registry was asked for each thing by one at a time, for what has a digest once, and not much more than
    /// needed (a tag is resolved again when the time was over after that): so the queue drained about as fast as it
    /// lets anybody.
    private func expectNothingTwice(_ registry: FaultyRegistry, _ count: Int) {
        #expect(registry.refusedByLimit > 0, "the registry did not throttle: the test shows nothing")
        let twice = registry.mostUnderWay.filter { $0.value > 1 }
        #expect(twice.isEmpty, "asked twice at once: \(twice.prefix(5))")
        // Resolved and listed each, and of four in five manifest and envelope.
        let needed = count * 2 + count * 4 / 5 * 2
        let answered = registry.requests.count - registry.refusedByLimit
        #expect((needed...needed * 3).contains(answered), "\(answered) answers, \(needed) needed")
        #expect(registry.refusedByLimit < needed / 2, "\(registry.refusedByLimit) refused")
    }

    /// All pods at once, each as its controller does it: until there is a verdict, less often with each fault.
    private func admit(_ pods: [Image], _ process: ServeProcess, _ tls: ServingFiles) async throws -> Course {
        let ledger = Ledger()
        let callers = Callers(48, keep: !Self.isFull) {
            try await TestClient.connect(port: process.port, tls.gatekeeper)
        }
        let end = ContinuousClock.now + .seconds(Self.isFull ? 300 : 180)
        let memories = Task {
            while !Task.isCancelled {
                let now = try memory(process.identifier)
                ledger.course.withLock { $0.mostMemory = max($0.mostMemory, now) }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        defer { memories.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pod in pods {
                group.addTask {
                    var pause = Duration.milliseconds(Self.isFull ? 500 : 100)
                    while ContinuousClock.now < end {
                        let answer = Answer(
                            try await callers.call { try await $0.verify([pod.key]) }, asked: [pod.key])
                        if ledger.course.withLock({ judge(answer, pod, &$0) }) { return }
                        try await Task.sleep(for: pause * Double.random(in: 0.8...1.2))
                        pause = min(pause * 2, .seconds(Self.isFull ? 10 : 2))
                    }
                    ledger.course.withLock { $0.undecided += 1 }
                }
            }
            try await group.waitForAll()
        }
        return ledger.course.withLock { $0 }
    }
}

/// As many calls at once as three Gatekeepers make, for more who ask than that; over connections that stay, or a new
/// one each time, as Gatekeeper up to 3.21 does it.
private actor Callers {
    private var idle: [TestClient] = []
    private var places: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let keeps: Bool
    private let connect: @Sendable () async throws -> TestClient

    init(_ places: Int, keep keeps: Bool, connect: @escaping @Sendable () async throws -> TestClient) {
        self.places = places
        self.keeps = keeps
        self.connect = connect
    }

    func call<Value: Sendable>(_ body: @Sendable (TestClient) async throws -> Value) async throws -> Value {
        if places > 0 { places -= 1 } else { await withCheckedContinuation { waiting.append($0) } }
        defer { if waiting.isEmpty { places += 1 } else { waiting.removeFirst().resume() } }
        while let client = idle.popLast() {
            guard client.channel.isActive else { continue }
            let value = try await body(client)
            idle.append(client)
            return value
        }
        let client = try await connect()
        let value = try await body(client)
        if keeps { idle.append(client) }
        return value
    }
}
