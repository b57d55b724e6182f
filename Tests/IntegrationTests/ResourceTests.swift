import CustomResources
import Foundation
import StrictJSON
import TestSupport
import Testing

/// A cluster's custom resources, from `kubectl apply` to verdict and status.
@Suite struct ResourceTests {
    @Test func theWalkthroughsResourcesMakeAProvider() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            // Nothing yet: it fails closed, and says what is missing.
            #expect(try await eventually { try await service.readiness().text.contains("there is no Store") })
            expectFault(try await service.verify(app.name("v1")), nil, "there is no Store")
            try cluster.applyAll()
            #expect(try await service.isReady())
            expectAdmitted(try await service.verify(app.name("v1")))
            expectDenied(try await service.verify(app.name("v2")), nil, "trust")

            #expect(try await cluster.has(.keyManagementProvider, "release-ca"))
            for (kind, name) in [
                (ResourceKind.store, "store-oras"), (.verifier, "verifier-notation"), (.policy, "ratify-policy"),
            ] {
                #expect(try await cluster.has(kind, name), "\(name)")
                #expect(cluster.status(kind, name) == ["issuccess": true])
            }
            let status = try #require(cluster.status(.keyManagementProvider, "release-ca"))
            let certificate = try #require(status["properties"]?["Certificates"]?.array?.first)
            #expect(certificate["Enabled"] == "true" && certificate["State"] == "in force")
            #expect(certificate["Subject"]?.string?.contains("CN=release root") == true)
            #expect(status["lastfetchedtime"]?.string?.hasSuffix("Z") == true)
            // Resources have the members of the definitions: no others are stored by a real API server.
            #expect(Set(status.object?.names ?? []) == ["issuccess", "lastfetchedtime", "properties"])
        }
    }

    @Test func everyChangeHasItsEffect() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            let v1 = app.name("v1")
            let v2 = app.name("v2")
            expectAdmitted(try await service.verify(v1))

            // Trusted certificates.
            cluster.applyCertificates("release-ca", try Signers.shared.get().strangerAuthority.certificate.pem)
            expectAdmitted(try await service.verify(v2) { $0.admits() })
            expectDenied(try await service.verify(v1))
            cluster.delete(.keyManagementProvider, "release-ca")
            expectFault(
                try await service.verify(v2) { $0.systemError != nil }, nil, "no key management provider \"release-ca\""
            )
            #expect(try await cluster.has(.verifier, "verifier-notation", error: "no key management provider"))
            cluster.applyCertificates("release-ca", try Signers.shared.get().authority.certificate.pem)
            expectAdmitted(try await service.verify(v1) { $0.admits() })
            #expect(try await cluster.has(.verifier, "verifier-notation"))

            // Verifier.
            cluster.applyVerifier(scopes: ["example.com/other"])
            expectDenied(try await service.verify(v1) { $0.denies() }, nil, "trust policy")
            cluster.delete(.verifier, "verifier-notation")
            expectFault(try await service.verify(v1) { $0.systemError != nil }, nil, "there is no Verifier")
            cluster.applyVerifier()
            expectAdmitted(try await service.verify(v1) { $0.admits() })

            // Policy.
            cluster.delete(.policy, "ratify-policy")
            expectFault(try await service.verify(v1) { $0.systemError != nil }, nil, "there is no Policy")
            cluster.applyPolicy("all")
            expectAdmitted(try await service.verify(v1) { $0.admits() })

            // Store.
            cluster.delete(.store, "store-oras")
            expectFault(try await service.verify(v1) { $0.systemError != nil }, nil, "there is no Store")
            #expect(try await service.readiness().status == 503)
            cluster.applyStore()
            expectAdmitted(try await service.verify(v1) { $0.admits() })
        }
    }

    @Test func whatIsNotValidIsSaidAndChangesNothing() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            expectAdmitted(try await service.verify(app.name("v1")))
            cluster.applyVerifier(level: "lax")
            cluster.applyPolicy("most")
            cluster.applyStore(type: "dynamic")
            cluster.applyCertificates("release-ca", "no certificate")
            cluster.apply(.policy, "second", ["type": "config-policy", "parameters": [:]])
            #expect(
                try await cluster.has(.verifier, "verifier-notation", error: "the version before it stays in force"))
            #expect(try await cluster.has(.policy, "ratify-policy", error: "\"any\" or \"all\""))
            #expect(try await cluster.has(.store, "store-oras", error: "known are \"oras\""))
            #expect(try await cluster.has(.keyManagementProvider, "release-ca", error: "cannot be read"))
            #expect(try await cluster.has(.policy, "second", error: "ratify-policy"))
            let brief = cluster.status(.verifier, "verifier-notation")?["brieferror"]?.string ?? ""
            #expect(brief.count == 100 && brief.hasSuffix("..."))
            expectAdmitted(try await service.verify(app.name("v1")))
            expectDenied(try await service.verify(app.name("v2")))
            #expect(service.metric("countersign_configuration_valid") == 0)
            #expect(service.metric("countersign_resources{kind=\"Policy\",success=\"false\"}") == 2)
            try cluster.applyAll()
            cluster.delete(.policy, "second")
            #expect(try await cluster.has(.verifier, "verifier-notation"))
            #expect(try await cluster.has(.store, "store-oras"))
            #expect(try await eventually { service.metric("countersign_configuration_valid") == 1 })
        }
    }

    /// What the one that is not valid would have asked for is not known, whatever is there: that is no verdict, for or
    /// against.
    @Test func aVerifierThatIsNotValidIsNoVerdict() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            func second(_ types: String) {
                cluster.apply(.verifier, "aaa", ["name": "sbom", "artifactTypes": .string(types), "parameters": [:]])
            }
            second("application/spdx+json")
            #expect(try await cluster.has(.verifier, "aaa", error: "known are \"notation\" and \"cosign\""))
            for types in ["application/spdx+json", "*"] {
                second(types)
                expectFault(
                    try await service.verify(app.name("v1")) { $0.systemError != nil }, nil,
                    "Verifier \"aaa\" is not valid", "correct or delete it")
            }
            cluster.delete(.verifier, "aaa")
            expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
        }
    }

    @Test func namespacesHaveTheirOwn() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            let (v1, v2) = (app.name("v1"), app.name("v2"))
            expectDenied(try await service.verify("[team-a]\(v2)"))
            // team-a trusts the stranger, and nobody else does.
            cluster.applyCertificates(
                "ca", try Signers.shared.get().strangerAuthority.certificate.pem, in: "team-a")
            cluster.applyVerifier(providers: ["team-a/ca"], in: "team-a")
            #expect(try await service.verify("[team-a]\(v2)") { $0.admits() }.admits())
            for _ in 0..<2 {
                let answer = try await service.verify(
                    v1, v2, "[team-a]\(v1)", "[team-a]\(v2)", "[team-b]\(v1)", "[team-b]\(v2)")
                for (key, isIn) in [
                    (v1, true), (v2, false), ("[team-a]\(v1)", false), ("[team-a]\(v2)", true), ("[team-b]\(v1)", true),
                    ("[team-b]\(v2)", false),
                ] {
                    #expect(answer.admits(key) == isIn && answer.denies(key) == !isIn, "\(key)")
                }
            }
            // Another team cannot use it, nor can the cluster.
            cluster.applyVerifier(providers: ["team-a/ca"], in: "team-b")
            expectFault(
                try await service.verify("[team-b]\(v2)") { $0.systemError != nil }, nil, "\"team-a/ca\"")
            #expect(try await cluster.has(.namespacedVerifier, "verifier-notation", in: "team-b", error: "team-a/ca"))
            cluster.applyVerifier(providers: ["team-a/ca"])
            #expect(try await cluster.has(.verifier, "verifier-notation", error: "stays in force"))
            expectAdmitted(try await service.verify(v1))
            // What is gone is gone at once, and the cluster's rules hold again.
            cluster.delete(.namespacedVerifier, "verifier-notation", in: "team-a")
            expectAdmitted(try await service.verify("[team-a]\(v1)") { $0.admits() }, "[team-a]\(v1)")
            expectDenied(try await service.verify("[team-a]\(v2)"))
        }
    }

    /// Verdicts of one namespace are remembered for that namespace, and end with a change of its configuration only.
    @Test func rememberedVerdictsAreTheNamespacesOwn() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            cluster.applyStore(in: "team-a")
            #expect(try await service.isReady())
            let pipeline = "countersign_verifications_total"
            for key in [app.name("v1"), "[team-a]\(app.name("v1"))", "[team-b]\(app.name("v1"))"] {
                for _ in 0..<3 { expectAdmitted(try await service.verify(key)) }
            }
            #expect(service.metric(pipeline) == 3)
            cluster.applyPolicy("all", in: "team-a")
            #expect(try await cluster.has(.namespacedPolicy, "ratify-policy", in: "team-a"))
            for key in [app.name("v1"), "[team-a]\(app.name("v1"))", "[team-b]\(app.name("v1"))"] {
                expectAdmitted(try await service.verify(key))
            }
            #expect(service.metric(pipeline) == 4)
        }
    }

    @Test func severalReplicasDoNotFightOverAStatus() async throws {
        try await withResources(services: 2) { cluster, _, services in
            try cluster.applyAll()
            for service in services { #expect(try await service.isReady()) }
            for kind in [ResourceKind.store, .verifier, .policy, .keyManagementProvider] {
                let name =
                    kind == .store
                    ? "store-oras"
                    : kind == .verifier ? "verifier-notation" : kind == .policy ? "ratify-policy" : "release-ca"
                #expect(try await cluster.has(kind, name))
            }
            // Four resources, two replicas that may have written at the same moment.
            try await Task.sleep(for: .seconds(1))
            let writes = cluster.statusWrites
            #expect(writes >= 4 && writes <= 8, "\(writes)")
            // Somebody sees things differently: nobody answers at once, and again, and again.
            let store = cluster.api.object(ResourceKind.store.type, "store-oras")
            var changed = try #require(store)
            changed["status"] = ["issuccess": false, "error": "another replica's view"]
            cluster.api.put(ResourceKind.store.type, changed)
            try await Task.sleep(for: .seconds(2))
            #expect(cluster.statusWrites == writes)
        }
    }

    /// After the API server is back, nothing is behind any more: neither the number that says so, nor a status.
    @Test func anAPIServerThatIsBackIsBackAtOnce() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            #expect(try await service.isReady())
            #expect(try await cluster.has(.verifier, "verifier-notation"))
            let kinds = ResourceKind.allCases.map {
                "countersign_resources_out_of_sync_seconds{kind=\"\($0.rawValue)\"}"
            }
            await cluster.api.down()
            #expect(try await eventually { kinds.allSatisfy { (service.metric($0) ?? 0) > 1 } })
            expectAdmitted(try await service.verify(app.name("v1")))
            cluster.api.inject(.status(429, retryAfter: 1), count: 4)
            cluster.api.inject(.status(503)) { $0.path.hasSuffix("/status") }
            try await cluster.api.up()
            var back = ContinuousClock.now
            #expect(try await eventually { kinds.allSatisfy { service.metric($0) == 0 } })
            #expect(back.duration(to: .now) < .seconds(10))
            // A status that could not be written for a while.
            cluster.applyVerifier(providers: ["nobody"])
            try await Task.sleep(for: .seconds(7))
            #expect(cluster.status(.verifier, "verifier-notation")?["issuccess"] == true)
            cluster.api.clearFaults()
            back = .now
            #expect(try await cluster.has(.verifier, "verifier-notation", error: "nobody"))
            #expect(back.duration(to: .now) < .seconds(8))
        }
    }

    /// A provider of two is deleted. What the other one vouches for is still admitted; of everything else signed
    /// nothing is known, and the answer names what is missing; nothing unsigned is admitted.
    @Test func aDeletedProviderTakesOnlyItsOwnWithIt() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            try cluster.applyAll()
            cluster.applyCertificates("partner-ca", try Signers.shared.get().strangerAuthority.certificate.pem)
            cluster.applyVerifier(providers: ["release-ca", "partner-ca"])
            try await app.push("unsigned", signedBy: nil)
            expectAdmitted(try await service.verify(app.name("v2")) { $0.admits() })
            expectAdmitted(try await service.verify(app.name("v1")))
            expectDenied(try await service.verify(app.name("unsigned")))
            cluster.delete(.keyManagementProvider, "partner-ca")
            let gone = try await service.verify(app.name("v2")) { !$0.admits() }
            expectFault(gone, nil, "no key management provider \"partner-ca\"", "take its name out")
            expectAdmitted(try await service.verify(app.name("v1")))
            expectDenied(try await service.verify(app.name("unsigned")))
            #expect(try await cluster.has(.verifier, "verifier-notation", error: "partner-ca"))
            // All gone: nobody is admitted.
            cluster.delete(.keyManagementProvider, "release-ca")
            expectFault(try await service.verify(app.name("v1")) { !$0.admits() }, nil, "\"release-ca\"")
            // Back again: at once, the fault was not kept.
            cluster.applyCertificates("partner-ca", try Signers.shared.get().strangerAuthority.certificate.pem)
            expectAdmitted(try await service.verify(app.name("v2")) { $0.admits() })
            expectFault(try await service.verify(app.name("v1")), nil, "\"release-ca\"")
            // Taken out of the verifier's list, it is a verdict again.
            cluster.applyVerifier(providers: ["partner-ca"])
            expectDenied(try await service.verify(app.name("v1")) { $0.reports().first?["isSuccess"] == false })
        }
    }
}
