import Foundation
import HTTP
import Notation
import NotationOnline
import PKI
import TestSupport
import Testing

/// `openssl ocsp` and `openssl ts` as responder and authority, over real HTTP.
@Suite struct OpenSSLResponderTests {
    /// Runs `openssl ocsp -port` about one leaf, whose state is a line of its index, while something is done.
    private func withResponder<Value>(
        _ state: String, options: [String] = ["-nmin", "10"],
        _ body: (RevocationFixture, RevocationChecker) async throws -> Value
    ) async throws -> Value {
        let port = Int.random(in: 20_000...29_999)
        let fixture = try RevocationFixture(ocsp: ["http://127.0.0.1:\(port)"])
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(fixture.root.certificate.pem, to: "root.pem")
        directory.write(try fixture.root.identity.keyPEM, to: "root.key")
        let revoked = state == "R" ? "260102030405Z,superseded" : ""
        let serial = fixture.leaf.certificate.serialNumberHex.uppercased()
        directory.write(
            state.isEmpty ? "" : "\(state)\t491231235959Z\t\(revoked)\t\(serial)\tunknown\t/CN=leaf\n", to: "index.txt")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            [
                "openssl", "ocsp", "-port", "\(port)", "-index", "index.txt", "-CA", "root.pem", "-rsigner", "root.pem",
                "-rkey", "root.key",
            ] + options
        process.currentDirectoryURL = URL(filePath: directory.path)
        // Its standard output and error: what it says when it is ready.
        let log = URL(filePath: directory.write([], to: "log"))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: log)
        process.standardError = process.standardOutput
        try process.run()
        defer { process.terminate() }
        // A request that is none would end it.
        for _ in 0..<400 where try !String(contentsOf: log, encoding: .utf8).contains("waiting for OCSP") {
            try await Task.sleep(for: .milliseconds(50))
        }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        let value = try await body(fixture, RevocationChecker(http: http, options: fixture.options))
        await http.shutdown()
        return value
    }

    private func refusal(_ fixture: RevocationFixture, _ checker: RevocationChecker) async -> String {
        do throws(ValidationFailure) {
            _ = try await checker.check(
                fixture.leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(),
                deadline: .now + .seconds(600))
            return ""
        } catch { return error.description }
    }

    @Test(arguments: [("V", ""), ("R", "was revoked"), ("", "does not know")])
    func ocsp(state: String, expected: String) async throws {
        let reason = try await withResponder(state, refusal)
        #expect(expected.isEmpty ? reason.isEmpty : reason.contains(expected), "\(reason)")
    }

    @Test func ocspWithoutAnEnd() async throws {
        #expect(try await withResponder("V", options: [], refusal).contains("nextUpdate"))
    }

    @Test func ocspByADelegate() async throws {
        let reason = try await withResponder("V", options: ["-nmin", "10", "-resp_key_id"], refusal)
        #expect(reason.isEmpty, "\(reason)")
    }

    /// `openssl ts` behind a server, for `sign --timestamp-url`.
    @Test func timestampAuthority() async throws {
        let fixture = try SigningFixture()
        let root = try CertificateAuthority(name: "tsa root", key: .rsa(bits: 2048))
        let tsa = try root.issue(.timestamping("tsa"), key: .rsa(bits: 2048))
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(tsa.certificate.pem, to: "tsa.pem")
        directory.write(try tsa.keyPEM, to: "tsa.key")
        directory.write("01\n", to: "serial")
        directory.write(
            """
            [t]
            serial = serial
            signer_cert = tsa.pem
            signer_key = tsa.key
            signer_digest = sha256
            default_policy = 1.2.3.4.1
            digests = sha256, sha384, sha512
            ess_cert_id_alg = sha256
            """, to: "ts.cnf")
        let place = directory.path
        let server = try ScriptedServer { request in
            guard request.target == "/tsa",
                (try? Data(request.body).write(to: URL(filePath: place + "/request"))) != nil,
                (try? OpenSSLCommand.run(
                    "ts", "-reply", "-config", "ts.cnf", "-section", "t", "-queryfile", "request", "-out", "response",
                    in: place)) != nil,
                let response = try? Data(contentsOf: URL(filePath: place + "/response"))
            else { return [.content(200, type: "text/plain", Array("garbage".utf8))] }
            return [.content(200, type: "application/timestamp-reply", Array(response))]
        }
        defer { server.stop() }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        func sign(_ path: String) async throws -> [UInt8] {
            let client = TimestampClient(
                url: server.url + path, roots: [root.certificate], http: http, revocation: RevocationChecker(http: http)
            )
            return try await fixture.signer.sign(
                SigningFixture.image, SigningOptions(), now: Date(), timestamps: client,
                deadline: .now + .seconds(600))
        }
        let envelope = try await sign("/tsa")
        let outcome = try await fixture.verify(
            envelope, statement: fixture.statement(stores: ["ca:main", "tsa:times"]), now: Date(),
            trustStore: InMemoryTrustStore([
                TrustStoreName(.ca, "main"): [fixture.root.root], TrustStoreName(.tsa, "times"): [root.certificate],
            ]))
        #expect(outcome.isVerified, "\(outcome.refusal?.description ?? "")")
        await #expect(throws: SigningError.self) { _ = try await sign("/garbage") }
        await http.shutdown()
    }
}
