import Foundation
import OCI
import OCIRegistry
import PKI
import StrictJSON
import Synchronization
import TestSupport

/// What was seen during a soak, by all who ask at once.
final class SoakTally: Sendable {
    struct Verdicts: CustomStringConvertible {
        var admitted = 0
        var denied = 0
        var faults = 0

        var description: String { "\(admitted) admitted, \(denied) denied, \(faults) without a verdict" }
    }

    struct Counts {
        var requests = 0
        var kyverno = 0
        var mutations = 0
        var dropped = 0
        var floods = 0
        var flooded = 0
        var injected = 0
        var changes = 0
        var revocations = 0
        var restarts = 0
        var stalls = 0
        /// Answers that came while nobody read the log for longer than a pipe has room.
        var answersInStalls = 0
        /// Admissions that the answer says are those of an outage.
        var stale = 0
        /// By the kind of the images.
        var verdicts: [String: Verdicts] = [:]
        var wrong: [String] = []

        var total: Verdicts {
            verdicts.values.reduce(into: Verdicts()) {
                $0.admitted += $1.admitted
                $0.denied += $1.denied
                $0.faults += $1.faults
            }
        }
    }

    private let counts = Mutex(Counts())

    var current: Counts { counts.withLock { $0 } }
    func add(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
}

/// What clients do during a soak. Only faults that may pass are injected, so a verdict is either right or not there.
struct SoakMix: Sendable {
    /// An image, and whether it may ever run.
    struct Image: Sendable {
        let key: String
        let digest: Digest
        let isGood: Bool
        /// What is special about it.
        let group: String
    }

    let process: ServeProcess
    let tls: ServingFiles
    let images: [Image]
    let tally: SoakTally

    /// Images of every kind, by tag and by digest.
    static func publish(_ registry: FaultyRegistry, as group: String) async throws -> [Image] {
        let signers = try Signers.shared.get()
        var credentials: any RegistryCredentials = AnonymousCredentials()
        if registry.options.isProtected { credentials = OneAccount(.basic(user: "robot", password: "secret")) }
        let app = try Repository("\(registry.endpoint)/soak", credentials: credentials)
        let both = try await app.push("both", signedBy: signers.stranger)
        try await signers.release.sign(both, in: app.reference, at: app.destination)
        return [
            ("both", both, true), ("jws", try await app.push("jws", signedBy: signers.release, .jws), true),
            ("cose", try await app.push("cose", signedBy: signers.other, .cose), true),
            ("unsigned", try await app.push("unsigned", signedBy: nil), false),
            ("tampered", try await app.push("tampered", signedBy: signers.release, .jws, .tampered), false),
            ("expired", try await app.push("expired", signedBy: signers.other, .cose, .expired), false),
            ("stranger", try await app.push("stranger", signedBy: signers.stranger), false),
        ].flatMap { tag, image, isGood in
            [app.name(tag), app.name(image)].map {
                Image(key: $0, digest: image.digest, isGood: isGood, group: group)
            }
        }
    }

    /// Images whose signers a responder has to vouch for.
    static func publish(
        _ registry: FaultyRegistry, _ responder: OpenSSLResponder, _ authority: CertificateAuthority
    ) async throws -> [Image] {
        let app = try Repository("\(registry.endpoint)/soak")
        func signer(_ name: String) throws -> TestSigner {
            var template = CertificateTemplate.codeSigning(name)
            template.extensions.append(.ocsp([responder.url]))
            return TestSigner(try authority.issue(template))
        }
        let (good, revoked) = (try signer("vouched for"), try signer("revoked"))
        responder.list(good: [good.identity.certificate], revoked: [revoked.identity.certificate])
        return [
            ("vouched", try await app.push("vouched", signedBy: good), true),
            ("revoked", try await app.push("revoked", signedBy: revoked), false),
        ].flatMap { tag, image, isGood in
            // Twice, so that they are asked for as often as others.
            [app.name(tag), app.name(image)].map {
                Image(key: $0, digest: image.digest, isGood: isGood, group: "responder")
            }
        }
    }

    private func connect() async throws -> TestClient {
        try await TestClient.connect(port: process.port, tls.gatekeeper)
    }

    /// Some images at random, those of the responder more often.
    private func some() -> [Image] {
        let asked = Array(images.shuffled().prefix(Int.random(in: 1...4)))
        guard Int.random(in: 0..<4) == 0, let image = images.filter({ $0.group == "responder" }).randomElement() else {
            return asked
        }
        return asked.filter { $0.key != image.key } + [image]
    }

    /// One thing that a client does.
    func ask() async {
        do {
            let client = try await connect()
            switch Int.random(in: 0..<24) {
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
                try await mutate(client)
                client.close()
            case 4...7:
                try await askAsKyverno(client)
                // As Kyverno does, most are left open.
                if Bool.random() { client.close() }
            default:
                try await verify(client)
                // As Gatekeeper does, most are left open.
                if Bool.random() { client.close() }
            }
        } catch {
            tally.add { $0.dropped += 1 }
        }
        try? await Task.sleep(for: .milliseconds(Int.random(in: 0...60)))
    }

    private func verify(_ client: TestClient) async throws {
        let asked = some()
        let answer = Answer(try await client.verify(asked.map(\.key)), asked: asked.map(\.key))
        tally.add { counts in
            counts.requests += 1
            for image in asked { check(answer, image, &counts) }
        }
    }

    private func check(_ answer: Answer, _ image: Image, _ counts: inout SoakTally.Counts) {
        if answer.admits(image.key) {
            counts.verdicts[image.group, default: .init()].admitted += 1
            if answer.reports(image.key).contains(where: { $0["extensions"]?["stale"] != nil }) { counts.stale += 1 }
            if !image.isGood { counts.wrong.append("admitted \(image.key): \(answer)") }
        } else if answer.denies(image.key) {
            counts.verdicts[image.group, default: .init()].denied += 1
            if image.isGood { counts.wrong.append("denied \(image.key): \(answer)") }
        } else {
            counts.verdicts[image.group, default: .init()].faults += 1
            if answer.systemError?.contains(image.key) != true {
                counts.wrong.append("no word on \(image.key): \(answer)")
            }
        }
    }

    /// A digest is the right one, or there is none.
    private func mutate(_ client: TestClient) async throws {
        guard let image = images.randomElement() else { return }
        let reply = try await client.ask(
            "POST", "/ratify/gatekeeper/v1/mutate", body: TestClient.request([image.key]))
        let answer = Answer(reply, asked: [image.key])
        tally.add {
            $0.mutations += 1
            let isRight =
                answer.value().map { $0.string?.hasSuffix("@\(image.digest)") == true }
                ?? (answer.systemError?.contains(image.key) == true)
            if !isRight { $0.wrong.append("a digest of \(image.key): \(answer)") }
        }
    }

    /// All images of a pod at once: verified when all are.
    private func askAsKyverno(_ client: TestClient) async throws {
        let asked = Bool.random() ? some() : Array(images.filter(\.isGood).shuffled().prefix(2))
        let body: JSONValue = ["images": .array(asked.map { .string($0.key) })]
        let reply = try await client.ask("POST", "/kyverno/v1/verify", body: body.text)
        let answer = try reply.json
        tally.add { counts in
            counts.kyverno += 1
            func add(_ path: WritableKeyPath<SoakTally.Verdicts, Int>, isRight: Bool) {
                counts.verdicts["kyverno", default: .init()][keyPath: path] += 1
                if !isRight { counts.wrong.append("\(asked.map(\.key)): \(reply.text)") }
            }
            switch (reply.status, answer["verified"]?.bool, answer["determined"]?.bool) {
            case (200, true, true): add(\.admitted, isRight: asked.allSatisfy(\.isGood))
            case (200, false, true): add(\.denied, isRight: asked.contains { !$0.isGood })
            case (200, false, false): add(\.faults, isRight: answer["message"]?.string?.isEmpty == false)
            default: add(\.faults, isRight: false)
            }
        }
    }

    /// Nobody reads the log for seconds: answers go on.
    func stallTheLog() async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: 2000...6000)))
        process.reader?.stall(true)
        // What fills the pipe.
        try await Task.sleep(for: .seconds(1))
        let before = tally.current.requests
        try await Task.sleep(for: .milliseconds(Int.random(in: 2000...5000)))
        tally.add {
            $0.stalls += 1
            $0.answersInStalls += $0.requests - before
        }
        process.reader?.stall(false)
    }

    /// A hundred connections more than are kept, each with a question, none of them closed.
    func flood() async {
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                if number >= 10 { await group.next() }
                group.addTask {
                    do {
                        try await verify(try await connect())
                        tally.add { $0.flooded += 1 }
                    } catch { tally.add { $0.dropped += 1 } }
                }
            }
        }
        tally.add { $0.floods += 1 }
    }

    /// Without faults every image gets its verdict again, and the connections that were left go.
    func settle() async throws {
        for image in images {
            let isRight = try await eventually {
                let answer = Answer(
                    try await TestClient.post(
                        port: process.port, tls.gatekeeper, body: TestClient.request([image.key])), asked: [image.key])
                tally.add { check(answer, image, &$0) }
                return image.isGood ? answer.admits() : answer.denies()
            }
            tally.add { if !isRight { $0.wrong.append("no verdict on \(image.key) after the faults are gone") } }
        }
        try await Task.sleep(for: .seconds(4))
    }
}
