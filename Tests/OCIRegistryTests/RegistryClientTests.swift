import HTTP
import OCI
import OCIRegistry
import Synchronization
import TestSupport
import Testing

@Suite struct RegistryClientTests {
    static let head: [(String, String)] = [
        ("Content-Type", MediaType.ociManifest), ("Content-Length", "\(Sample.image.count)"),
        ("docker-content-digest", Sample.subject.digest.description),
    ]

    @Test func resolvesATagByHead() async throws {
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        let client = RegistryClient(http: http)
        #expect(try await client.resolve(Sample.reference(), deadline: Sample.deadline) == Sample.subject)
        #expect(http.lines == ["HEAD https://r.example/v2/app/manifests/v1"])
        let accept = http.requests[0].headers["Accept"] ?? ""
        for type in MediaType.manifests + MediaType.indexes { #expect(accept.contains(type)) }
        // A tag may mean something else in a moment.
        _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
        #expect(http.lines.count == 2)
    }

    @Test func asksDockerHubAtItsOwnHost() async throws {
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        _ = try await RegistryClient(http: http).resolve(Sample.reference("nginx"), deadline: Sample.deadline)
        #expect(http.lines == ["HEAD https://registry-1.docker.io/v2/library/nginx/manifests/latest"])
    }

    private struct KeptForAPort: RegistryCredentials {
        func credential(
            for endpoint: String, repository: String, deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> RegistryCredential {
            endpoint == "r.example:80" ? .bearer("kept") : .anonymous
        }
    }

    /// The default port is written or not: it is one registry, asked once and with the same credentials. The other
    /// default port is another registry.
    @Test func oneRegistryHasOneName() async throws {
        for (isPlain, own, other) in [(false, "https://r.example", ":443"), (true, "http://r.example", ":80")] {
            let http = ScriptedHTTP { .answer(200, $0, Self.head) }
            var options = RegistryOptions()
            options.plainHTTP = isPlain
            options.tagCacheLifetime = .seconds(300)
            let client = RegistryClient(http: http, credentials: KeptForAPort(), options: options)
            for text in ["r.example/app:v1", "r.example\(other)/app:v1", "R.Example\(other)/app:v1"] {
                let reference = try ImageReference(parsing: text, over: client.transport ?? .https)
                _ = try await client.resolve(reference, deadline: Sample.deadline)
            }
            #expect(http.lines == ["HEAD \(own)/v2/app/manifests/v1"])
            #expect(http.requests[0].headers["Authorization"] == (isPlain ? "Bearer kept" : nil))
            let second = try ImageReference(
                parsing: "r.example:\(isPlain ? 443 : 80)/app:v1", over: client.transport ?? .https)
            _ = try await client.resolve(second, deadline: Sample.deadline)
            #expect(http.lines.last == "HEAD \(own):\(isPlain ? 443 : 80)/v2/app/manifests/v1")
        }
    }

    @Test(arguments: [
        ("localhost:5000/a:t", "http://localhost:5000"), ("127.0.0.1:5000/a:t", "http://127.0.0.1:5000"),
        ("[::1]:5000/a:t", "http://[::1]:5000"), ("localhost/a:t", "https://localhost"),
        ("127.0.0.1.example.com:5000/a:t", "https://127.0.0.1.example.com:5000"),
        ("localhost.example.com:5000/a:t", "https://localhost.example.com:5000"),
        ("[::1]/a:t", "https://[::1]"), ("10.0.0.1:5000/a:t", "https://10.0.0.1:5000"),
    ])
    func speaksPlainHTTPToLoopbackOnly(text: String, origin: String) async throws {
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        _ = try await RegistryClient(http: http).resolve(Sample.reference(text), deadline: Sample.deadline)
        #expect(http.lines == ["HEAD \(origin)/v2/a/manifests/t"])
        var options = RegistryOptions()
        options.plainHTTPForLoopback = false
        let strict = ScriptedHTTP { .answer(200, $0, Self.head) }
        _ = try await RegistryClient(http: strict, options: options)
            .resolve(Sample.reference(text), deadline: Sample.deadline)
        #expect(strict.lines[0].hasPrefix("HEAD https://"))
    }

    @Test func keepsWhatADigestMeans() async throws {
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        let client = RegistryClient(http: http)
        let reference = try Sample.reference("r.example/app:v1@\(Sample.subject.digest)")
        for _ in 0..<3 {
            #expect(try await client.resolve(reference, deadline: Sample.deadline) == Sample.subject)
        }
        #expect(http.lines == ["HEAD https://r.example/v2/app/manifests/\(Sample.subject.digest)"])
        #expect(client.statistics.descriptors.hits == 2)
    }

    @Test func keepsWhatATagMeansForAsLongAsItIsTold() async throws {
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        for (lifetime, requests) in [(Duration.seconds(600), 1), (.milliseconds(1), 2)] {
            let before = http.lines.count
            var options = RegistryOptions()
            options.tagCacheLifetime = lifetime
            let client = RegistryClient(http: http, options: options)
            _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
            try await Task.sleep(for: .milliseconds(20))
            _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
            #expect(http.lines.count - before == requests)
        }
    }

    @Test(arguments: ["no digest", "no type", "no length", "no HEAD"])
    func asksByGetWhenHeadSaysTooLittle(case name: String) async throws {
        let http = ScriptedHTTP { request in
            guard request.method == .head else {
                return .answer(
                    200, request, [("Content-Type", MediaType.ociManifest + "; charset=utf-8")], body: Sample.image)
            }
            if name == "no HEAD" { return .answer(405, request) }
            let missing = [
                "no digest": "docker-content-digest", "no type": "Content-Type", "no length": "Content-Length",
            ]
            return .answer(200, request, Self.head.filter { $0.0 != missing[name] })
        }
        let client = RegistryClient(http: http)
        #expect(try await client.resolve(Sample.reference(), deadline: Sample.deadline) == Sample.subject)
        #expect(http.requests.map(\.method) == [.head, .get])
        // What GET brought need not be fetched again.
        #expect(
            try await client.manifest(Sample.subject, in: Sample.reference(), deadline: Sample.deadline) == Sample.image
        )
        #expect(http.requests.count == 2)
    }

    @Test("Kyverno CVE-2022-47633, CVE-2023-47630, notation-go CVE-2023-33959: another image than the one asked for")
    func refusesAnotherDigestThanTheOneAskedFor() async throws {
        let other = Digest(of: [1])
        let http = ScriptedHTTP { .answer(200, $0, Self.head) }
        await expectError(.digestMismatch) {
            try await RegistryClient(http: http).resolve(
                Sample.reference("r.example/app@\(other)"), deadline: Sample.deadline)
        }
        let body = ScriptedHTTP { request in
            request.method == .head
                ? .answer(405, request)
                : .answer(200, request, [("Content-Type", MediaType.ociManifest)], body: Sample.image)
        }
        await expectError(.digestMismatch) {
            try await RegistryClient(http: body).resolve(
                Sample.reference("r.example/app@\(other)"), deadline: Sample.deadline)
        }
        let lie = ScriptedHTTP { request in
            request.method == .head
                ? .answer(405, request)
                : .answer(
                    200, request, [("Content-Type", MediaType.ociManifest), ("Docker-Content-Digest", "\(other)")],
                    body: Sample.image)
        }
        await expectError(.digestMismatch) {
            try await RegistryClient(http: lie).resolve(Sample.reference(), deadline: Sample.deadline)
        }
    }

    @Test func refusesWhatIsNoManifest() async throws {
        let http = ScriptedHTTP { .answer(200, $0, [("Content-Type", "text/html")], body: Array("<html>".utf8)) }
        let text = await expectError(.malformed) {
            try await RegistryClient(http: http).resolve(Sample.reference(), deadline: Sample.deadline)
        }
        #expect(text.contains("text/html"))
    }

    @Test(arguments: [
        (404, RegistryError.Kind.notFound), (403, .forbidden), (401, .unauthorized), (418, .refused), (302, .refused),
        (503, .unavailable), (429, .throttled),
    ])
    func tellsStatusesApart(status: Int, kind: RegistryError.Kind) async throws {
        let http = ScriptedHTTP { request in
            .answer(
                status, request, [("Content-Type", "application/json")],
                body: Array(#"{"errors":[{"code":"CODE","message":"because\n\u001b[31m"}]}"#.utf8))
        }
        let client = RegistryClient(http: http)
        let text = await expectError(kind) {
            try await client.manifest(
                Descriptor(mediaType: "x", digest: Sample.subject.digest, size: 200), in: Sample.reference(),
                deadline: Sample.deadline)
        }
        #expect(text.contains("r.example"))
        #expect(text.contains("CODE: because"))
        #expect(!text.contains("\u{1B}") && !text.contains("\n"))
    }

    @Test(arguments: [
        (HTTPError.Kind.dns, RegistryError.Kind.unavailable, true), (.connect, .unavailable, true),
        (.connectionLost, .unavailable, true), (.tls, .unavailable, true), (.proxy, .unavailable, true),
        (.protocolFault, .unavailable, true), (.status(500), .unavailable, true), (.timeout, .timeout, true),
        (.cancelled, .cancelled, true), (.throttled, .throttled, true), (.tooManyRedirects, .malformed, false),
        (.redirectRefused, .malformed, false), (.invalidURL, .refused, false),
    ])
    func keepsFaultsApartFromVerdicts(fault: HTTPError.Kind, kind: RegistryError.Kind, isTransient: Bool) async throws {
        let http = ScriptedHTTP { request throws(HTTPError) in
            throw HTTPError(
                kind: fault, host: "r.example", method: request.method, attempts: 3, detail: "it broke",
                retryAfter: .seconds(7))
        }
        let client = RegistryClient(http: http)
        for question in 0..<3 {
            do {
                switch question {
                case 0: _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
                case 1:
                    _ = try await client.blob(
                        Sample.config, in: Sample.reference(), maximumBytes: 10, deadline: Sample.deadline)
                default:
                    _ = try await client.referrers(
                        of: Sample.subject, in: Sample.reference(), artifactType: nil, deadline: Sample.deadline)
                }
                Issue.record("no error")
            } catch let error as RegistryError {
                #expect(error.kind == kind)
                #expect(error.isTransient == isTransient)
                #expect(error.retryAfter == .seconds(7))
                #expect(error.description.contains("it broke"))
            }
        }
    }

    @Test("Kyverno CVE-2022-47633, CVE-2023-47630: content is what its digest says")
    func checksContentAgainstItsDescriptor() async throws {
        let http = ScriptedHTTP { .answer(200, $0, body: Sample.image) }
        func fetch(_ descriptor: Descriptor, limit: Int = 1 << 20) async throws -> [UInt8] {
            try await RegistryClient(http: http).blob(
                descriptor, in: Sample.reference(), maximumBytes: limit, deadline: Sample.deadline)
        }
        #expect(try await fetch(Sample.subject) == Sample.image)
        var wrong = Sample.subject
        wrong.digest = Digest(of: [])
        await expectError(.digestMismatch) { try await fetch(wrong) }
        for size in [0, 1, Sample.subject.size - 1, Sample.subject.size + 1] {
            wrong = Sample.subject
            wrong.size = size
            await expectError(.sizeMismatch) { try await fetch(wrong) }
        }
        await expectError(.tooLarge) { try await fetch(Sample.subject, limit: 10) }
        wrong.size = .max
        await expectError(.tooLarge) { try await fetch(wrong) }
        let sha512 = Descriptor(
            mediaType: "x", digest: Digest(of: Sample.image, algorithm: .sha512), size: Sample.subject.size)
        #expect(try await fetch(sha512) == Sample.image)
    }

    @Test func fetchesOnceForAllAndKeepsIt() async throws {
        let http = ScriptedHTTP { request in
            try? await Task.sleep(for: .milliseconds(200))
            return .answer(200, request, body: Sample.image)
        }
        let client = RegistryClient(http: http)
        let reference = try Sample.reference()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    let content = try await client.manifest(Sample.subject, in: reference, deadline: Sample.deadline)
                    #expect(content == Sample.image)
                }
            }
            try await group.waitForAll()
        }
        #expect(http.requests.count == 1)
        _ = try await client.manifest(Sample.subject, in: reference, deadline: Sample.deadline)
        #expect(http.requests.count == 1)
        #expect(client.statistics.contents.hits >= 1)
        #expect(client.statistics.contents.cost >= Sample.image.count)
        #expect(client.statistics.requests == 1)
    }

    @Test func letsAFetchOutliveTheCallerThatBeganIt() async throws {
        let isLate = Mutex(false)
        let http = ScriptedHTTP { request in
            while !isLate.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(5)) }
            return .answer(200, request, body: Sample.image)
        }
        let client = RegistryClient(http: http)
        let reference = try Sample.reference()
        await expectError(.timeout) {
            try await client.manifest(Sample.subject, in: reference, deadline: .now + .milliseconds(50))
        }
        isLate.withLock { $0 = true }
        #expect(try await client.manifest(Sample.subject, in: reference, deadline: Sample.deadline) == Sample.image)
        #expect(http.requests.count == 1)
    }

    @Test func tellsOfEveryAnswer() async throws {
        let statuses = Mutex<[String]>([])
        var options = RegistryOptions()
        options.onAnswer = { host, status in statuses.withLock { $0.append("\(host) \(status ?? 0)") } }
        let http = ScriptedHTTP { .answer($0.method == .head ? 405 : 404, $0) }
        await expectError(.notFound) {
            try await RegistryClient(http: http, options: options).resolve(
                Sample.reference(), deadline: Sample.deadline)
        }
        #expect(statuses.withLock { $0 } == ["r.example 405", "r.example 404"])
    }
}
