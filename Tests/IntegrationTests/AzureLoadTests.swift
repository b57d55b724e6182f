import Foundation
import Notation
import OCI
import StrictJSON
import TestSupport
import Testing

/// Azure's registry and token endpoints under load: throttling, and tokens that end.
@Suite struct AzureLoadTests {
    /// An emulator, and a service that pulls from it as a pod with a workload identity does.
    private final class Pod: Sendable {
        let azure: AzureEmulator
        let directory: TemporaryDirectory
        let settings: AzureEmulator.Settings

        init(_ settings: AzureEmulator.Settings = .init()) async throws {
            self.settings = settings
            azure = try await AzureEmulator.start(settings)
            directory = try TemporaryDirectory()
            present(settings.assertion)
        }

        /// Puts a service account token where the kubelet does.
        func present(_ token: String) { directory.write(token, to: "token") }

        var environment: [String: String] {
            ProcessInfo.processInfo.environment.merging(
                azure.workloadEnvironment(tokenFile: directory.path("token"))
            ) { $1 }
        }

        func configuration(timeout: Int) throws -> ConfigurationText {
            var text = try ConfigurationText.trustingRelease()
            text.verificationTimeout = timeout
            text.stores = [
                [
                    "name": "oras",
                    "authProvider": ["name": "azureWorkloadIdentity", "endpoints": [.string(azure.host)]],
                    "caBundle": .string(directory.write(azure.authorityPEM, to: "authority.pem")),
                ]
            ]
            return text
        }

        /// Puts an image into the registry, signed or not.
        func put(_ repository: String, _ tag: String, signer: EnvelopeSigner?) throws -> String {
            let image = azure.registry.putImage(repository, tag: tag, content: "\(repository):\(tag)")
            if let signer {
                let envelope = try signer.sign(image, SigningOptions(format: .jws), now: Date())
                azure.registry.putReferrer(
                    of: image, artifactType: MediaType.notationSignature, blob: envelope,
                    mediaType: EnvelopeFormat.jws.mediaType,
                    annotations: ["io.cncf.notary.x509chain.thumbprint#S256": "[]"], in: repository)
            }
            return "\(azure.host)/\(repository):\(tag)"
        }

        func end() async {
            await azure.stop()
            directory.remove()
        }
    }

    private func signer() throws -> EnvelopeSigner {
        let identity = try Signers.shared.get().other.identity
        return try EnvelopeSigner(key: identity.key, chain: identity.chain)
    }

    /// What became of each key in one round of requests, all sent at once.
    private func ask(
        _ keys: [String], _ service: RunningService, perRequest: Int = 20
    ) async throws -> [String: Answer] {
        try await withThrowingTaskGroup(of: Answer.self) { group in
            for start in stride(from: 0, to: keys.count, by: perRequest) {
                let some = Array(keys[start..<min(start + perRequest, keys.count)])
                group.addTask {
                    Answer(
                        try await TestClient.post(
                            port: service.ports.provider, service.gatekeeper, body: TestClient.request(some)),
                        asked: some)
                }
            }
            var answers: [String: Answer] = [:]
            for try await answer in group { for key in answer.asked { answers[key] = answer } }
            return answers
        }
    }

    /// What an image of the storm is.
    private enum Kind: CaseIterable { case signed, unsigned, missing }

    @Test func twoThousandImagesOfARegistryThatThrottles() async throws {
        let pod = try await Pod()
        let signer = try signer()
        var kinds: [String: Kind] = [:]
        for repository in 0..<100 {
            for tag in 0..<20 {
                let kind: Kind = tag % 8 == 0 ? .signed : tag % 8 < 4 ? .unsigned : .missing
                let (repository, tag) = ("team/app-\(repository)", "v\(tag)")
                if kind == .missing {
                    kinds["\(pod.azure.host)/\(repository):\(tag)"] = kind
                } else {
                    kinds[try pod.put(repository, tag, signer: kind == .signed ? signer : nil)] = kind
                }
            }
        }
        #expect(kinds.count == 2000)
        // A thousand a minute, scaled down.
        pod.azure.limit(1000, pause: .seconds(1))
        try await withService(pod.configuration(timeout: 2900), environment: pod.environment) { service in
            let start = ContinuousClock.now
            var pending = kinds.keys.sorted()
            var rounds: [Int] = []
            var wrong: [String] = []
            var throttled = 0
            while !pending.isEmpty, ContinuousClock.now - start < .seconds(300) {
                let answers = try await ask(pending, service)
                pending = try pending.filter { key in
                    let answer = try #require(answers[key])
                    guard answer.item(key) != nil else {
                        let said = answer.systemError?.components(separatedBy: "\"\(key)\": ").last ?? ""
                        let cause = said.components(separatedBy: "; \"").first ?? said
                        let isThrottled = cause.contains("throttled") || cause.contains("429")
                        throttled += isThrottled ? 1 : 0
                        // A machine that is busy with other things is late by itself.
                        let isLate =
                            cause.contains("no answer") || cause.contains("was over before")
                            || cause.contains("time for this call ended") || cause.contains("overloaded")
                        if !isThrottled && !isLate || cause.contains("no signature") {
                            wrong.append("\(key): \(cause)")
                        }
                        return true
                    }
                    let isRight =
                        switch kinds[key] {
                        case .signed: answer.admits(key)
                        case .unsigned: answer.denies(key) && answer.reason(key).contains("no signature")
                        default: answer.denies(key) && answer.reason(key).contains("404")
                        }
                    if !isRight { wrong.append("\(key): \(answer.value(key)?.text ?? "")") }
                    return false
                }
                rounds.append(pending.count)
            }
            #expect(wrong.isEmpty, "\(wrong.count): \(wrong.prefix(5))")
            #expect(throttled > 0)
            #expect(pending.count == 0, "\(pending.count) images have no verdict after \(rounds.count) rounds")
        }
        // Everybody shares one identity; each repository one token.
        #expect(pod.azure.count(pod.azure.tokenPath) == 1)
        #expect(pod.azure.pullTokenCount == 100)
        #expect(pod.azure.refusedByLimit > 0, "the registry did not throttle: the test shows nothing")
        // Not each of two thousand finds out for itself.
        #expect(pod.azure.refusedByLimit < 1000, "\(pod.azure.refusedByLimit)")
        await pod.end()
    }

    @Test func tokensEndAndTheServiceAccountTokenRotatesUnderLoad() async throws {
        var settings = AzureEmulator.Settings()
        settings.accessTokenLifetime = 3
        settings.refreshTokenLifetime = 3
        settings.pullTokenLifetime = 2
        let pod = try await Pod(settings)
        let signer = try signer()
        let keys = try (0..<4).map { try pod.put("team/app-\($0)", "v1", signer: signer) }
        try await withService(
            pod.configuration(timeout: 10_000), remembers: .zero, environment: pod.environment
        ) { service in
            let end = ContinuousClock.now + .seconds(7)
            let asked = try await withThrowingTaskGroup(of: Int.self) { group in
                for key in keys {
                    group.addTask {
                        let client = try await service.connect()
                        defer { client.close() }
                        var asked = 0
                        while ContinuousClock.now < end {
                            expectAdmitted(Answer(try await client.verify([key]), asked: [key]))
                            asked += 1
                            try await Task.sleep(for: .milliseconds(20))
                        }
                        return asked
                    }
                }
                group.addTask {
                    for number in 2...4 {
                        try await Task.sleep(for: .milliseconds(1700))
                        // The kubelet writes the new one; from then on the former one is worth nothing.
                        let token = "eyJhbGciOiJub25lIn0.service-account-token-\(number).signature"
                        pod.present(token)
                        pod.azure.change { $0.assertion = token }
                    }
                    return 0
                }
                return try await group.reduce(0, +)
            }
            #expect(asked > 40)
        }
        // Each kind of token was renewed, several times.
        #expect(pod.azure.count(pod.azure.tokenPath) >= 3)
        #expect(pod.azure.count("/oauth2/exchange") >= 3)
        #expect(pod.azure.count("/oauth2/token") >= 8)
        let assertions = Set(
            pod.azure.requests.filter { $0.path == pod.azure.tokenPath }.map {
                String(decoding: $0.body, as: UTF8.self).split(separator: "&").first {
                    $0.hasPrefix("client_assertion=")
                }
            })
        #expect(assertions.count >= 2, "the rotated token was read again")
        await pod.end()
    }
}
