import HTTP
import OCI
import OCIRegistry
import TestSupport
import Testing

/// Against a real registry that has no Referrers API.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"), .serialized)
struct DockerRegistryTests {
    private func client(_ credentials: any RegistryCredentials = AnonymousCredentials()) throws -> RegistryClient {
        RegistryClient(
            http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])), credentials: credentials)
    }

    private func deadline() -> ContinuousClock.Instant { .now + .seconds(60) }

    private func pushImage(_ client: RegistryClient, _ reference: ImageReference) async throws -> Descriptor {
        _ = try await client.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: deadline())
        return try await client.pushManifest(
            Sample.image, mediaType: MediaType.ociManifest, tag: reference.tag, to: reference, deadline: deadline())
    }

    private func signature(_ number: Int, of subject: Descriptor) -> Manifest {
        Manifest(
            artifactType: MediaType.notationSignature, config: Sample.config,
            layers: [Descriptor(of: Array("envelope \(number)".utf8), mediaType: MediaType.notationJWS)],
            subject: subject, annotations: ["number": "\(number)"])
    }

    private func push(_ client: RegistryClient, _ manifest: Manifest, _ number: Int, _ reference: ImageReference)
        async throws -> Descriptor
    {
        _ = try await client.pushBlob(
            Array("envelope \(number)".utf8), mediaType: MediaType.notationJWS, to: reference, deadline: deadline())
        guard let subject = manifest.subject else { throw CancellationError() }
        return try await client.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: subject,
            artifactType: MediaType.notationSignature, annotations: manifest.annotations, to: reference,
            deadline: deadline())
    }

    @Test func pushesAndReads() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/team/app:v1")
        let writer = try client()
        await expectError(.notFound) { try await writer.resolve(reference, deadline: deadline()) }
        let image = try await pushImage(writer, reference)
        #expect(image == Sample.subject)
        // A second time nothing is in the way.
        #expect(try await pushImage(writer, reference) == image)

        let reader = try client()
        #expect(try await reader.resolve(reference, deadline: deadline()) == image)
        #expect(try await reader.resolve(reference.with(digest: image.digest), deadline: deadline()) == image)
        #expect(try await reader.manifest(image, in: reference, deadline: deadline()) == Sample.image)
        #expect(
            try await reader.blob(Sample.config, in: reference, maximumBytes: 100, deadline: deadline())
                == Array("{}".utf8))
        #expect(
            try await reader.referrers(of: image, in: reference, artifactType: nil, deadline: deadline()).isEmpty)

        var pushed: [Descriptor] = []
        for number in 1...3 {
            pushed.append(try await push(writer, signature(number, of: image), number, reference))
        }
        #expect(try await push(writer, signature(1, of: image), 1, reference) == pushed[0])
        let listed = try await reader.referrers(
            of: image, in: reference, artifactType: MediaType.notationSignature, deadline: deadline())
        #expect(listed == pushed)
        #expect(
            try await reader.referrers(of: image, in: reference, artifactType: "other", deadline: deadline()).isEmpty)
        let content = try await reader.manifest(listed[2], in: reference, deadline: deadline())
        let manifest = try Manifest(parsing: content, mediaType: listed[2].mediaType)
        #expect(manifest.subject == image)
        #expect(
            try await reader.blob(manifest.layers[0], in: reference, maximumBytes: 100, deadline: deadline())
                == Array("envelope 3".utf8))
    }

    @Test func addsToTheReferrersTagBesideOthers() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/app:v1")
        let writer = try client()
        let image = try await pushImage(writer, reference)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<10 {
                group.addTask { _ = try await push(writer, signature(number, of: image), number, reference) }
            }
            try await group.waitForAll()
        }
        #expect(
            try await client().referrers(of: image, in: reference, artifactType: nil, deadline: deadline()).count == 10)
    }

    @Test func provesItselfByPassword() async throws {
        let registry = try await DockerRegistry(.basic(user: "robot", password: "pass:word"))
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/app:v1")
        let good = try client(GivenCredentials(.basic(user: "robot", password: "pass:word")))
        let image = try await pushImage(good, reference)
        #expect(try await good.resolve(reference, deadline: deadline()) == image)
        for credential in [RegistryCredential.anonymous, .basic(user: "robot", password: "wrong")] {
            let bad = try client(GivenCredentials(credential))
            await expectError(.unauthorized) { try await bad.resolve(reference, deadline: deadline()) }
            await expectError(.unauthorized) {
                try await bad.referrers(of: image, in: reference, artifactType: nil, deadline: deadline())
            }
        }
    }

    @Test func provesItselfByTokens() async throws {
        let tokens = try TokenServer(user: "robot", password: "pw", refreshToken: "refresh")
        defer { tokens.stop() }
        let registry = try await DockerRegistry(tokens.authentication)
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/team/app:v1")
        let writer = try client(GivenCredentials(.basic(user: "robot", password: "pw")))
        let image = try await pushImage(writer, reference)
        let signed = try await push(writer, signature(1, of: image), 1, reference)
        // One token to pull and one to push, however many calls.
        #expect(tokens.requests == 2)

        let refreshed = try client(GivenCredentials(.identityToken("refresh")))
        #expect(try await pushImage(refreshed, reference) == image)

        let reader = try client()
        #expect(try await reader.resolve(reference, deadline: deadline()) == image)
        #expect(
            try await reader.referrers(of: image, in: reference, artifactType: nil, deadline: deadline()) == [signed])
        await expectError(.unauthorized) {
            try await reader.pushManifest(
                Sample.image, mediaType: MediaType.ociManifest, tag: "v2", to: reference, deadline: deadline())
        }
        for credential in [RegistryCredential.basic(user: "robot", password: "no"), .identityToken("no")] {
            let refused = try client(GivenCredentials(credential))
            await expectError(.unauthorized) { try await refused.resolve(reference, deadline: deadline()) }
        }
    }

    @Test func saysThatARegistryIsGone() async throws {
        let registry = try await DockerRegistry()
        let reference = try ImageReference(parsing: "\(registry.host)/app:v1")
        registry.stop()
        let text = await expectError(.unavailable) {
            try await client().referrers(
                of: Sample.subject, in: reference, artifactType: nil, deadline: .now + .seconds(3))
        }
        #expect(text.contains(registry.host))
    }
}
