import CountersignService
import Foundation
import Kyverno
import OCI
import ProviderServer
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// What works for every verifier works for cosign's signatures: one listing, Kyverno, audit, replicas, outages, images
/// that run, metrics.
@Suite struct CosignOperationTests {
    private func withImages(
        _ names: [String], _ body: (CosignImages, FaultyRegistry) async throws -> Void
    ) async throws {
        try await withRegistry { registry in
            let images = try CosignImages(registry.endpoint)
            for name in names { try await images.copy(name) }
            registry.forgetRequests()
            try await body(images, registry)
        }
    }

    @Test func bothFormsWithOneListing() async throws {
        try await withImages(["both"]) { images, registry in
            for policy in ["key", "keyless"] {
                try await withService(try images.configuration(policy)) { service in
                    registry.forgetRequests()
                    let answer = try await service.verify(images.name("both"))
                    expectAdmitted(answer)
                    #expect(registry.requests.count { $0.path.contains("/referrers/") } == 1)
                    #expect(registry.requests.count { $0.path.hasSuffix(".sig") } == 1)
                    // The form that is not by this signer is reported, and does no harm.
                    #expect(answer.reports().contains { $0["isSuccess"]?.bool == true }, "\(answer)")
                }
            }
        }
    }

    /// Reports say who signed, by what was verified.
    @Test func reportsNameTheSigner() async throws {
        try await withImages(["bundle-keyless", "legacy-keyless", "legacy-key"]) { images, _ in
            try await withService(try images.configuration("keyless")) { service in
                for name in ["bundle-keyless", "legacy-keyless"] {
                    let answer = try await service.verify(images.name(name))
                    let report = try #require(answer.reports().first { $0["isSuccess"] == true })
                    #expect(report["verifierType"] == "cosign")
                    let verification = report["extensions"]?["signatures"]?.array?.first?["verifications"]?.array?.first
                    let certificate = verification?["certificate"]
                    #expect(verification?["isSuccess"] == true && verification?["bundleVerified"] == true, "\(report)")
                    #expect(
                        certificate?["identity"]?.string?.hasSuffix("/release.yaml@refs/heads/main") == true,
                        "\(report)")
                    #expect(certificate?["issuer"] == "https://token.actions.githubusercontent.com")
                    #expect(
                        certificate?["extensions"]?["sourceRepositoryURI"] == "https://github.com/example/app",
                        "\(report)")
                }
                // A failure names nobody: nothing is proven.
                let denial = try await service.verify(images.name("legacy-key"))
                expectDenied(denial)
                #expect(denial.reports().allSatisfy { !$0.text.contains("\"certificate\":{") }, "\(denial)")
            }
        }
    }

    // MARK: Kyverno

    private struct KnownToken: CallerAuthenticator {
        func authenticate(token: String, deadline: ContinuousClock.Instant) async -> CallerIdentity {
            token == "kyvernos"
                ? .user("system:serviceaccount:kyverno:kyverno-admission-controller") : .unknown("nobody's")
        }
    }

    @Test func kyvernosPodsArePinned() async throws {
        try await withImages(["bundle-keyless", "legacy-keyless", "legacy-wrong-identity", "unsigned"]) { images, _ in
            try await withService(
                try images.configuration("keyless"),
                kyverno: KyvernoListener(address: ListenAddress(host: "127.0.0.1", port: 0)), callers: KnownToken()
            ) { service in
                func ask(_ names: String...) async throws -> JSONValue {
                    let client = try await TestClient.connect(
                        port: service.ports.kyverno ?? 0, TestClient.Options(trusting: service.tls.serverAuthority))
                    defer { client.close() }
                    let body: JSONValue = [
                        "resource": [
                            "kind": "Pod",
                            "spec": [
                                "containers": .array(
                                    names.map { ["name": .string($0), "image": .string(images.name($0))] })
                            ],
                        ], "mutateDigest": true,
                    ]
                    let reply = try await client.ask(
                        "POST", "/kyverno/v1/verify", headers: ["Authorization: Bearer kyvernos"], body: body.text)
                    #expect(reply.status == 200, "\(reply.text)")
                    return try reply.json
                }
                let good = try await ask("bundle-keyless", "legacy-keyless")
                #expect(good["verified"] == true, "\(good.text)")
                for name in ["bundle-keyless", "legacy-keyless"] {
                    let digest = images.images.image(name)?.digest.description ?? "?"
                    #expect(good["patches"]?.text.contains(digest) == true, "\(good.text)")
                }
                for (name, words) in [("legacy-wrong-identity", "stranger/app"), ("unsigned", "no signature")] {
                    let bad = try await ask("bundle-keyless", name)
                    #expect(bad["verified"] == false && bad["determined"] == true, "\(bad.text)")
                    #expect(bad["message"]?.string?.contains(words) == true, "\(bad.text)")
                }
            }
        }
    }

    // MARK: Audit

    @Test func manifestsAreAudited() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withImages(["bundle-keyless", "legacy-key", "unsigned"]) { images, _ in
            files.directory.write(try images.configuration("keyless").json.bytes, to: "config.json")
            func manifest(_ names: String...) -> String {
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n"
                    + names.map { "  - name: \($0)\n    image: \(images.name($0))\n" }.joined()
            }
            files.directory.write(manifest("bundle-keyless", "legacy-key", "unsigned"), to: "pod.yaml")
            let audit = try await Command.run(
                ["audit", "-c", files.path("config.json"), "--manifests", files.path("pod.yaml"), "--output", "json"])
            #expect(audit.status == 1, "\(audit)")
            #expect(audit.json["summary"]?["admitted"] == 1 && audit.json["summary"]?["denied"] == 2, "\(audit)")
            let found = audit.json["images"]?.array ?? []
            let admitted = found.first { $0["image"]?.string == images.name("bundle-keyless") }
            #expect(admitted?["verdict"] == "admit" || admitted?["reason"] == nil, "\(audit)")
            #expect(admitted?["signer"]?.string?.contains("release.yaml@refs/heads/main") == true, "\(audit)")
            let unsigned = found.first { $0["image"]?.string == images.name("unsigned") }
            #expect(unsigned?["reason"]?.string?.contains("no signature is associated") == true, "\(audit)")
        }
    }

    // MARK: Replicas, outages, metrics

    @Test(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
    func theSecondReplicaAsksNobody() async throws {
        let server = try await RedisServer()
        try await withImages(["legacy-keyless", "bundle-keyless", "legacy-wrong-identity"]) { images, registry in
            let shared = try server.settings()
            let names = ["legacy-keyless", "bundle-keyless", "legacy-wrong-identity"]
            func answers(_ service: RunningService) async throws -> [Bool] {
                try await service.expectConnected()
                var answers: [Bool] = []
                for name in names { answers.append(try await service.verify(images.name(name)).admits()) }
                return answers
            }
            let configuration = try images.configuration("keyless")
            try await withService(configuration, shared: shared) { (first: RunningService) async throws in
                #expect(try await answers(first) == [true, true, false])
            }
            _ = try await server.withClient { try await $0.names(of: .decision, count: 3) }
            registry.forgetRequests()
            try await withService(configuration, shared: shared) { (second: RunningService) async throws in
                #expect(try await answers(second) == [true, true, false])
                #expect(registry.requests.isEmpty)
                #expect(try await second.hasMetric(#"countersign_shared_cache_total{result="hit"} 3"#))
            }
            // Another trusted root, and nothing is shared with it: these certificates are nobody's there.
            var other = configuration
            let stranger = try String(contentsOfFile: images.images.path("stranger/trusted_root.json"), encoding: .utf8)
            other.providers = [["name": "instance", "type": "sigstore", "trustedRoot": .string(stranger)]]
            try await withService(other, shared: shared) { (third: RunningService) async throws in
                #expect(try await answers(third) == [false, false, false])
                #expect(!registry.requests.isEmpty)
            }
        }
    }

    @Test func aVerifiedDigestOutlivesAnOutage() async throws {
        try await withImages(["bundle-keyless", "legacy-key"]) { images, registry in
            for (policy, name) in [("keyless", "bundle-keyless"), ("key", "legacy-key")] {
                var configuration = try images.configuration(policy)
                configuration.staleIfError = "5m"
                configuration.verificationTimeout = 4000
                try await withService(configuration, remembers: .zero) { service in
                    expectAdmitted(try await service.verify(images.name(name)))
                    registry.inject(.status(503))
                    let answer = try await service.verify(images.pinned(name))
                    expectAdmitted(answer)
                    #expect(answer.reports().first?["extensions"]?["stale"] != nil, "\(answer)")
                    // What was never verified is not admitted because of it.
                    #expect(try await !service.verify(images.pinned("unsigned")).admits())
                    #expect(try await service.hasMetric("countersign_stale_admissions_total 1"))
                    registry.clearFaults()
                }
            }
        }
    }

    @Test func aPassingFaultIsNoVerdict() async throws {
        try await withImages(["legacy-key", "bundle-key"]) { images, registry in
            let configuration = try images.configuration("key")
            for (name, path) in [
                ("legacy-key", "*.sig"), ("legacy-key", "*/blobs/*"), ("bundle-key", "*/referrers/*"),
                ("bundle-key", "*/blobs/*"),
            ] {
                try await withService(configuration) { service in
                    registry.inject(.status(503), path: path)
                    let answer = try await service.verify(images.name(name))
                    #expect(!answer.admits() && !answer.denies(), "\(name) \(path): \(answer)")
                    registry.clearFaults()
                    expectAdmitted(try await service.verify(images.name(name)) { $0.admits() })
                }
            }
        }
    }

    @Test func metricsCountThem() async throws {
        try await withImages(["legacy-key", "bundle-other-key", "unsigned"]) { images, _ in
            try await withService(try images.configuration("key")) { service in
                expectAdmitted(try await service.verify(images.name("legacy-key")))
                expectDenied(try await service.verify(images.name("bundle-other-key")))
                expectDenied(try await service.verify(images.name("unsigned")), nil, "no signature")
                let text = try await TestClient.ask(port: service.ports.metrics ?? 0, method: "GET", path: "/metrics")
                    .text
                let lines = text.split(separator: "\n")
                for (success, count) in [("true", "1"), ("false", "1")] {
                    #expect(
                        lines.contains {
                            $0.hasPrefix("ratify_verifier_duration_count{") && $0.contains(#"verifier="cosign""#)
                                && $0.contains(#"success="\#(success)""#) && $0.hasSuffix("} \(count)")
                        }, "\(lines.filter { $0.hasPrefix("ratify_verifier_duration_count") })")
                }
                #expect(
                    lines.contains(#"countersign_verdicts_total{verdict="pass",reason="verified"} 1"#),
                    "\(lines.filter { $0.hasPrefix("countersign_verdicts_total") })")
                #expect(
                    lines.contains(#"countersign_verdicts_total{verdict="fail",reason="unsigned"} 1"#),
                    "\(lines.filter { $0.hasPrefix("countersign_verdicts_total") })")
            }
        }
    }

    // MARK: Images that run

    @Test func imagesThatRunAreVerifiedAhead() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        let cluster = try await KubernetesEmulator.start()
        cluster.add(token: "token-of-the-pod", KubernetesEmulator.User("system:serviceaccount:countersign:countersign"))
        let kubeconfig = try cluster.writeKubeconfig(to: files.path("kubeconfig"), token: "token-of-the-pod")
        try await withImages(["bundle-keyless", "legacy-keyless", "unsigned"]) { images, registry in
            let names = ["bundle-keyless", "legacy-keyless", "unsigned"]
            cluster.put(
                .pod,
                [
                    "metadata": ["name": "web", "namespace": "shop"],
                    "spec": [
                        "containers": .array(names.map { ["name": .string($0), "image": .string(images.name($0))] })
                    ], "status": ["phase": "Running"],
                ])
            var configuration = try images.configuration("keyless")
            configuration.prewarm = ["enabled": true, "ratePerMinute": 6000]
            files.directory.write(configuration.json.bytes, to: "config.json")
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--cache-ttl", "10m"],
                environment: ["KUBECONFIG": kubeconfig])
            #expect(
                try await eventually {
                    let text = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics").text
                    return text.contains(#"countersign_prewarm_total{result="pass"} 2"#)
                        && text.contains(#"countersign_prewarm_total{result="fail"} 1"#)
                })
            registry.forgetRequests()
            for name in names {
                let key = images.name(name)
                let answer = Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                    asked: [key])
                #expect(answer.admits() == (name != "unsigned"), "\(answer)")
            }
            #expect(registry.requests.isEmpty)
            process.signal(15)
            #expect(await process.ended() == 0, "\(process.log)")
        }
        await cluster.stop()
    }
}
