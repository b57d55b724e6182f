import OCI
import OCIRegistry
import Synchronization
import TestSupport
import Testing

@Suite struct ReferrersTests {
    static let type = MediaType.notationSignature

    private func list(
        _ http: ScriptedHTTP, type: String? = Self.type, _ adjust: (inout RegistryOptions) -> Void = { _ in }
    ) async throws -> [Descriptor] {
        var options = RegistryOptions()
        adjust(&options)
        return try await RegistryClient(http: http, options: options).referrers(
            of: Sample.subject, in: Sample.reference(), artifactType: type, deadline: Sample.deadline)
    }

    @Test func asksTheAPIWithAFilter() async throws {
        let http = ScriptedHTTP { .index([Sample.referrer(1)], $0, [("OCI-Filters-Applied", "artifactType")]) }
        #expect(try await list(http) == [Sample.referrer(1)])
        #expect(
            http.lines == [
                "GET https://r.example/v2/app/referrers/\(Sample.subject.digest)?artifactType=application%2Fvnd.cncf.notary.signature"
            ])
        let all = ScriptedHTTP { .index([Sample.referrer(1), Sample.referrer(2, type: "other")], $0) }
        #expect(try await list(all, type: nil).count == 2)
        #expect(all.lines[0].hasSuffix("/referrers/\(Sample.subject.digest)"))
    }

    @Test func filtersItselfWhereTheRegistryDoesNot() async throws {
        let entries = [
            Sample.referrer(1), Sample.referrer(2, type: "application/spdx+json"), Sample.referrer(3, type: nil),
            Sample.referrer(1),
        ]
        // What has no type and cannot be read may be a signature.
        let unfiltered = ScriptedHTTP { $0.url.contains("/manifests/") ? .answer(404, $0) : .index(entries, $0) }
        #expect(try await list(unfiltered) == [Sample.referrer(1), Sample.referrer(3)])
        #expect(unfiltered.requests.count == 2)
        // A registry that says that it filtered may leave the type out, but not have another one.
        let filtered = ScriptedHTTP { .index(entries, $0, [("OCI-Filters-Applied", "x, artifacttype")]) }
        #expect(try await list(filtered) == [Sample.referrer(1), Sample.referrer(3)])
        #expect(filtered.requests.count == 1)
    }

    @Test func followsEveryPage() async throws {
        let http = ScriptedHTTP { request in
            let page = request.url.split(separator: "=").last.flatMap { Int($0) } ?? 0
            var headers: [(String, String)] = []
            let path = "/v2/app/referrers/\(Sample.subject.digest)?page=\(page + 1)"
            if page < 4 {
                headers = [
                    ("Link", page % 2 == 0 ? "<\(path)>; rel=\"next\"" : "<https://R.example:443\(path)>; rel=next")
                ]
            }
            return .index([Sample.referrer(page)], request, headers)
        }
        #expect(try await list(http) == (0...4).map { Sample.referrer($0) })
        #expect(http.requests.count == 5)
    }

    @Test(arguments: [
        "https://evil.example/v2/app/referrers/x", "http://r.example/v2/app/referrers/x", "//evil.example/x",
        "https://r.example:8443/x", "https://r.example@evil.example/", "ftp://r.example/", "/ x",
    ])
    func refusesAPageElsewhere(link: String) async throws {
        let http = ScriptedHTTP { .index([Sample.referrer(1)], $0, [("Link", "<\(link)>; rel=\"next\"")]) }
        await expectError(.malformed) { try await list(http) }
        #expect(http.requests.count == 1)
    }

    @Test func boundsPagesAndReferrers() async throws {
        let http = ScriptedHTTP { request in
            .index([Sample.referrer(1)], request, [("Link", #"</v2/app/referrers/again>; rel="next""#)])
        }
        await expectError(.tooMany) { try await list(http) { $0.maximumReferrerPages = 7 } }
        #expect(http.requests.count == 7)
        let many = ScriptedHTTP { .index((1...11).map { Sample.referrer($0) }, $0) }
        await expectError(.tooMany) { try await list(many) { $0.maximumReferrers = 10 } }
        #expect(try await list(many) { $0.maximumReferrers = 11 }.count == 11)
        // Those of other types do not count.
        let others = ScriptedHTTP { .index((1...11).map { Sample.referrer($0, type: "other") }, $0) }
        #expect(try await list(others) { $0.maximumReferrers = 10 }.isEmpty)
    }

    /// As many as the documentation says, in words that say what to do.
    @Test func boundsWithoutBeingTold() async throws {
        func reason(_ http: ScriptedHTTP) async -> String {
            do {
                return "listed \(try await list(http).count)"
            } catch { return "\(error)" }
        }
        let many = (1...1001).map { Sample.referrer($0) }
        let refusal = await reason(ScriptedHTTP { .index(many, $0) })
        #expect(refusal.contains("there are more than 1000 referrers; remove old ones"), "\(refusal)")
        #expect(refusal.contains("r.example") && refusal.contains(Sample.subject.digest.description))
        #expect(await reason(ScriptedHTTP { .index(Array(many.dropLast()), $0) }) == "listed 1000")
        // On several pages as well, and where the tag lists them.
        let pages = ScriptedHTTP { request in
            let start = request.url.split(separator: "=").last.flatMap { Int($0) } ?? 0
            let next = [("Link", "</v2/app/referrers/\(Sample.subject.digest)?after=\(start + 400)>; rel=\"next\"")]
            return .index(Array(many.dropFirst(start).prefix(400)), request, start < 800 ? next : [])
        }
        #expect(await reason(pages).contains("there are more than 1000 referrers"))
        #expect(pages.requests.count == 3)
        let tag = ScriptedHTTP { $0.url.contains("/referrers/") ? .answer(404, $0) : .index(many, $0) }
        #expect(await reason(tag).contains("there are more than 1000 referrers"))

        let circle = ScriptedHTTP { request in
            .index([Sample.referrer(1)], request, [("Link", #"</v2/app/referrers/again>; rel="next""#)])
        }
        let pageRefusal = await reason(circle)
        #expect(pageRefusal.contains("the list has more than 50 pages; remove old referrers"), "\(pageRefusal)")
        #expect(circle.requests.count == 50)
    }

    @Test func readsTheTagWhereThereIsNoAPI() async throws {
        let tag = "sha256-\(Sample.subject.digest.hex)"
        let http = ScriptedHTTP { request in
            request.url.hasSuffix("/manifests/\(tag)")
                ? .index([Sample.referrer(1), Sample.referrer(2, type: "other")], request) : .answer(404, request)
        }
        let client = RegistryClient(http: http)
        for _ in 0..<2 {
            let referrers = try await client.referrers(
                of: Sample.subject, in: Sample.reference(), artifactType: Self.type, deadline: Sample.deadline)
            #expect(referrers == [Sample.referrer(1)])
        }
        // That the API is missing is remembered.
        #expect(http.lines.filter { $0.contains("/referrers/") }.count == 1)
        #expect(http.lines.count == 3)
    }

    @Test func takesAMissingTagForNoReferrers() async throws {
        let http = ScriptedHTTP { .answer(404, $0) }
        #expect(try await list(http).isEmpty)
        #expect(http.requests.count == 2)
    }

    @Test func shortensTheTagOfALongDigest() {
        let digest = Digest(of: [], algorithm: .sha512)
        #expect(digest.referrersTag == "sha512-" + digest.hex.prefix(64))
    }

    /// Nothing but 404 means that there is no API, and nothing but an index is a list.
    @Test(arguments: [400, 401, 403, 405, 406, 410, 429, 500, 501, 503, 302, 204])
    func neverTakesAnotherStatusForNoSignatures(status: Int) async throws {
        let http = ScriptedHTTP { .answer($0.url.contains("/referrers/") ? status : 404, $0) }
        do {
            let referrers = try await list(http)
            Issue.record("taken for \(referrers)")
        } catch let error as RegistryError {
            #expect(http.requests.count == 1)
            #expect(error.isTransient == (status == 429 || status >= 500))
        }
        // Nor does it for the tag.
        let tag = ScriptedHTTP { .answer($0.url.contains("/referrers/") ? 404 : status, $0) }
        await #expect(throws: RegistryError.self) { try await list(tag) }
    }

    @Test(arguments: [
        ("text/html", "<html>"), ("application/json", #"{"schemaVersion":2,"manifests":[]}"#),
        (MediaType.ociManifest, #"{"schemaVersion":2,"manifests":[]}"#), (MediaType.ociIndex, ""),
        (MediaType.ociIndex, "{}"), (MediaType.ociIndex, #"{"schemaVersion":2,"manifests":[{}]}"#),
        (MediaType.ociIndex, #"{"schemaVersion":2,"manifests":null}"#),
        (MediaType.ociIndex, #"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
        ("", #"{"schemaVersion":2,"manifests":[]}"#),
    ])
    func neverTakesAnotherAnswerForNoSignatures(mediaType: String, body: String) async throws {
        let http = ScriptedHTTP { .answer(200, $0, [("Content-Type", mediaType)], body: Array(body.utf8)) }
        await expectError(.malformed) { try await list(http) }
        let tag = ScriptedHTTP { request in
            request.url.contains("/referrers/")
                ? .answer(404, request) : .answer(200, request, [("Content-Type", mediaType)], body: Array(body.utf8))
        }
        await expectError(.malformed) { try await list(tag) }
    }

    @Test func takesALost404OfALaterPageForAFault() async throws {
        let http = ScriptedHTTP { request in
            request.url.contains("page=2")
                ? .answer(404, request) : .index([Sample.referrer(1)], request, [("Link", "<?page=2>; rel=next")])
        }
        await expectError(.notFound) { try await list(http) }
    }

    @Test func boundsAPagesSize() async throws {
        let http = ScriptedHTTP { .index((1...100).map { Sample.referrer($0) }, $0) }
        await expectError(.tooLarge) { try await list(http) { $0.maximumManifestBytes = 1000 } }
    }

    @Test func keepsAListOnlyIfTold() async throws {
        let http = ScriptedHTTP { .index([Sample.referrer(1)], $0) }
        var options = RegistryOptions()
        options.referrersCacheLifetime = .seconds(60)
        let keeping = RegistryClient(http: http, options: options)
        let forgetting = RegistryClient(http: http)
        for client in [keeping, forgetting] {
            for _ in 0..<3 {
                _ = try await client.referrers(
                    of: Sample.subject, in: Sample.reference(), artifactType: nil, deadline: Sample.deadline)
            }
        }
        #expect(http.requests.count == 4)
        #expect(keeping.statistics.referrers.hits == 2)
    }
}
