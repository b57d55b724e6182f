import HTTP
import OCI
import OCIRegistry
import Synchronization
import TestSupport
import Testing

/// The tag where cosign keeps the signatures of an image, beside the list of referrers.
@Suite struct CosignSignaturesTests {
    private static let type = MediaType.cosignSignature
    private static let tag = "sha256-\(Sample.subject.digest.hex).sig"
    private static let layer = Descriptor(
        of: Array("payload".utf8), mediaType: "application/vnd.dev.cosign.simplesigning.v1+json")
    /// As cosign writes it: without a subject.
    private static let manifest = Manifest(
        config: Descriptor(of: Array("{}".utf8), mediaType: "application/vnd.oci.image.config.v1+json"),
        layers: [layer]
    ).json.bytes
    private static let signatures = Descriptor(
        of: manifest, mediaType: MediaType.ociManifest, artifactType: type)

    private func client(
        _ http: any HTTPSending, _ adjust: (inout RegistryOptions) -> Void = { _ in }
    ) -> RegistryClient {
        var options = RegistryOptions()
        options.cosignSignatures = true
        options.retry = .none
        adjust(&options)
        return RegistryClient(http: http, options: options)
    }

    private func list(_ client: RegistryClient, type: String? = nil) async throws -> [Descriptor] {
        try await client.referrers(
            of: Sample.subject, in: Sample.reference(), artifactType: type, deadline: Sample.deadline)
    }

    /// A registry that lists `entries`, and has `answer` at the tag.
    private static func serving(
        _ entries: [Descriptor] = [], _ answer: @escaping @Sendable (HTTPRequest) -> HTTPResponse
    ) -> ScriptedHTTP {
        ScriptedHTTP { request in
            if request.url.hasSuffix("/manifests/\(tag)") { return answer(request) }
            if request.url.contains("/referrers/") {
                return .index(entries, request, [("OCI-Filters-Applied", "artifactType")])
            }
            return .answer(404, request)
        }
    }

    private static func signed(_ request: HTTPRequest) -> HTTPResponse {
        .answer(
            200, request,
            [("Content-Type", MediaType.ociManifest), ("Docker-Content-Digest", signatures.digest.description)],
            body: manifest)
    }

    // MARK: What is asked

    @Test func addsTheTagToTheList() async throws {
        let http = Self.serving([Sample.referrer(1)]) { Self.signed($0) }
        let client = client(http)
        #expect(try await list(client) == [Sample.referrer(1), Self.signatures])
        #expect(
            Set(http.lines) == [
                "GET https://r.example/v2/app/referrers/\(Sample.subject.digest)",
                "GET https://r.example/v2/app/manifests/\(Self.tag)",
            ])
        // What was found is not fetched again.
        let content = try await client.manifest(Self.signatures, in: Sample.reference(), deadline: Sample.deadline)
        #expect(content == Self.manifest)
        #expect(http.requests.count == 2)
    }

    @Test func asksForTheTagOnlyWhereItsTypeIsWanted() async throws {
        let http = Self.serving { Self.signed($0) }
        #expect(try await list(client(http), type: MediaType.notationSignature).isEmpty)
        #expect(http.requests.count == 1)
        #expect(try await list(client(http), type: Self.type) == [Self.signatures])
        #expect(http.requests.count == 3)
        #expect(try await list(client(http) { $0.cosignSignatures = false }).isEmpty)
        #expect(http.requests.count == 4)
    }

    /// The list and the tag are asked for at the same time: each is answered once the other was asked for.
    @Test func asksForBothAtOnce() async throws {
        let gate = Gate()
        let count = Mutex(0)
        let http = ScriptedHTTP { request in
            guard request.method == .get else {
                return .answer(
                    200, request,
                    [
                        ("Content-Type", MediaType.ociManifest), ("Content-Length", "\(Sample.subject.size)"),
                        ("Docker-Content-Digest", Sample.subject.digest.description),
                    ])
            }
            if count.withLock({
                $0 += 1; return $0
            }) == 2 {
                gate.open()
            }
            await gate.wait()
            return request.url.hasSuffix(Self.tag) ? Self.signed(request) : .index([], request)
        }
        let client = client(http)
        // The very first call to a repository has to tell how it wants to be asked.
        _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
        #expect(try await list(client) == [Self.signatures])
    }

    @Test func findsTheTagWhereThereIsNoReferrersAPI() async throws {
        let http = ScriptedHTTP { request in
            request.url.hasSuffix(Self.tag) ? Self.signed(request) : .answer(404, request)
        }
        #expect(try await list(client(http)) == [Self.signatures])
        #expect(http.requests.count == 3)
    }

    @Test func findsNothingWhereThereIsNone() async throws {
        #expect(try await list(client(Self.serving { .answer(404, $0) })).isEmpty)
        let referrers = try await list(client(Self.serving([Sample.referrer(1)]) { .answer(404, $0) }))
        #expect(referrers == [Sample.referrer(1)])
    }

    /// No tag is long enough for a digest of SHA-512.
    @Test func asksForNoTagThatCannotBe() async throws {
        let http = Self.serving { Self.signed($0) }
        let subject = Descriptor(
            mediaType: MediaType.ociManifest, digest: Digest(of: [1], algorithm: .sha512), size: 1)
        let found = try await client(http).referrers(
            of: subject, in: Sample.reference(), artifactType: nil, deadline: Sample.deadline)
        #expect(found.isEmpty)
        #expect(http.requests.count == 1)
        #expect(
            Digest(of: [1], algorithm: .sha384).cosignSignatureTag?.hasPrefix("sha384-") == true)
    }

    // MARK: Twice the same

    /// cosign with `--registry-referrers-mode=oci-1-1` writes a referrer of the same type.
    @Test func listsTheSameManifestOnce() async throws {
        let listed = try await list(client(Self.serving([Self.signatures]) { Self.signed($0) }))
        #expect(listed == [Self.signatures])
        let other = Sample.referrer(7, type: Self.type)
        let both = try await list(client(Self.serving([other]) { Self.signed($0) }), type: Self.type)
        #expect(both == [other, Self.signatures])
        // Listed as something else, it is something else, too: nothing hides it.
        var foreign = Self.signatures
        foreign.artifactType = "application/spdx+json"
        #expect(try await list(client(Self.serving([foreign]) { Self.signed($0) })) == [foreign, Self.signatures])
    }

    @Test func boundsTheListWithTheTag() async throws {
        let http = Self.serving((1...10).map { Sample.referrer($0) }) { Self.signed($0) }
        await expectError(.tooMany) { try await list(client(http) { $0.maximumReferrers = 10 }) }
        #expect(try await list(client(http) { $0.maximumReferrers = 11 }).count == 11)
        let large = Self.serving { request in
            .answer(
                200, request, [("Content-Type", MediaType.ociManifest)],
                body: [UInt8](repeating: 0x20, count: 5000))
        }
        await expectError(.tooLarge) { try await list(client(large) { $0.maximumManifestBytes = 4096 }) }
    }

    // MARK: What is no answer

    /// None of these may read as "no signatures", whatever the list says.
    @Test(arguments: [
        (401, RegistryError.Kind.unauthorized), (403, .forbidden), (400, .refused), (429, .throttled),
        (500, .unavailable), (503, .unavailable), (204, .refused), (301, .refused),
    ])
    func neverTakesAFaultForNone(status: Int, kind: RegistryError.Kind) async throws {
        for entries in [[], [Sample.referrer(1)]] {
            let http = Self.serving(entries) { .answer(status, $0) }
            let text = await expectError(kind) { try await list(client(http)) }
            #expect(text.contains(Self.tag))
            #expect(text.contains("looking for cosign's signatures"))
        }
    }

    @Test func neverTakesABrokenConnectionForNone() async throws {
        let http = ScriptedHTTP { request throws(HTTPError) in
            guard request.url.hasSuffix(Self.tag) else { return .index([Sample.referrer(1)], request) }
            throw HTTPError(
                kind: .connectionLost, host: "r.example", method: request.method, attempts: 1, detail: "gone")
        }
        await expectError(.unavailable) { try await list(client(http)) }
    }

    /// Where the list is not to be had, the tag does not stand in for it.
    @Test func neverTakesTheTagForTheList() async throws {
        let http = ScriptedHTTP { request in
            request.url.hasSuffix(Self.tag) ? Self.signed(request) : .answer(503, request)
        }
        await expectError(.unavailable) { try await list(client(http)) }
    }

    @Test func believesOnlyTheContent() async throws {
        let lying = Self.serving { request in
            .answer(
                200, request,
                [
                    ("Content-Type", MediaType.ociManifest),
                    ("Docker-Content-Digest", Sample.subject.digest.description),
                ], body: Self.manifest)
        }
        await expectError(.digestMismatch) { try await list(client(lying)) }
        for type in ["text/html", "application/json", ""] {
            let page = Self.serving { .answer(200, $0, [("Content-Type", type)], body: Array("<html>".utf8)) }
            await expectError(.malformed) { try await list(client(page)) }
        }
    }

    /// It takes the tag for the digest that is in it.
    @Test(arguments: [MediaType.ociManifest, MediaType.ociIndex])
    func findsNothingWhereTheRegistryAnswersWithTheImage(type: String) async throws {
        let http = Self.serving { .answer(200, $0, [("Content-Type", type)], body: Sample.image) }
        #expect(try await list(client(http)).isEmpty)
    }

    /// An index is no signature. It is judged, and fails: it is not left out as if nothing were there.
    @Test func listsAnIndexAsWhatItIs() async throws {
        let index = Index(manifests: [Sample.referrer(1)]).json.bytes
        let http = Self.serving { .answer(200, $0, [("Content-Type", MediaType.ociIndex)], body: index) }
        #expect(
            try await list(client(http)) == [
                Descriptor(of: index, mediaType: MediaType.ociIndex, artifactType: Self.type)
            ])
    }

    // MARK: What is kept

    @Test func keepsTheListWithTheTag() async throws {
        let isSigned = Mutex(false)
        let http = Self.serving { request in
            isSigned.withLock { $0 } ? Self.signed(request) : .answer(404, request)
        }
        let kept = client(http) { $0.referrersCacheLifetime = .seconds(600) }
        #expect(try await list(kept).isEmpty)
        isSigned.withLock { $0 = true }
        #expect(try await list(kept).isEmpty)
        #expect(http.requests.count == 2)
        let fresh = client(http)
        #expect(try await list(fresh) == [Self.signatures])
        #expect(try await list(fresh) == [Self.signatures])
        #expect(http.requests.count == 6)
    }

    /// A fault is not kept.
    @Test func asksAgainAfterAFault() async throws {
        let count = Mutex(0)
        let http = Self.serving { request in
            count.withLock {
                $0 += 1; return $0
            } == 1 ? .answer(503, request) : Self.signed(request)
        }
        let kept = client(http) { $0.referrersCacheLifetime = .seconds(600) }
        await expectError(.unavailable) { try await list(kept) }
        #expect(try await list(kept) == [Self.signatures])
    }
}

/// The same over real connections, with a registry that fails, and with one that people run.
@Suite(.serialized) struct CosignSignaturesOverTheWireTests {
    private static let reference = "team/app"

    private func client(_ adjust: (inout RegistryOptions) -> Void = { _ in }) throws -> RegistryClient {
        var options = RegistryOptions()
        options.cosignSignatures = true
        options.sharedFetchTime = .zero
        options.retry = RetryPolicy(maximumAttempts: 2, baseBackoff: .milliseconds(5))
        adjust(&options)
        return RegistryClient(
            http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])), options: options)
    }

    private static let manifest = Manifest(config: Sample.config, layers: []).json.bytes

    @Test func readsThePageAndTheTag() async throws {
        let registry = try await FaultyRegistry.start()
        let image = registry.putImage("team/app", tag: "v1")
        let tag = try #require(image.digest.cosignSignatureTag)
        let reference = try ImageReference(parsing: "\(registry.endpoint)/team/app@\(image.digest)")
        let listed = registry.putReferrer(
            of: image, artifactType: MediaType.cosignSignature, blob: [1], mediaType: "x", in: "team/app")
        let client = try client()
        var found = try await client.referrers(
            of: image, in: reference, artifactType: nil, deadline: .now + .seconds(60))
        #expect(found.map(\.digest) == [listed.digest])
        let tagged = registry.putManifest(Self.manifest, tag: tag, in: "team/app")
        registry.forgetRequests()
        found = try await client.referrers(of: image, in: reference, artifactType: nil, deadline: .now + .seconds(60))
        #expect(found.map(\.digest) == [listed.digest, tagged.digest])
        #expect(found.allSatisfy { $0.artifactType == MediaType.cosignSignature })
        #expect(registry.requests.count == 2)
        await registry.stop()
    }

    @Test(arguments: [
        (RegistryFault.Kind.tooManyRequests(retryAfter: "1000"), RegistryError.Kind.throttled),
        (.status(503), .unavailable), (.reset, .unavailable), (.cutShort, .unavailable),
        (.delay(.seconds(30)), .timeout), (.slowBody(bytes: 1, every: .seconds(1)), .timeout),
    ])
    func tellsAPassingFault(fault: RegistryFault.Kind, kind: RegistryError.Kind) async throws {
        let registry = try await FaultyRegistry.start()
        let image = registry.putImage("team/app", tag: "v1")
        let tag = try #require(image.digest.cosignSignatureTag)
        registry.putManifest(Self.manifest, tag: tag, in: "team/app")
        registry.inject(fault, path: "*/manifests/*.sig")
        let reference = try ImageReference(parsing: "\(registry.endpoint)/team/app:v1")
        do {
            let found = try await client().referrers(
                of: image, in: reference, artifactType: nil,
                deadline: .now + (kind == .timeout ? .milliseconds(1500) : .seconds(60)))
            Issue.record("read as \(found)")
        } catch let error as RegistryError {
            #expect(error.kind == kind, "\(error)")
            #expect(error.isTransient)
        }
        await registry.stop()
    }

    /// What a client has written itself is in its next list.
    @Test(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
    func readsWhatWasWritten() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/team/app:v1")
        let client = try client { $0.referrersCacheLifetime = .seconds(600) }
        let deadline = ContinuousClock.now + .seconds(60)
        _ = try await client.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: deadline)
        let image = try await client.pushManifest(
            Sample.image, mediaType: MediaType.ociManifest, tag: "v1", to: reference, deadline: deadline)
        func list(_ type: String?) async throws -> [Descriptor] {
            try await client.referrers(of: image, in: reference, artifactType: type, deadline: deadline)
        }
        #expect(try await list(nil).isEmpty)
        #expect(try await list(MediaType.cosignSignature).isEmpty)
        var tagged = try await client.pushManifest(
            Self.manifest, mediaType: MediaType.ociManifest, tag: image.digest.cosignSignatureTag, to: reference,
            deadline: deadline)
        tagged.artifactType = MediaType.cosignSignature
        #expect(try await list(nil) == [tagged])
        #expect(try await list(MediaType.cosignSignature) == [tagged])
        #expect(try await list(MediaType.notationSignature).isEmpty)
    }
}
