import OCI
import OCIRegistry
import Synchronization
import TestSupport
import Testing

/// What a list of referrers leaves open, and what registries say who have no such list.
@Suite struct ReferrerListTests {
    static let type = MediaType.notationSignature
    static let tag = Sample.subject.digest.referrersTag

    private func list(_ client: RegistryClient, type: String? = Self.type) async throws -> [Descriptor] {
        try await client.referrers(
            of: Sample.subject, in: Sample.reference(), artifactType: type, deadline: Sample.deadline)
    }

    // MARK: More pages

    /// Page 1 has a trusted signature; page 2, with another one, is named in a way that cannot be followed.
    @Test(arguments: [
        #"/v2/app/referrers/x?page=2; rel="next""#, #"</v2/app/referrers/x?page=2>"#,
        #"</v2/app/referrers/x?page=2>; rel="next"#, #"</v2/app/referrers/x?page=2; rel="next""#,
        #"<>; rel="next""#, #"</v2/app/referrers/x?page=2>; rel='next'"#,
    ])
    func neverTakesALinkThatCannotBeReadForTheEnd(link: String) async throws {
        let http = ScriptedHTTP { request in
            request.url.contains("page=2")
                ? .index([Sample.referrer(2)], request) : .index([Sample.referrer(1)], request, [("Link", link)])
        }
        let text = await expectError(.malformed) { try await list(RegistryClient(http: http)) }
        #expect(text.contains("Link header"))
        let two = ScriptedHTTP { request in
            request.url.contains("page=2")
                ? .index([Sample.referrer(2)], request)
                : .index([Sample.referrer(1)], request, [("Link", #"</a>; rel="prev""#), ("Link", link)])
        }
        await expectError(.malformed) { try await list(RegistryClient(http: two)) }
    }

    // MARK: Types

    private static func manifest(_ manifest: Manifest, type: String? = nil) -> (Descriptor, [UInt8]) {
        let content = manifest.json.bytes
        return (Descriptor(of: content, mediaType: manifest.mediaType, artifactType: type), content)
    }

    private static func serving(_ contents: [(Descriptor, [UInt8])], _ list: [Descriptor]) -> ScriptedHTTP {
        ScriptedHTTP { request in
            if let (descriptor, content) = contents.first(where: { request.url.hasSuffix($0.0.digest.description) }),
                request.url.contains("/manifests/")
            {
                return .answer(200, request, [("Content-Type", descriptor.mediaType)], body: content)
            }
            return request.url.contains("/manifests/") ? .answer(404, request) : .index(list, request)
        }
    }

    /// "artifactType … MUST be set to the config descriptor's mediaType" where the manifest has none; lists may lack
    /// it.
    @Test func looksAtManifestsForTheirTypes() async throws {
        let config = Descriptor(of: Array("{}".utf8), mediaType: Self.type)
        let byConfig = Self.manifest(Manifest(config: config, layers: [], subject: Sample.subject))
        let byType = Self.manifest(
            Manifest(artifactType: Self.type, config: Sample.config, layers: [], subject: Sample.subject))
        let other = Self.manifest(
            Manifest(artifactType: "application/spdx+json", config: config, layers: [], subject: Sample.subject))
        let index = Index(manifests: [], subject: Sample.subject).json.bytes
        let without = (Descriptor(of: index, mediaType: MediaType.ociIndex), index)
        let broken = (Descriptor(of: Array("{}".utf8), mediaType: MediaType.ociManifest), Array("{}".utf8))
        var empty = byType.0
        empty.artifactType = ""
        let contents = [byConfig, byType, other, without, broken]
        let http = Self.serving(contents, [byConfig.0, empty, other.0, without.0, broken.0])
        let found = try await list(RegistryClient(http: http))
        #expect(found.map(\.digest) == [byConfig.0.digest, byType.0.digest, broken.0.digest])
        #expect(found.allSatisfy { $0.artifactType == Self.type })
        let all = try await list(RegistryClient(http: http), type: nil)
        #expect(all.map(\.artifactType) == [Self.type, Self.type, "application/spdx+json", "", nil])
        // The tag's list is of the same kind.
        let tag = ScriptedHTTP { request in
            if request.url.contains("/referrers/") { return .answer(404, request) }
            if request.url.hasSuffix(Self.tag) { return .index([other.0, byConfig.0], request) }
            return .answer(200, request, [("Content-Type", MediaType.ociManifest)], body: byConfig.1)
        }
        #expect(try await list(RegistryClient(http: tag)).contains { $0.digest == byConfig.0.digest })
    }

    @Test func boundsWhatIsFetchedForTypes() async throws {
        func list(_ count: Int, size: Int64 = 100, _ adjust: (inout RegistryOptions) -> Void = { _ in }) async throws
            -> (listed: Int, requests: Int)
        {
            let entries = (0..<count).map { number -> Descriptor in
                var entry = Sample.referrer(number, type: nil)
                entry.size = size
                return entry
            }
            let http = Self.serving([], entries)
            var options = RegistryOptions()
            adjust(&options)
            return (try await self.list(RegistryClient(http: http, options: options)).count, http.requests.count)
        }
        let most = try await list(100)
        #expect(most == (100, 101))
        await expectError(.tooMany) { try await list(101) }
        await expectError(.tooMany) { try await list(5, size: 1 << 20) }
        await expectError(.tooMany) { try await list(2, size: .max) }
        await expectError(.tooMany) { try await list(3) { $0.maximumUntypedReferrers = 2 } }
    }

    @Test(arguments: ["5", "{}", "true", "[\"application/vnd.cncf.notary.signature\"]"])
    func neverTakesAMalformedTypeForNone(type: String) async throws {
        let entry =
            #"{"mediaType":"\#(MediaType.ociManifest)","digest":"\#(Digest(of: [1]))","size":1,"artifactType":\#(type)}"#
        let body = Array(#"{"schemaVersion":2,"manifests":[\#(entry)]}"#.utf8)
        let http = ScriptedHTTP { .answer(200, $0, [("Content-Type", MediaType.ociIndex)], body: body) }
        await expectError(.malformed) { try await list(RegistryClient(http: http)) }
    }

    // MARK: The referrers tag

    /// A registry without the API that takes `sha256-HEX` for the digest: its answer is no list.
    @Test func theImageItselfIsNoList() async throws {
        let platforms = Index(manifests: [Sample.subject]).json.bytes
        for (content, mediaType) in [(Sample.image, MediaType.ociManifest), (platforms, MediaType.ociIndex)] {
            let subject = Descriptor(of: content, mediaType: mediaType)
            let http = ScriptedHTTP { request in
                request.url.contains("/referrers/")
                    ? .answer(404, request) : .answer(200, request, [("Content-Type", mediaType)], body: content)
            }
            let client = RegistryClient(http: http)
            for type in [Self.type, nil] {
                let found = try await client.referrers(
                    of: subject, in: Sample.reference(), artifactType: type, deadline: Sample.deadline)
                #expect(found.isEmpty)
            }
        }
        // Another manifest under this tag is not known to mean the same.
        let http = ScriptedHTTP { request in
            request.url.contains("/referrers/")
                ? .answer(404, request)
                : .answer(
                    200, request, [("Content-Type", MediaType.ociManifest)],
                    body: Manifest(config: Sample.config, layers: []).json.bytes)
        }
        await expectError(.malformed) { try await list(RegistryClient(http: http)) }
    }

    /// Signing works where the tag can be written, and says so where what was written is not what is answered.
    @Test(arguments: [true, false]) func signsWhereTheTagAnswersTheImage(isWritable: Bool) async throws {
        let written = Mutex<[UInt8]?>(nil)
        let http = ScriptedHTTP { request in
            switch request.method {
            case .put:
                if isWritable, request.url.hasSuffix(Self.tag) { written.withLock { $0 = request.body } }
                return .answer(201, request)
            case .get where request.url.hasSuffix(Self.tag):
                let list = written.withLock(\.self)
                return .answer(
                    200, request, [("Content-Type", list == nil ? MediaType.ociManifest : MediaType.ociIndex)],
                    body: list ?? Sample.image)
            default: return .answer(404, request)
            }
        }
        let client = RegistryClient(http: http)
        let signature = Manifest(
            artifactType: Self.type, config: Sample.config, layers: [], subject: Sample.subject)
        func push() async throws -> Descriptor {
            try await client.pushReferrer(
                signature.json.bytes, mediaType: MediaType.ociManifest, subject: Sample.subject,
                artifactType: Self.type, annotations: [:], to: Sample.reference(), deadline: Sample.deadline)
        }
        guard isWritable else {
            let text = await expectError(.refused) { try await push() }
            #expect(text.contains("goes on answering this tag with the image itself"))
            return
        }
        let pushed = try await push()
        #expect(try await list(client) == [pushed])
    }

    // MARK: Refusals

    /// Whoever has just read the image is not told to get the right to.
    @Test func aRefusalOfTheTagAfterAPullIsNotAboutTheRightToPull() async throws {
        let http = ScriptedHTTP { request in
            if request.url.contains("/referrers/") { return .answer(404, request) }
            guard request.url.hasSuffix("/manifests/v1") else { return .answer(403, request) }
            return .answer(200, request, [("Content-Type", MediaType.ociManifest)], body: Sample.image)
        }
        let client = RegistryClient(http: http)
        let before = await expectError(.forbidden) { try await list(client) }
        #expect(before.contains("grant this identity the right to pull"))
        _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
        let after = await expectError(.forbidden) { try await list(client) }
        #expect(!after.contains("grant this identity"))
        #expect(after.contains("most likely the image has no signature"))
    }
}
