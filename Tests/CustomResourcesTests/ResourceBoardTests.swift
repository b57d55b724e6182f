import KeyManagement
import Notation
import NotationVerifier
import OCI
import StrictJSON
import TestSupport
import Testing
import Verification

@testable import CustomResources

/// What is in force of a set of resources.
@Suite struct ResourceBoardTests {
    private let verifier = ResourceID(.verifier, "verifier-notation")
    private let policy = ResourceID(.policy, "ratify-policy")
    private let store = ResourceID(.store, "store-oras")
    private let provider = ResourceID(.keyManagementProvider, "ca")

    @Test func aClustersResourcesAnswer() throws {
        let board = Samples.board(try Samples.cluster())
        let snapshot = try #require(try board.snapshot()?.get())
        #expect(snapshot.stores.map(\.name) == ["store-oras"])
        #expect(snapshot.verifiers.map(\.name) == ["verifier-notation"])
        #expect(snapshot.verifiers.map(\.type) == ["notation"])
        for id in board.resources.keys { #expect(board.error(id) == "") }
        #expect(board.generation("any-namespace") == snapshot.generation)
    }

    @Test func theOrderOfArrivalDoesNotMatter() throws {
        let all = try Samples.cluster()
        for first in 0..<4 {
            for second in 0..<4 where second != first {
                let rest = (0..<4).filter { $0 != first && $0 != second }
                for order in [rest, rest.reversed()] {
                    var board = Samples.board()
                    for index in [first, second] + order { board.apply(all[index]) }
                    #expect(board.generation() != nil)
                    for id in board.resources.keys { #expect(board.error(id) == "", "\(id)") }
                }
            }
        }
    }

    @Test func whatIsMissingIsSaid() throws {
        var board = Samples.board()
        #expect(board.reason().contains("there is no Store: apply one"))
        board.apply(try Samples.store())
        #expect(board.reason().contains("there is no Verifier: apply one"))
        board.apply(try Samples.provider(), try Samples.verifier())
        #expect(board.reason().contains("there is no Policy: apply one named \"ratify-policy\""))
        board.apply(try Samples.policy(name: "another"))
        #expect(board.reason().contains("there is no Policy"))
        #expect(board.error(ResourceID(.policy, "another")).contains("only the policy named \"ratify-policy\""))
        board.apply(try Samples.policy())
        #expect(board.reason() == "")
    }

    @Test func deletingTakesEffectAtOnce() throws {
        for (id, words) in [
            (store, "no Store"), (verifier, "no Verifier"), (policy, "no Policy"),
        ] {
            var board = Samples.board(try Samples.cluster())
            board.delete(id)
            #expect(board.reason().contains(words))
        }
        var board = Samples.board(try Samples.cluster())
        let before = try #require(board.generation())
        board.delete(provider)
        #expect(try #require(board.generation()) > before, "no kept verdict answers any more")
        #expect(board.error(verifier).contains("no key management provider has that name"))
    }

    /// Of two providers of one store one is deleted: the store is not complete, the status says what is missing, and
    /// the other one's certificates are still there.
    @Test func oneOfTwoProvidersIsDeleted() async throws {
        let other = try CertificateAuthority(name: "partner")
        var board = Samples.board([
            try Samples.provider(), try Samples.provider("partner", value: other.certificate.pem),
            try Samples.store(), try Samples.verifier(providers: ["ca", "partner"]), try Samples.policy(),
        ])
        let sources = TrustStoreSources(
            [TrustStoreSources.Name(type: .ca, name: "certs"): ["ca", "partner"]], fallback: nil)
        func trusted() throws -> TrustedCertificates { try #require(board.scopes[nil]).trusted }
        func trust() throws -> ConfiguredTrustStore {
            ConfiguredTrustStore(sources: sources, trusted: try trusted(), areProvidersAwaited: true)
        }
        #expect(try await trust().content(type: .ca, named: "certs").missing.isEmpty)
        let generation = try trusted().generation
        board.delete(ResourceID(.keyManagementProvider, "partner"))
        let content = try await trust().content(type: .ca, named: "certs")
        #expect(content.certificates == [try Samples.authority.get().certificate])
        #expect(content.missing.count == 1)
        #expect(content.missing.first?.contains("there is no key management provider \"partner\"") == true)
        #expect(content.missing.first?.contains("trust store \"ca:certs\"") == true)
        // As a whole it cannot be had, and that may pass.
        let error = await #expect(throws: TrustStoreError.self) {
            try await trust().certificates(type: .ca, named: "certs")
        }
        #expect(error?.isTransient == true)
        #expect(board.error(verifier).contains("\"partner\""))
        #expect(try trusted().generation > generation)
        // Both gone: nothing is there, and it is not an empty store.
        board.delete(provider)
        #expect(try await trust().content(type: .ca, named: "certs").missing.count == 2)
        // In a file nothing is awaited: a provider that is not there fails the store.
        let strict = ConfiguredTrustStore(sources: sources, trusted: try trusted())
        await #expect(throws: TrustStoreError.self) { try await strict.content(type: .ca, named: "certs") }
    }

    /// What must be signed is another question, whose verdicts are not those of before.
    @Test func whatMustBeSignedIsOfThePolicyInForce() throws {
        var board = Samples.board(try Samples.cluster())
        var generations = [board.generation()]
        for selection in SubjectSelection.allCases {
            board.apply(try Samples.policy(signedBy: selection.rawValue))
            #expect(try board.snapshot()?.get().policy.signedBy == selection)
            generations.append(board.generation())
        }
        #expect(Set(generations).count == 4)
    }

    @Test func anInvalidVersionLeavesTheLastGoodOneInForce() throws {
        for (bad, id) in [
            (try Samples.verifier(level: "lax"), verifier), (try Samples.verifier(type: "sbom"), verifier),
            (try Samples.policy("most"), policy), (try Samples.policy(signedBy: "both"), policy),
            (try Samples.policy(type: "rego-policy"), policy),
            (try Samples.store(type: "dynamic"), store), (try Samples.provider(value: "no PEM"), provider),
        ] {
            var board = Samples.board(try Samples.cluster())
            let before = board.generation()
            board.apply(bad)
            #expect(board.generation() == before, "\(id)")
            #expect(board.error(id).hasSuffix("the version before it stays in force"), "\(board.error(id))")
            for good in try Samples.cluster() where good.id == id { board.apply(good) }
            #expect(board.error(id) == "" && board.generation() == before)
        }
    }

    @Test func unknownTypesAreRefusedWithThoseThatAreKnown() throws {
        var board = Samples.board()
        board.apply(
            try Samples.store(type: "dynamic"), try Samples.verifier(type: "sbom"),
            try Samples.policy(type: "rego-policy"),
            try Samples.resource(.keyManagementProvider, "ca", ["type": "vault", "parameters": [:]]))
        for (id, words) in [
            (store, ["spec.name is \"dynamic\"", "\"oras\"", "\"oci-layout\""]),
            (verifier, ["spec.name is \"sbom\"", "\"notation\""]),
            (policy, ["spec.type is \"rego-policy\"", "configPolicy"]),
            (provider, ["spec.type is \"vault\"", "\"inline\""]),
        ] {
            for word in words { #expect(board.error(id).contains(word), "\(board.error(id))") }
        }
        #expect(board.reason().contains("Store \"store-oras\" is not valid: spec.name is \"dynamic\""))
    }

    /// The resource was deleted and made anew between two looks: what the former object said is over.
    @Test func anotherObjectOfTheSameNameInheritsNothing() throws {
        var board = Samples.board(try Samples.cluster())
        board.apply(try Samples.verifier(level: "lax", uid: "2"))
        #expect(board.reason().contains("Verifier \"verifier-notation\" is not valid"))
    }

    @Test func aVerifierWaitsForItsProvider() throws {
        var board = Samples.board([try Samples.store(), try Samples.policy(), try Samples.verifier()])
        #expect(board.generation() != nil, "its answers are transient faults until then")
        #expect(board.error(verifier).contains("takes its certificates from \"ca\""))
        board.apply(try Samples.provider())
        #expect(board.error(verifier) == "")
        // A new version that waits does not take the place of one that does not.
        let before = board.generation()
        board.apply(try Samples.verifier(providers: ["next"]))
        #expect(board.generation() == before)
        #expect(board.error(verifier).contains("\"next\"") && board.error(verifier).contains("stays in force"))
        board.apply(try Samples.provider("next"))
        #expect(board.error(verifier) == "")
        #expect(try #require(board.generation()) > (before ?? 0))
    }

    @Test func aNamespacesMistakeIsNoReasonToUseTheClustersRules() throws {
        var board = Samples.board(try Samples.cluster())
        board.apply(try Samples.verifier("mine", level: "lax", in: "team"))
        #expect(board.reason("team").contains("NamespacedVerifier \"mine\" in namespace \"team\" is not valid"))
        #expect(board.generation() != nil && board.generation("other") != nil)
        board.apply(try Samples.policy("most", in: "team2"))
        #expect(board.reason("team2").contains("NamespacedPolicy"))
        board.delete(ResourceID(.namespacedVerifier, "mine", namespace: "team"))
        #expect(board.generation("team") == board.generation())
    }

    /// What one of several verifiers would have said is not known: that is no verdict.
    @Test func oneOfSeveralThatIsNotValidIsAnUnknown() async throws {
        var board = Samples.board(try Samples.cluster())
        board.apply(try Samples.verifier("aaa", type: "sbom"))
        let snapshot = try #require(try board.snapshot()?.get())
        #expect(snapshot.verifiers.map(\.name) == ["aaa", "verifier-notation"])
        #expect(snapshot.verifiers[0] is UnavailableVerifier)
        board.apply(try Samples.store("aaa", type: "dynamic"))
        let stores = try #require(try board.snapshot()?.get()).stores
        #expect(stores.map(\.name) == ["store-oras", "aaa"], "one that is not valid is asked last")
    }

    @Test func namespacesHaveNoFilesNetworkOrMemoryOfTheProvider() throws {
        var board = Samples.board()
        board.apply(
            try Samples.resource(
                .namespacedStore, "a", ["name": "oci-layout", "parameters": ["path": "/etc"]], namespace: "team"),
            try Samples.resource(
                .namespacedStore, "b", ["name": "oras", "parameters": ["caBundle": "/etc/x"]], namespace: "team"),
            try Samples.resource(
                .namespacedStore, "c",
                ["name": "oras", "parameters": ["authProvider": ["name": "dockerConfig", "configPath": "/x"]]],
                namespace: "team"),
            try Samples.resource(
                .namespacedKeyManagementProvider, "d", ["type": "files", "parameters": ["paths": ["/etc"]]],
                namespace: "team"),
            try Samples.resource(
                .namespacedStore, "e", ["name": "oras", "parameters": ["allowPrivateAddresses": true]],
                namespace: "team"),
            try Samples.resource(
                .namespacedStore, "f",
                [
                    "name": "oras",
                    "parameters": [
                        "authProvider": ["name": "azureManagedIdentity", "endpoints": ["registry.example.com"]]
                    ],
                ], namespace: "team"),
            try Samples.resource(
                .namespacedVerifier, "g",
                [
                    "name": "notation", "artifactTypes": "application/vnd.cncf.notary.signature",
                    "parameters": [
                        "trustPolicyDoc": [
                            "version": "1.0",
                            "trustPolicies": [
                                [
                                    "name": "default", "registryScopes": ["*"], "trustStores": ["ca:certs"],
                                    "signatureVerification": ["level": "strict"], "trustedIdentities": ["*"],
                                ]
                            ],
                        ],
                        "verificationCertStores": ["ca": ["certs": ["ca"]]],
                        "revocation": ["cacheBytes": 68_719_476_736],
                    ],
                ], namespace: "team"))
        for id in board.resources.keys {
            #expect(board.error(id).contains("only a resource of the cluster may"), "\(board.error(id))")
        }
        #expect(board.resources.count == 7)
    }

    @Test func whatHasNotChangedStaysTheSameObject() throws {
        var board = Samples.board(try Samples.cluster() + [try Samples.store(in: "team")])
        let store = try #require(try board.snapshot()?.get().stores.first) as AnyObject
        let provider = try #require(board.providersInForce.first) as AnyObject
        let team = board.generation("team")
        let cluster = board.generation()
        board.apply(try Samples.policy(in: "elsewhere"))
        #expect(board.generation() == cluster && board.generation("team") == team)
        board.apply(try Samples.verifier(level: "permissive"))
        #expect(try #require(board.generation()) > (cluster ?? 0))
        #expect(try #require(try board.snapshot()?.get().stores.first) as AnyObject === store)
        #expect(try #require(board.providersInForce.first) as AnyObject === provider)
        #expect(try #require(try board.snapshot("team")?.get().stores.first) as AnyObject !== store)
    }

    @Test func whatIsGoneLeavesNothingBehind() async throws {
        weak var former: AnyObject?
        var board = Samples.board(try Samples.cluster())
        for round in 0..<50 {
            let extra = try Samples.provider("extra", in: "team-\(round)")
            board.apply(extra, try Samples.verifier(in: "team-\(round)"))
            former = board.providersInForce.map { $0 as AnyObject }.last
            board.delete(extra.id, ResourceID(.namespacedVerifier, "verifier-notation", namespace: "team-\(round)"))
        }
        #expect(board.scopes.count == 1 && board.providersInForce.count == 1)
        _ = board.providersInForce.map { former = $0 as AnyObject }
        board.delete(provider)
        // Its first look at its source may still be waiting for a thread.
        let end = ContinuousClock.now + .seconds(30)
        while former != nil, .now < end { try await Task.sleep(for: .milliseconds(5)) }
        #expect(former == nil, "the provider is gone with its resource")
    }

    /// A verifier's specification is read once, with the directories that it names, whoever it answers for.
    @Test func aVerifiersDirectoriesAreTheSameForAllNamespaces() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        _ = directory.write(try Samples.authority.get().certificate.pem, to: "root.pem")
        var spec = try Samples.verifier().spec
        var parameters = try #require(spec["parameters"]?.object)
        parameters["verificationCertStores"] = nil
        parameters["verificationCerts"] = [.string(directory.path)]
        spec["parameters"] = .object(parameters)
        var board = Samples.board([
            try Samples.store(), try Samples.policy(), try Samples.policy(in: "team"),
            try Samples.resource(.verifier, "verifier-notation", .object(spec)),
        ])
        #expect(board.error(verifier) == "")
        weak var provider: AnyObject?
        do {
            let ofScopes = [String?.none, "team"].map { namespace in
                board.scopes[namespace]?.trusted.provider(named: "verifier-notation verificationCerts") as AnyObject
            }
            provider = ofScopes[0]
            #expect(provider is FileCertificates && ofScopes[1] === provider)
        }
        board.delete(verifier)
        let end = ContinuousClock.now + .seconds(30)
        while provider != nil, .now < end { try await Task.sleep(for: .milliseconds(5)) }
        #expect(provider == nil, "nobody looks at the directories any more")
    }

    /// Replicas share decisions only when the same specifications are in force.
    @Test func decisionsAreSharedByWhatIsInForce() throws {
        func fingerprint(_ board: ResourceBoard) throws -> String? { try board.snapshot()?.get().fingerprint }
        let all = try Samples.cluster()
        var board = Samples.board(all)
        let usual = try #require(try fingerprint(board))
        #expect(try fingerprint(Samples.board(all.reversed())) == usual)
        for other in [
            try Samples.verifier(level: "permissive"), try Samples.policy("all"),
            try Samples.provider(value: try CertificateAuthority(name: "other").certificate.pem),
        ] {
            #expect(try fingerprint(Samples.board(all.filter { $0.id != other.id } + [other])) != usual)
        }
        // The same type in another case is the same type, and another specification.
        let capitals = try fingerprint(
            Samples.board(all.filter { $0.id.kind != .store } + [try Samples.store(type: "ORAS")]))
        #expect(capitals != nil && capitals != usual)
        // What another replica may have seen differently is not shared.
        board.apply(try Samples.store("second", type: "dynamic"))
        #expect(try fingerprint(board) == nil)
    }

    @Test(arguments: ["oci-layout", "OCI-Layout"])
    func aResourceOfADirectoryIsNotShared(_ type: String) throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        _ = try ImageLayout(directory: directory.path("layout"), create: true)
        let store = try Samples.resource(
            .store, "store-oras",
            ["name": .string(type), "parameters": ["path": .string(directory.path("layout"))]])
        let board = Samples.board(try Samples.cluster().filter { $0.id.kind != .store } + [store])
        let snapshot = try #require(board.snapshot()).get()
        #expect(snapshot.stores.map(\.transport) == [nil] && snapshot.fingerprint == nil)
    }

    @Test func sameSettingsOfRequestsEverywhere() throws {
        var board = Samples.board(try Samples.cluster())
        let before = try #require(board.generation())
        board.settings.verificationTimeout = .seconds(1)
        board.rebuild()
        #expect(try board.snapshot()?.get().settings.verificationTimeout == .seconds(1))
        #expect(try #require(board.generation()) > before)
    }
}
