import Foundation
import HTTP
import Synchronization
import TestSupport
import Testing

/// Whose certificates are accepted, against a real TLS server.
@Suite(.serialized) struct TrustTests {
    @Test func unknownAuthoritiesAreRefused() async throws {
        let server = try await TLSServer.start()
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, retry: .standard), .init(environment: [:]))
        #expect(error?.kind == .tls)
        #expect(error?.attempts == 1)
        #expect(error?.isTransient == true)
        #expect(error?.description.contains("CA bundle") == true)
    }

    @Test func anExtraBundleIsTrusted() async throws {
        let server = try await TLSServer.start()
        defer { server.stop() }
        try await withClient(.init(extraCABundle: server.authorityFile, environment: [:])) { client in
            try await expectAnswer(client, server.url)
        }
        try await withClient(.init(extraCABundle: server.authorityFile, trustsSystemStore: false, environment: [:])) {
            try await expectAnswer($0, server.url)
        }
    }

    @Test func theEnvironmentReplacesTheSystemStore() async throws {
        let server = try await TLSServer.start()
        defer { server.stop() }
        for environment in [
            ["SSL_CERT_FILE": server.authorityFile], ["SSL_CERT_DIR": "/nonexistent:\(server.directory)"],
        ] {
            try await withClient(.init(environment: environment)) { client in
                try await expectAnswer(client, server.url)
            }
        }
    }

    @Test func anotherNameIsRefused() async throws {
        let server = try await TLSServer.start(names: "DNS:registry.invalid")
        defer { server.stop() }
        let error = await failure(
            .init(.get, server.url, deadline: soon), .init(extraCABundle: server.authorityFile, environment: [:]))
        #expect(error?.kind == .tls)
    }

    @Test func handshakesThatFailAreOfTheirOwnKind() async throws {
        let old = try await TLSServer.start(options: ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"])
        defer { old.stop() }
        let error = await failure(
            .init(.get, old.url, deadline: soon, retry: .none),
            .init(extraCABundle: old.authorityFile, environment: [:]))
        #expect(error?.kind == .tls)
    }

    @Test func bundlesThatCannotBeUsedAreRefusedAtTheStart() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "countersign-bundle-\(UUID()).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
        for content in [nil, "", "no certificate\n", broken] as [String?] {
            if let content { try Data(content.utf8).write(to: file) }
            let error = #expect(throws: HTTPError.self) {
                try HTTPClient(configuration: .init(extraCABundle: file.path, environment: [:]))
            }
            #expect(error?.kind == .configuration)
            #expect(error?.description.contains(file.path) == true)
        }
    }

    @Test func authoritiesOfOneNameAreToldApart() async throws {
        let first = try await TLSServer.start(authority: "renewed")
        let second = try await TLSServer.start(authority: "renewed")
        let other = try await TLSServer.start(authority: "renewed")
        defer { for server in [first, second, other] { server.stop() } }
        let both = try [first, second].map { try String(contentsOfFile: $0.authorityFile, encoding: .utf8) }
        let bundle = try Bundle(both.joined() + both.joined())
        defer { bundle.remove() }
        try await withClient(.init(extraCABundle: bundle.path, trustsSystemStore: false, environment: [:])) { client in
            try await expectAnswer(client, second.url)
            await #expect(throws: HTTPError.self) { try await client.send(.init(.get, other.url, deadline: soon)) }
            try await expectAnswer(client, first.url)
        }
    }

    @Test func aServersOwnCertificateMayBeTrusted() async throws {
        let (server, other) = (try await TLSServer.start(), try await TLSServer.start())
        defer { for server in [server, other] { server.stop() } }
        let configuration = HTTPClientConfiguration(
            extraCABundle: server.certificateFile, trustsSystemStore: false, environment: [:])
        try await withClient(configuration) { client in
            try await expectAnswer(client, server.url)
            await #expect(throws: HTTPError.self) { try await client.send(.init(.get, other.url, deadline: soon)) }
        }
    }

    /// What is wrong inside a certificate is seen when a chain leads to it: then it is no authority.
    @Test func anAuthorityThatDoesNotParseIsNotTrusted() async throws {
        let (server, other) = (try await TLSServer.start(), try await TLSServer.start())
        defer { for server in [server, other] { server.stop() } }
        let pem = try String(contentsOfFile: server.authorityFile, encoding: .utf8)
        let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-") }
        var der = try #require(Data(base64Encoded: lines.joined()))
        // P-256 by name, then the key as a BIT STRING of 66 bytes; now it is something else.
        let curve = Data([0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07])
        let key = try #require(der.range(of: curve)).upperBound
        try #require(der[key] == 0x03)
        der[key] = 0x05
        let broken =
            "-----BEGIN CERTIFICATE-----\n" + der.base64EncodedString(options: .lineLength64Characters)
            + "\n-----END CERTIFICATE-----\n"
        let bundle = try Bundle(broken + String(contentsOfFile: other.authorityFile, encoding: .utf8))
        defer { bundle.remove() }
        try await withClient(.init(extraCABundle: bundle.path, trustsSystemStore: false, environment: [:])) { client in
            await #expect(throws: HTTPError.self) { try await client.send(.init(.get, server.url, deadline: soon)) }
            try await expectAnswer(client, other.url)
        }
    }

    @Test func changedBundlesAreReadAgain() async throws {
        let first = try await TLSServer.start()
        let second = try await TLSServer.start()
        defer {
            first.stop()
            second.stop()
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "countersign-bundle-\(UUID()).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(contentsOf: URL(filePath: first.authorityFile)).write(to: file, options: .atomic)
        let notices = Notices()
        let configuration = HTTPClientConfiguration(
            extraCABundle: file.path, trustsSystemStore: false, environment: [:], trustCheckInterval: .zero,
            notice: { notices.add($0) })
        try await withClient(configuration) { client in
            try await expectAnswer(client, first.url)
            await #expect(throws: HTTPError.self) { try await client.send(.init(.get, second.url, deadline: soon)) }

            try Data(contentsOf: URL(filePath: second.authorityFile)).write(to: file, options: .atomic)
            try await expectAnswer(client, second.url)
            await #expect(throws: HTTPError.self) { try await client.send(.init(.get, first.url, deadline: soon)) }

            try Data("broken".utf8).write(to: file, options: .atomic)
            try await expectAnswer(client, second.url)
        }
        #expect(notices.all.first == .trustReloaded(certificates: 1))
        #expect(notices.all.count == 2)
    }
}

/// A file of certificates.
private struct Bundle {
    let path = FileManager.default.temporaryDirectory.appending(path: "countersign-bundle-\(UUID()).pem").path

    init(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

private final class Notices: Sendable {
    private let list = Mutex<[HTTPClientNotice]>([])
    func add(_ notice: HTTPClientNotice) { list.withLock { $0.append(notice) } }
    var all: [HTTPClientNotice] { list.withLock { $0 } }
}
