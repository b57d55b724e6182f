import Foundation
import HTTP
import OCI
import OCIRegistry
import TestSupport
import Testing

/// Over real connections, against a registry that has the Referrers API and fails on demand.
@Suite(.serialized) struct FaultyRegistryTests {
    private static let type = MediaType.notationSignature

    private struct Setting {
        let registry: FaultyRegistry
        let image: Descriptor
        let reference: ImageReference
        var referrers: [Descriptor] = []

        init(
            referrers count: Int = 1, _ options: FaultyRegistry.Options = .init()
        ) async throws {
            registry = try await FaultyRegistry.start(options)
            image = registry.putImage("team/app", tag: "v1")
            reference = try ImageReference(parsing: "\(registry.endpoint)/team/app:v1")
            for number in 0..<count {
                referrers.append(
                    registry.putReferrer(
                        of: image, artifactType: number % 3 == 2 ? "other" : type,
                        blob: Array("envelope \(number)".utf8),
                        mediaType: MediaType.notationJWS, in: "team/app"))
            }
        }

        func client(
            _ credential: RegistryCredential = .anonymous, _ adjust: (inout RegistryOptions) -> Void = { _ in }
        ) throws -> RegistryClient {
            var options = RegistryOptions()
            // Nothing is to knock at a registry that is being stopped.
            options.sharedFetchTime = .zero
            options.retry = RetryPolicy(maximumAttempts: 3, baseBackoff: .milliseconds(5))
            adjust(&options)
            return RegistryClient(
                http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])),
                credentials: GivenCredentials(credential), options: options)
        }

        func list(_ client: RegistryClient, type: String? = type, within time: Duration = .seconds(60)) async throws
            -> [Digest]
        {
            try await client.referrers(
                of: image, in: reference, artifactType: type, deadline: .now + time
            ).map(\.digest)
        }

        /// The digests of the signatures.
        var signatures: [Digest] { referrers.enumerated().filter { $0.offset % 3 != 2 }.map(\.element.digest) }
    }

    private func deadline() -> ContinuousClock.Instant { .now + .seconds(60) }

    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func readsEveryPage(filters: Bool, absolute: Bool) async throws {
        var options = FaultyRegistry.Options()
        options.referrersPageSize = 2
        options.filtersReferrers = filters
        options.absoluteLinks = absolute
        let setting = try await Setting(referrers: 11, options)
        let client = try setting.client()
        #expect(Set(try await setting.list(client)) == Set(setting.signatures))
        #expect(Set(try await setting.list(client, type: nil)) == Set(setting.referrers.map(\.digest)))
        await setting.registry.stop()
    }

    @Test func readsTheTagWhereThereIsNoAPI() async throws {
        var options = FaultyRegistry.Options()
        options.referrersAPI = false
        let setting = try await Setting(referrers: 0, options)
        let client = try setting.client()
        #expect(try await setting.list(client).isEmpty)
        let manifest = Manifest(
            artifactType: Self.type, config: Sample.config, layers: [], subject: setting.image)
        let pushed = try await client.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: setting.image, artifactType: Self.type,
            annotations: [:], to: setting.reference, deadline: deadline())
        #expect(try await setting.list(client) == [pushed.digest])
        #expect(setting.registry.storedManifest(setting.image.digest.referrersTag, in: "team/app") != nil)
        await setting.registry.stop()
    }

    @Test func leavesTheTagAloneWhereThereIsAnAPI() async throws {
        let setting = try await Setting(referrers: 0)
        let client = try setting.client()
        _ = try await client.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: setting.reference, deadline: deadline())
        let manifest = Manifest(artifactType: Self.type, config: Sample.config, layers: [], subject: setting.image)
        let pushed = try await client.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: setting.image, artifactType: Self.type,
            annotations: [:], to: setting.reference, deadline: deadline())
        #expect(try await setting.list(client) == [pushed.digest])
        #expect(setting.registry.storedManifest(setting.image.digest.referrersTag, in: "team/app") == nil)
        #expect(setting.registry.storedBlob(Sample.config.digest, in: "team/app") == Array("{}".utf8))
        await setting.registry.stop()
    }

    /// None of these may read as "no signatures".
    @Test(arguments: [
        (RegistryFault.Kind.tooManyRequests(retryAfter: "1000"), RegistryError.Kind.throttled),
        (.tooManyRequests(retryAfter: nil), .throttled), (.status(500), .unavailable), (.status(503), .unavailable),
        (.reset, .unavailable), (.cutShort, .unavailable), (.delay(.seconds(30)), .timeout),
        (.slowBody(bytes: 1, every: .seconds(1)), .timeout),
    ])
    func tellsAPassingFault(fault: RegistryFault.Kind, kind: RegistryError.Kind) async throws {
        let setting = try await Setting()
        setting.registry.inject(fault, path: "*/referrers/*")
        do {
            let referrers = try await setting.list(
                setting.client(), within: kind == .timeout ? .milliseconds(1500) : .seconds(60))
            Issue.record("read as \(referrers)")
        } catch let error as RegistryError {
            #expect(error.kind == kind, "\(error)")
            #expect(error.isTransient)
            #expect(error.description.contains(setting.registry.endpoint))
        }
        #expect(!setting.registry.requests.contains { $0.path.contains("sha256-") })
        await setting.registry.stop()
    }

    @Test(arguments: [
        RegistryFault.Kind.truncatedJSON, .header("Content-Type", "text/html"),
        .header("Link", "<https://evil.example/>; rel=next"), .status(400), .status(403),
    ])
    func tellsADefiniteFault(fault: RegistryFault.Kind) async throws {
        let setting = try await Setting()
        setting.registry.inject(fault, path: "*/referrers/*")
        do {
            let referrers = try await setting.list(setting.client())
            Issue.record("read as \(referrers)")
        } catch let error as RegistryError { #expect(!error.isTransient, "\(error)") }
        await setting.registry.stop()
    }

    @Test func getsOverAShortFault() async throws {
        let setting = try await Setting()
        setting.registry.inject(.tooManyRequests(retryAfter: "1"), path: "*/referrers/*", count: 1)
        setting.registry.inject(.status(502), path: "*/referrers/*", count: 1)
        #expect(try await setting.list(setting.client()) == setting.signatures)
        await setting.registry.stop()
    }

    @Test(arguments: [
        (RegistryFault.Kind.wrongContent, RegistryError.Kind.digestMismatch), (.oversized(by: 1), .sizeMismatch),
        (.oversized(by: 10_000_000), .sizeMismatch), (.truncatedJSON, .sizeMismatch), (.cutShort, .unavailable),
        (.reset, .unavailable),
    ])
    func refusesContentThatIsNotItself(fault: RegistryFault.Kind, kind: RegistryError.Kind) async throws {
        let setting = try await Setting()
        setting.registry.inject(fault, path: "*/manifests/sha256:*")
        setting.registry.inject(fault, path: "*/blobs/*")
        let client = try setting.client()
        await expectError(kind) {
            try await client.manifest(setting.image, in: setting.reference, deadline: deadline())
        }
        let blob = Descriptor(of: Array("envelope 0".utf8), mediaType: MediaType.notationJWS)
        await expectError(kind) {
            try await client.blob(blob, in: setting.reference, maximumBytes: 1000, deadline: deadline())
        }
        // Nothing of it was kept.
        setting.registry.clearFaults()
        #expect(
            try await client.blob(blob, in: setting.reference, maximumBytes: 1000, deadline: deadline())
                == Array("envelope 0".utf8))
        await setting.registry.stop()
    }

    @Test func resolvesWithoutADigestHeader() async throws {
        let setting = try await Setting()
        setting.registry.inject(.withoutDigestHeader)
        #expect(try await setting.client().resolve(setting.reference, deadline: deadline()) == setting.image)
        #expect(setting.registry.requests.map(\.method) == ["HEAD", "GET"])
        await setting.registry.stop()
    }

    @Test func followsABlobToAnotherHostWithoutItsToken() async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "u", password: "p")
        let setting = try await Setting(options)
        let elsewhere = try await FaultyRegistry.start()
        let content = Array("envelope 0".utf8)
        elsewhere.putBlob(content, in: "team/app")
        setting.registry.inject(.redirect(to: elsewhere.url), path: "*/blobs/*")
        let client = try setting.client(.basic(user: "u", password: "p"))
        let blob = Descriptor(of: content, mediaType: MediaType.notationJWS)
        #expect(
            try await client.blob(blob, in: setting.reference, maximumBytes: 1000, deadline: deadline()) == content)
        #expect(setting.registry.requests.contains { $0.header("Authorization")?.hasPrefix("Bearer ") == true })
        #expect(elsewhere.requests.count == 1)
        #expect(elsewhere.requests.allSatisfy { $0.header("Authorization") == nil && $0.header("Cookie") == nil })
        await setting.registry.stop()
        await elsewhere.stop()
    }

    @Test func gets100CallersOneToken() async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "u", password: "p", refreshToken: "r")
        let setting = try await Setting(options)
        let client = try setting.client(.basic(user: "u", password: "p"))
        func askAll() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let reference =
                            number % 2 == 0 ? setting.reference.with(digest: setting.image.digest) : setting.reference
                        _ = try await client.resolve(reference, deadline: .now + .seconds(60))
                        _ = try await client.referrers(
                            of: setting.image, in: reference, artifactType: number % 5 == 0 ? nil : "type \(number)",
                            deadline: .now + .seconds(60))
                    }
                }
                try await group.waitForAll()
            }
        }
        try await askAll()
        #expect(setting.registry.tokenRequests.count == 1)
        setting.registry.forgetRequests()
        try await askAll()
        #expect(setting.registry.tokenRequests.count == 1)
        // Whatever is asked now has the token with it at once.
        #expect(setting.registry.requests.allSatisfy { $0.header("Authorization")?.hasPrefix("Bearer ") == true })
        setting.registry.revokeTokens()
        try await askAll()
        #expect(setting.registry.tokenRequests.count <= 4)
        let refreshed = try setting.client(.identityToken("r"))
        #expect(try await setting.list(refreshed) == setting.signatures)
        #expect(setting.registry.tokenRequests.last?.grantType == "refresh_token")
        await expectError(.unauthorized) { try await setting.list(setting.client(.basic(user: "u", password: "no"))) }
        await expectError(.unauthorized) { try await setting.list(setting.client()) }
        await setting.registry.stop()
    }

    @Test func takesATokenEndpointThatThrottlesForAPassingFault() async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "u", password: "p")
        let setting = try await Setting(options)
        setting.registry.inject(.tooManyRequests(retryAfter: "1000"), path: "/token")
        let text = await expectError(.throttled) {
            try await setting.list(setting.client(.basic(user: "u", password: "p")))
        }
        #expect(text.contains("token"))
        await setting.registry.stop()
    }

    /// The measured way of one verification, for whoever counts requests.
    @Test func asksNoMoreThanItMust() async throws {
        let setting = try await Setting()
        let client = try setting.client()
        for _ in 0..<2 {
            let image = try await client.resolve(setting.reference, deadline: deadline())
            let referrers = try await client.referrers(
                of: image, in: setting.reference, artifactType: Self.type, deadline: deadline())
            let content = try await client.manifest(referrers[0], in: setting.reference, deadline: deadline())
            let manifest = try Manifest(parsing: content, mediaType: referrers[0].mediaType)
            _ = try await client.blob(
                manifest.layers[0], in: setting.reference, maximumBytes: 1000, deadline: deadline())
        }
        // The first time four requests, the second time what may have changed: the tag and the list.
        #expect(setting.registry.requests.count == 6)
        await setting.registry.stop()
    }
}
