import CustomResources
import Foundation
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Many changes, and an API server in trouble.
@Suite struct ResourceStormTests {
    /// More than a thousand resources a minute, in a few seconds: nothing leaks, and the last word counts.
    @Test func aStormOfChangesEndsWithTheLastWord() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            let signers = try Signers.shared.get()
            let (good, bad) = (signers.authority.certificate.pem, signers.strangerAuthority.certificate.pem)
            let isOver = Mutex(false)
            let asking = Task {
                var wrong = 0
                while !isOver.withLock({ $0 }) {
                    // The cluster's own rules never changed: nothing else may ever be answered.
                    let answer = try await service.verify(app.name("v1"), app.name("v2"))
                    if !answer.admits(app.name("v1")) || answer.admits(app.name("v2")) { wrong += 1 }
                    try? await Task.sleep(for: .milliseconds(20))
                }
                return wrong
            }
            for round in 0..<500 {
                let team = "team-\(round % 50)"
                cluster.applyCertificates("ca", round % 3 == 0 ? bad : good, in: team)
                cluster.applyVerifier(providers: ["\(team)/ca"], level: round % 7 == 0 ? "lax" : "strict", in: team)
                cluster.applyCertificates("extra-\(round)", good)
                cluster.delete(.keyManagementProvider, "extra-\(round)")
                if round % 10 == 9 { try await Task.sleep(for: .milliseconds(20)) }
            }
            // The last word of one namespace, and of another one nothing.
            cluster.applyCertificates("ca", bad, in: "team-1")
            cluster.applyVerifier(providers: ["team-1/ca"], in: "team-1")
            cluster.delete(.namespacedVerifier, "verifier-notation", in: "team-2")
            cluster.delete(.namespacedKeyManagementProvider, "ca", in: "team-2")
            expectAdmitted(try await service.verify("[team-1]\(app.name("v2"))") { $0.admits() })
            expectDenied(try await service.verify("[team-1]\(app.name("v1"))"))
            #expect(try await service.verify("[team-2]\(app.name("v1"))") { $0.admits() }.admits())
            expectDenied(try await service.verify("[team-2]\(app.name("v2"))"))
            for team in 0..<50 {
                cluster.delete(.namespacedVerifier, "verifier-notation", in: "team-\(team)")
                cluster.delete(.namespacedKeyManagementProvider, "ca", in: "team-\(team)")
            }
            #expect(
                try await eventually {
                    service.metric("countersign_resources{kind=\"NamespacedKeyManagementProvider\",success=\"true\"}")
                        == 0
                })
            let expiries = service.metrics.render().split(separator: "\n").filter {
                $0.hasPrefix("countersign_trusted_certificate_expiry_seconds{")
            }
            #expect(expiries.count == 1, "only the cluster's provider is left")
            isOver.withLock { $0 = true }
            #expect(try await asking.value == 0)
            #expect(cluster.api.openWatches == 9)
        }
    }

    @Test func anAPIServerThatIsDownChangesNothing() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            await cluster.api.down()
            let outOfSync = "countersign_resources_out_of_sync_seconds{kind=\"Verifier\"}"
            #expect(try await eventually { (service.metric(outOfSync) ?? 0) > 0 })
            expectAdmitted(try await service.verify(app.name("v1")))
            expectDenied(try await service.verify(app.name("v2")))
            #expect(try await service.readiness().status == 200)
            // What happens meanwhile is seen afterwards, although its history is forgotten.
            cluster.delete(.policy, "ratify-policy")
            cluster.api.compact()
            try await cluster.api.up()
            expectFault(
                try await service.verify(app.name("v1")) { $0.systemError != nil }, nil, "there is no Policy")
            cluster.applyPolicy()
            expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            #expect(try await eventually { service.metric(outOfSync) == 0 })
        }
    }

    @Test func lostWatchesMissNothing() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            for round in 0..<6 {
                switch round % 3 {
                case 0: cluster.api.dropWatches()
                case 1: cluster.api.endWatches()
                default:
                    cluster.api.dropWatches()
                    cluster.api.compact()
                }
                cluster.delete(.verifier, "verifier-notation")
                expectFault(try await service.verify(app.name("v1")) { $0.systemError != nil }, nil, "no Verifier")
                cluster.applyVerifier()
                expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            }
        }
    }

    /// Without all kinds nobody knows what a namespace has of its own.
    @Test func nothingIsAnsweredBeforeAllKindsWereRead() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().other)
            let cluster = try await ResourceCluster()
            cluster.api.inject(.status(503)) { $0.path.hasSuffix("/namespacedverifiers") }
            try cluster.applyAll()
            let service = try await ResourceService(cluster)
            #expect(
                try await eventually {
                    try await service.readiness().text.contains("not read yet: NamespacedVerifier (")
                }
            )
            expectFault(try await service.verify(app.name("v1")), nil, "NamespacedVerifier")
            cluster.api.clearFaults()
            expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            #expect(try await service.isReady())
            await service.stop()
            await cluster.api.stop()
        }
    }

    @Test func aStatusThatCannotBeWrittenStopsNothing() async throws {
        try await withResources { cluster, app, services in
            cluster.api.inject(.status(403)) { $0.path.hasSuffix("/status") }
            try cluster.applyAll()
            #expect(try await services[0].isReady())
            expectAdmitted(try await services[0].verify(app.name("v1")))
            #expect(
                try await eventually {
                    (services[0].metric("countersign_resource_status_writes_total{result=\"failure\"}") ?? 0) >= 4
                })
            try await Task.sleep(for: .seconds(1))
            #expect(cluster.statusWrites <= 8, "it is not tried without end")
        }
    }

    /// The command itself, with a kubeconfig.
    @Test func serveTakesItsConfigurationFromTheCluster() async throws {
        try await withResources(services: 0) { cluster, app, _ in
            try cluster.applyAll()
            let files = try CommandFiles()
            defer { files.remove() }
            files.directory.write(
                #"{"executor":{"verificationRequestTimeout":15000},"store":{"plugins":[]},"logger":{"level":"info"}}"#,
                to: "crd.json")
            let tls = try ServingFiles(in: files.directory)
            let process = try await ServeProcess(
                config: files.path("crd.json"), tls: tls, ["--enable-crd-manager"],
                environment: ["KUBECONFIG": try cluster.api.writeKubeconfig(to: files.path("kubeconfig"))])
            func ask(_ key: String) async throws -> Answer {
                Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                    asked: [key])
            }
            expectAdmitted(try await ask(app.name("v1")))
            expectDenied(try await ask(app.name("v2")))
            #expect(process.log.contains("store has no effect"), "\(process.log)")
            #expect(try await cluster.has(.verifier, "verifier-notation"))
            process.signal(SIGTERM)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }
}
