import Foundation
import Kubernetes
import OCI
import StrictJSON
import TestSupport
import Testing

/// `cache.prewarm`: images that run are verified before anybody asks.
@Suite struct PrewarmingTests {
    /// A cluster, a registry, and a service that was told to look after what runs.
    private struct Scene {
        let cluster: KubernetesEmulator
        let registry: FaultyRegistry
        let files: CommandFiles
        let tls: ServingFiles
        let kubeconfig: String

        func pod(_ name: String, _ images: [String], in namespace: String = "shop", phase: String = "Running") {
            let containers: [JSONValue] = images.enumerated().map { ["name": .string("c\($0)"), "image": .string($1)] }
            cluster.put(
                .pod,
                [
                    "metadata": ["name": .string(name), "namespace": .string(namespace)],
                    "spec": ["containers": .array(containers)], "status": ["phase": .string(phase)],
                ])
        }

        func image(_ repository: String, isSigned: Bool = true) async throws -> String {
            let app = try Repository("\(registry.endpoint)/\(repository)")
            try await app.push("v1", signedBy: isSigned ? try Signers.shared.get().other : nil)
            return app.name("v1")
        }

        func serve(_ prewarm: JSONValue, lifetime: String = "10m") async throws -> ServeProcess {
            var configuration = try ConfigurationText.trustingRelease()
            configuration.prewarm = prewarm
            files.directory.write(configuration.json.bytes, to: "config.json")
            return try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--cache-ttl", lifetime],
                environment: ["KUBECONFIG": kubeconfig])
        }

        func ask(_ process: ServeProcess, _ key: String) async throws -> Answer {
            Answer(
                try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                asked: [key])
        }

        /// Whether a metric has at least this value, now or soon.
        func counts(_ process: ServeProcess, _ metric: String, atLeast count: Double) async throws -> Bool {
            try await eventually { try await value(process, metric) >= count }
        }

        func value(_ process: ServeProcess, _ metric: String) async throws -> Double {
            let text = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics").text
            let line = text.split(separator: "\n").first { $0.hasPrefix(metric + " ") }
            return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
        }

        var lists: Int { cluster.requests.count { $0.path == "/api/v1/pods" } }

        func end(_ process: ServeProcess) async {
            process.signal(SIGINT)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    private func withScene(_ body: (Scene) async throws -> Void) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        let cluster = try await KubernetesEmulator.start()
        cluster.add(token: "token-of-the-pod", KubernetesEmulator.User("system:serviceaccount:countersign:countersign"))
        let kubeconfig = try cluster.writeKubeconfig(to: files.path("kubeconfig"), token: "token-of-the-pod")
        try await withRegistry { registry in
            try await body(
                Scene(cluster: cluster, registry: registry, files: files, tls: tls, kubeconfig: kubeconfig))
        }
        await cluster.stop()
    }

    private static let always: JSONValue = [
        "enabled": true, "ratePerMinute": 6000, "excludeNamespaces": ["kube-system"],
    ]

    @Test func theFirstAdmissionOfWhatRunsAsksNoRegistry() async throws {
        try await withScene { scene in
            let (signed, unsigned) = (try await scene.image("app"), try await scene.image("bare", isSigned: false))
            let (system, ended) = (try await scene.image("system"), try await scene.image("ended"))
            for replica in 1...3 { scene.pod("web-\(replica)", [signed, unsigned]) }
            scene.pod("dns", [system], in: "kube-system")
            scene.pod("over", [ended], phase: "Succeeded")
            scene.registry.forgetRequests()
            let process = try await scene.serve(Self.always)
            #expect(try await scene.counts(process, #"countersign_prewarm_total{result="pass"}"#, atLeast: 1))
            #expect(try await scene.counts(process, #"countersign_prewarm_total{result="fail"}"#, atLeast: 1))
            #expect(try await eventually { process.log.contains("images that run are verified ahead") })
            #expect(try await scene.value(process, "countersign_prewarm_images") == 2)
            #expect(!scene.registry.requests.contains { $0.path.contains("/system/") || $0.path.contains("/ended/") })

            scene.registry.forgetRequests()
            expectAdmitted(try await scene.ask(process, signed))
            expectDenied(try await scene.ask(process, unsigned), nil, "no signature")
            #expect(scene.registry.requests.isEmpty)
            await scene.end(process)
        }
    }

    @Test func verdictsAreRenewedBeforeTheyEnd() async throws {
        try await withScene { scene in
            let image = try await scene.image("app")
            scene.pod("web", [image])
            scene.registry.forgetRequests()
            let process = try await scene.serve(Self.always, lifetime: "4s")
            #expect(try await scene.counts(process, #"countersign_prewarm_total{result="pass"}"#, atLeast: 3))
            expectAdmitted(try await scene.ask(process, image))
            // What has a digest is known: only the tag is resolved again, and its signatures listed.
            let asked = scene.registry.requests.map(\.method)
            #expect(scene.registry.requests.filter { $0.path.contains("/blobs/") }.count == 1)
            #expect(asked.filter { $0 == "HEAD" }.count >= 3)
            await scene.end(process)
        }
    }

    @Test func keysOfNamespacesAreAskedAsTheTemplateDoes() async throws {
        try await withScene { scene in
            let image = try await scene.image("app")
            for namespace in ["shop", "bank"] { scene.pod("web", [image], in: namespace) }
            let process = try await scene.serve(["enabled": true, "ratePerMinute": 6000, "byNamespace": true])
            #expect(try await scene.counts(process, #"countersign_prewarm_total{result="pass"}"#, atLeast: 2))
            scene.registry.forgetRequests()
            expectAdmitted(try await scene.ask(process, "[bank]\(image)"))
            #expect(scene.registry.requests.isEmpty)
            await scene.end(process)
        }
    }

    @Test func nothingIsListedUnlessSaid() async throws {
        try await withScene { scene in
            let image = try await scene.image("app")
            scene.pod("web", [image])
            scene.registry.forgetRequests()
            let process = try await scene.serve(.null)
            expectAdmitted(try await scene.ask(process, image))
            #expect(scene.lists == 0)
            #expect(scene.registry.requests.count == 4)
            // A new configuration switches it on.
            var configuration = try ConfigurationText.trustingRelease()
            configuration.prewarm = Self.always
            scene.files.directory.write(configuration.json.bytes, to: "config.json")
            #expect(try await eventually { scene.lists > 0 })
            await scene.end(process)
        }
    }

    @Test func aClusterThatRefusesIsNamedAndAdmissionGoesOn() async throws {
        try await withScene { scene in
            let image = try await scene.image("app")
            scene.pod("web", [image])
            scene.cluster.forbid { _, type, _ in type == .pod }
            let process = try await scene.serve(Self.always)
            #expect(
                try await eventually {
                    process.log.contains("images that run cannot be listed") && process.log.contains("forbidden")
                })
            #expect(process.log.contains("grant the service account list on pods"))
            #expect(try await scene.value(process, #"countersign_prewarm_lists_total{result="failed"}"#) >= 1)
            expectAdmitted(try await scene.ask(process, image))
            await scene.end(process)
        }
    }
}
