import Foundation
import HTTP
import Notation
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
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { process.terminate() }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        for _ in 0..<100 {
            let request = HTTPRequest(
                .get, "http://127.0.0.1:\(port)/", deadline: .now + .seconds(1), retry: .none)
            if (try? await http.send(request)) != nil { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let value = try await body(fixture, RevocationChecker(http: http))
        await http.shutdown()
        return value
    }

    private func refusal(_ fixture: RevocationFixture, _ checker: RevocationChecker) async -> String {
        do throws(ValidationFailure) {
            _ = try await checker.check(
                fixture.leaf.chain, authenticSigningTime: nil, now: Date(), deadline: .now + .seconds(10))
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
}
