import Foundation
import HTTP
import TUF
import TestSupport
import Testing

@testable import SigstoreTrust

/// Files of a repository over HTTP, from servers that do as a test says.
@Suite struct HTTPRepositoryFetcherTests {
    private let http: HTTPClient

    init() throws { http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])) }

    private func fetched(
        _ path: String, _ maximumLength: Int = 1000, below directory: String = "",
        _ script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    ) async throws -> (bytes: [UInt8]?, asked: [String]) {
        let server = try ScriptedServer(script)
        defer { server.stop() }
        let fetcher = try HTTPRepositoryFetcher(
            "http://127.0.0.1:\(server.port)\(directory)", http: http, timeout: .seconds(20))
        let bytes = try await fetcher.fetch(path, maximumLength: maximumLength)
        return (bytes, server.requests.map(\.target))
    }

    @Test(arguments: ["", "/", "/tuf", "/tuf/"]) func asksBelowTheURL(_ directory: String) async throws {
        let (bytes, asked) = try await fetched("targets/00.a%20b.json", below: directory) { _ in
            [.reply(200, body: "content")]
        }
        #expect(bytes == Array("content".utf8))
        #expect(asked == [(directory.hasPrefix("/tuf") ? "/tuf/" : "/") + "targets/00.a%20b.json"])
    }

    @Test(arguments: [403, 404]) func absenceIsNoError(_ status: Int) async throws {
        #expect(try await fetched("2.root.json") { _ in [.reply(status, body: "no")] }.bytes == nil)
    }

    @Test(arguments: [204, 400, 401, 410, 500]) func otherAnswersAreErrors(_ status: Int) async throws {
        await #expect(throws: (any Error).self) {
            try await fetched("timestamp.json") { _ in [.reply(status, body: "")] }
        }
    }

    /// Neither to another host nor to the same one.
    @Test func redirectsAreNotFollowed() async throws {
        let other = try ScriptedServer { _ in [.reply(200, body: "theirs")] }
        defer { other.stop() }
        for location in ["http://127.0.0.1:\(other.port)/timestamp.json", "/elsewhere.json"] {
            let error = await #expect(throws: HTTPRepositoryFetcher.Fault.self) {
                try await fetched("timestamp.json") { request in
                    request.target == "/timestamp.json"
                        ? [.reply(302, headers: [("Location", location)])] : [.reply(200, body: "other")]
                }
            }
            #expect(error?.description.contains("redirects") == true)
        }
        #expect(other.requests.isEmpty)
    }

    /// With a length and without one: no more is read than was asked for.
    @Test func endlessDataEnds() async throws {
        for steps: [ScriptedServer.Step] in [
            [.reply(200, body: String(repeating: "a", count: 1001))],
            [.bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), .zeros(50_000_000), .close],
            [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"), .zeros(50_000_000), .close],
        ] {
            let error = await #expect(throws: RepositoryFetchError.self) {
                try await fetched("timestamp.json") { _ in steps }
            }
            #expect(error == .tooLong)
        }
        let whole = try await fetched("timestamp.json") { _ in [.reply(200, body: String(repeating: "a", count: 1000))]
        }
        #expect(whole.bytes?.count == 1000)
    }

    @Test(arguments: [
        "http://tuf.example.com", "http://10.0.0.1/", "http://localhost.example.com", "http://127.0.0.1.example.com",
        "ftp://localhost", "localhost", "", "https://user@tuf.example.com", "https://tuf.example.com/?a=b",
        "http://127.0.0.256/",
    ])
    func urlsThatAreRefused(_ url: String) {
        let fault = #expect(throws: HTTPRepositoryFetcher.Fault.self) { try HTTPRepositoryFetcher(url, http: http) }
        #expect(fault?.isConfiguration == true)
    }

    @Test(arguments: [
        "https://tuf.example.com", "https://tuf.example.com/a/b/", "http://localhost:8080", "http://127.0.0.1",
        "http://127.1.2.3:99/x", "http://[::1]:99/",
    ])
    func urlsThatAreTaken(_ url: String) throws { _ = try HTTPRepositoryFetcher(url, http: http) }

    /// The deadline of an update comes, whatever a server does.
    @Test func serverThatSaysNothing() async throws {
        let server = try ScriptedServer { _ in [.wait(.seconds(30)), .close] }
        defer { server.stop() }
        let fetcher = try HTTPRepositoryFetcher("http://127.0.0.1:\(server.port)", http: http)
        let repository = TrustedRootRepository(
            fetcher, root: ShippedRoot.publicGood.bytes, store: MemoryMetadataStore())
        let start = ContinuousClock.now
        let error = await #expect(throws: TrustedRootFault.self) {
            try await repository.update(at: Date(), deadline: start + .milliseconds(300))
        }
        #expect(error?.error.problem == .deadline)
        #expect(error?.isTransient == true)
        #expect(ContinuousClock.now - start < .seconds(15))
    }
}
