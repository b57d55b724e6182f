import Notation
import OCI
import OCIRegistry
import TestSupport
import Testing

/// What a registry's faults come to. None admits. One that may pass is no verdict: no item, and a system error with
/// stage and host. A definite one is a verdict with a reason. Once it is gone, the image is admitted.
@Suite struct RegistryFaultTests {
    /// A request that every verification makes.
    enum Stage: String, CaseIterable {
        case resolve, referrers, manifest, blob

        func inject(
            _ fault: RegistryFault.Kind, _ registry: FaultyRegistry, _ repository: String = "app", count: Int? = nil
        ) {
            switch self {
            case .resolve: registry.inject(fault, method: "HEAD", path: "/v2/\(repository)/manifests/*", count: count)
            case .referrers: registry.inject(fault, path: "/v2/\(repository)/referrers/*", count: count)
            case .manifest: registry.inject(fault, method: "GET", path: "/v2/\(repository)/manifests/*", count: count)
            case .blob: registry.inject(fault, path: "/v2/\(repository)/blobs/*", count: count)
            }
        }

        /// Its name in a system error.
        var name: String {
            switch self {
            case .resolve: "resolving the image"
            case .referrers: "listing signatures"
            case .manifest, .blob: "fetching a signature"
            }
        }
    }

    /// A registry with `app:v1`, signed.
    private func withSigned(
        _ options: FaultyRegistry.Options = .init(), _ body: (FaultyRegistry, String) async throws -> Void
    ) async throws {
        try await withRegistry(options) { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            registry.forgetRequests()
            try await body(registry, app.name("v1"))
        }
    }

    enum Passing: String, CaseIterable {
        case internalError, unavailable, reset, cutShort

        var kind: RegistryFault.Kind {
            switch self {
            case .internalError: .status(500)
            case .unavailable: .status(503)
            case .reset: .reset
            case .cutShort: .cutShort
            }
        }
    }

    /// Does something with each key at once.
    private func forEach<Case: Sendable>(
        _ cases: [(Case, String)], _ body: @escaping @Sendable (Case, String) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (fault, key) in cases { group.addTask { try await body(fault, key) } }
            try await group.waitForAll()
        }
    }

    @Test func aPassingFaultIsNoVerdict() async throws {
        try await withRegistry { registry in
            var cases: [((stage: Stage, fault: Passing), String)] = []
            for stage in Stage.allCases {
                // An answer to HEAD has no body that could be cut.
                for fault in Passing.allCases where stage != .resolve || fault != .cutShort {
                    let app = try Repository("\(registry.endpoint)/\(stage)-\(fault)".lowercased())
                    try await app.push("v1", signedBy: try Signers.shared.get().release)
                    stage.inject(fault.kind, registry, app.reference.repository)
                    cases.append(((stage, fault), app.name("v1")))
                }
            }
            try await withService(try .trustingRelease()) { service in
                let endpoint = registry.endpoint
                try await forEach(cases) { pair, key in
                    let start = ContinuousClock.now
                    let answer = try await service.verify(key)
                    #expect(start.duration(to: .now) < .seconds(60))
                    #expect(answer.status == 200)
                    expectFault(answer, nil, pair.stage.name, endpoint, "trace")
                    #expect(answer.items.isEmpty)
                }
                registry.clearFaults()
                try await forEach(cases) { _, key in expectAdmitted(try await service.verify(key)) }
            }
        }
    }

    /// A host each: one that refuses anything is asked nothing for as long as it says.
    @Test(arguments: [Stage.resolve, .blob])
    func throttlingIsNoVerdictAndHoldsUpAllOfTheHost(_ stage: Stage) async throws {
        try await withSigned { registry, key in
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 1500
            try await withService(configuration) { service in
                stage.inject(.tooManyRequests(retryAfter: "3"), registry, count: 1)
                let start = ContinuousClock.now
                let answer = try await service.verify(key)
                #expect(start.duration(to: .now) < .seconds(60))
                expectFault(answer, nil, stage.name, registry.endpoint, "429")
                #expect(answer.systemError?.contains("throttled") == true, "\(answer)")
                let asked = registry.requests.count
                let other = try await service.verify(key.replacing(":v1", with: ":v2"))
                expectFault(other, nil, "429")
                #expect(registry.requests.count == asked, "nothing is sent while the host asks to wait")
                try await Task.sleep(for: .seconds(2))
                expectAdmitted(try await service.verify(key) { $0.admits() })
            }
        }
    }

    @Test func oneThatPassesWithinTheDeadlineIsNotSeen() async throws {
        try await withSigned { registry, key in
            for stage in Stage.allCases {
                stage.inject(.status(502), registry, count: 1)
                stage.inject(.tooManyRequests(retryAfter: "0"), registry, count: 1)
            }
            try await withService(try .trustingRelease()) { expectAdmitted(try await $0.verify(key)) }
        }
    }

    @Test func aSlowRegistryIsNamedAndItsAnswerIsKeptForTheNextTry() async throws {
        try await withSigned { registry, key in
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 1500
            try await withService(configuration) { service in
                // About 4 kB of envelope: four seconds.
                Stage.blob.inject(.slowBody(bytes: 1000, every: .seconds(1)), registry)
                let start = ContinuousClock.now
                let answer = try await service.verify(key)
                #expect(ContinuousClock.now - start < .seconds(30))
                expectFault(answer, nil, "fetching a signature at \(registry.endpoint): no answer in time")
                // The fetch went on, so no other one is needed.
                expectAdmitted(try await service.verify(key) { $0.admits() })
                #expect(registry.requests.filter { $0.path.contains("/blobs/") }.count == 1)
            }
        }
    }

    enum Definite: String, CaseIterable {
        case wrongManifest, wrongBlob, oversizedBlob, oversizedManifest, hugeListing, truncatedListing
        case truncatedManifest, listingOfAnotherType, forbidden, unauthorized

        func inject(_ registry: FaultyRegistry, _ repository: String) {
            switch self {
            case .wrongManifest: Stage.manifest.inject(.wrongContent, registry, repository)
            case .wrongBlob: Stage.blob.inject(.wrongContent, registry, repository)
            case .oversizedBlob: Stage.blob.inject(.oversized(by: 1 << 20), registry, repository)
            case .oversizedManifest: Stage.manifest.inject(.oversized(by: 5 << 20), registry, repository)
            case .hugeListing: Stage.referrers.inject(.oversized(by: 5 << 20), registry, repository)
            case .truncatedListing: Stage.referrers.inject(.truncatedJSON, registry, repository)
            case .truncatedManifest: Stage.manifest.inject(.truncatedJSON, registry, repository)
            case .listingOfAnotherType:
                Stage.referrers.inject(.header("Content-Type", "text/html"), registry, repository)
            case .forbidden: Stage.referrers.inject(.status(403), registry, repository)
            case .unauthorized: Stage.resolve.inject(.status(401), registry, repository)
            }
        }

        /// A word of the reason.
        var word: String {
            switch self {
            case .wrongManifest, .wrongBlob: "digest"
            case .oversizedBlob, .oversizedManifest, .truncatedManifest: "bytes"
            case .hugeListing, .truncatedListing, .listingOfAnotherType: "listing the referrers"
            case .forbidden: "403"
            case .unauthorized: "401"
            }
        }
    }

    @Test func aDefiniteFaultIsAVerdict() async throws {
        try await withRegistry { registry in
            var cases: [(Definite, String)] = []
            for fault in Definite.allCases {
                let app = try Repository("\(registry.endpoint)/\(fault)".lowercased())
                try await app.push("v1", signedBy: try Signers.shared.get().release)
                fault.inject(registry, app.reference.repository)
                cases.append((fault, app.name("v1")))
            }
            try await withService(try .trustingRelease(), remembers: .zero) { service in
                let start = ContinuousClock.now
                try await forEach(cases) { fault, key in
                    expectDenied(try await service.verify(key), nil, fault.word)
                }
                #expect(start.duration(to: .now) < .seconds(60))
                registry.clearFaults()
                try await forEach(cases) { _, key in expectAdmitted(try await service.verify(key)) }
            }
        }
    }

    @Test func aTagWhoseHeadHasNoDigestIsFetched() async throws {
        try await withSigned { registry, key in
            try await withService(try .trustingRelease()) { service in
                Stage.resolve.inject(.withoutDigestHeader, registry)
                expectAdmitted(try await service.verify(key))
                #expect(registry.requests.prefix(2).map(\.method) == ["HEAD", "GET"])
            }
        }
    }

    @Test func aBlobElsewhereIsFetchedWithoutCredentials() async throws {
        try await withRegistry { storage in
            var options = FaultyRegistry.Options()
            options.authentication = .token(user: "robot", password: "secret")
            try await withRegistry(options) { registry in
                let app = try Repository(
                    "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "secret")))
                try await app.push("v1", signedBy: try Signers.shared.get().release)
                let layer = try #require(registry.requests.last { $0.path.contains("/manifests/") }?.body)
                let envelope = try Manifest(parsing: layer, mediaType: MediaType.ociManifest).layers[0]
                storage.putBlob(try #require(registry.storedBlob(envelope.digest, in: "app")), in: "app")
                storage.forgetRequests()
                registry.forgetRequests()
                let files = try TemporaryDirectory()
                defer { files.remove() }
                var configuration = try ConfigurationText.trustingRelease()
                let path = files.write(
                    dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "config.json")
                configuration.stores = [ConfigurationText.registries(dockerConfig: path, allowPrivateAddresses: true)]
                try await withService(configuration) { service in
                    Stage.blob.inject(.redirect(to: storage.url), registry)
                    expectAdmitted(try await service.verify(app.name("v1")))
                    #expect(registry.requests.contains { $0.header("Authorization")?.hasPrefix("Bearer ") == true })
                    #expect(storage.requests.map(\.path) == ["/v2/app/blobs/\(envelope.digest)"])
                    #expect(storage.requests.allSatisfy { $0.header("Authorization") == nil })
                    #expect(storage.requests.allSatisfy { $0.query["signature"] == "secret" })
                }
            }
        }
    }

    @Test func aKeyThatIsFineIsAnsweredBesideOneThatIsNot() async throws {
        try await withSigned { registry, key in
            let broken = try Repository("\(registry.endpoint)/broken")
            try await broken.push("v1", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease()) { service in
                registry.inject(.status(503), path: "/v2/broken/*")
                let answer = try await service.verify(broken.name("v1"), key)
                #expect(answer.admits(key))
                #expect(answer.keys == [key])
                expectFault(answer, broken.name("v1"), "1 of 2 keys", "resolving the image", registry.endpoint, "503")
                registry.clearFaults()
                let both = try await service.verify(broken.name("v1"), key)
                expectAdmitted(both, key)
                expectAdmitted(both, broken.name("v1"))
            }
        }
    }

    @Test func aMutationIsNeverAGuess() async throws {
        try await withSigned { registry, key in
            try await withService(try .trustingRelease()) { service in
                Stage.resolve.inject(.status(503), registry)
                let answer = try await service.mutate(key)
                expectFault(answer, nil, "resolving the image", registry.endpoint, "503")
                #expect(answer.response?["idempotent"] == true)
                registry.clearFaults()
                let digest = try await service.mutate(key)
                #expect(digest.value()?.string?.contains("@sha256:") == true)
                #expect(digest.systemError == nil)
            }
        }
    }

    @Test func signaturesOnEveryPageAreLookedAt() async throws {
        var options = FaultyRegistry.Options()
        options.referrersPageSize = 2
        try await withRegistry(options) { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            let image = try await app.push("v1", content: "v1")
            for format in [EnvelopeFormat.jws, .cose, .jws, .cose] {
                try await signers.stranger.sign(
                    image, in: app.reference, at: app.destination, format,
                    metadata: ["number": "\(registry.requests.count)"])
            }
            try await signers.release.sign(image, in: app.reference, at: app.destination)
            registry.forgetRequests()
            try await withService(try .trustingRelease()) { service in
                let answer = try await service.verify(app.name("v1"))
                expectAdmitted(answer)
                #expect(answer.reports().map { $0["isSuccess"]?.bool } == [false, false, false, false, true])
                let pages = registry.requests.filter { $0.path.contains("/referrers/") }.map { $0.query["after"] }
                #expect(pages == [nil, "2", "4"])
            }
            try await withService(try .trustingRelease()) { service in
                // A list that breaks off is no list: it must not read as what was on its first pages.
                registry.inject(.status(500), path: "/v2/app/referrers/*", query: ["after": "4"])
                expectFault(try await service.verify(app.name("v1")), nil, "listing signatures", "500")
                registry.clearFaults()
                expectAdmitted(try await service.verify(app.name("v1")))
            }
        }
    }
}
