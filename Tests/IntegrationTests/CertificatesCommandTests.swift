import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// `countersign certificates` as a process: what it lists, what it warns of, how it exits.
@Suite struct CertificatesCommandTests {

    private static func authority(_ name: String, days: Double) throws -> Certificate {
        var template = CertificateTemplate.authority(name)
        template.notBefore = Date(timeIntervalSinceNow: -400 * 86_400)
        template.notAfter = Date(timeIntervalSinceNow: days * 86_400 + 3600)
        return try CertificateAuthority(template).certificate
    }

    private static func inline(_ name: String, _ certificates: [Certificate]) -> JSONValue {
        [
            "name": .string(name), "type": "inline", "contentType": "certificate",
            "value": .string(certificates.map(\.pem).joined()),
        ]
    }

    private func run(
        _ configuration: ConfigurationText, _ arguments: String...
    ) async throws -> Command.Outcome {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write(configuration.json.bytes, to: "config.json")
        return try await Command.run(["certificates", "-c", path] + arguments)
    }

    @Test func whatIsTrustedFromWhereByWhomAndUntilWhen() async throws {
        let root = try Self.authority("lasting root", days: 400)
        let spare = try Self.authority("spare root", days: 500)
        var configuration = ConfigurationText()
        configuration.providers = [Self.inline("release-ca", [root]), Self.inline("unused", [spare])]
        let json = try await run(configuration, "--output", "json")
        #expect(json.status == 0, "\(json)")
        #expect(json.json["ok"] == true && json.json["warnings"] == [])
        let providers = try #require(json.json["providers"]?.array)
        #expect(providers.map { $0["name"] } == ["release-ca", "unused"])
        #expect(
            providers[0]["usedBy"] == [["verifier": "notation", "trustStore": "ca:release", "statements": ["default"]]])
        #expect(providers[1]["usedBy"] == [])
        let certificate = try #require(providers[0]["certificates"]?.array?.first)
        #expect(certificate["subject"]?.string == root.subject.rfc2253)
        #expect(certificate["fingerprint"]?.string == root.sha256Hex)
        #expect(certificate["daysLeft"] == 400 && certificate["inForce"] == true && certificate["state"] == "in force")
        #expect(json.json["next"]?["fingerprint"]?.string == root.sha256Hex)
        #expect(json.json["next"]?["message"]?.string?.contains("in 400 days") == true)

        let table = try await run(configuration)
        #expect(table.status == 0, "\(table)")
        for word in [
            "PROVIDER", "lasting root", root.sha256Hex, "trusted in ca:release of notation", "used by no trust policy",
            "next: certificate",
        ] {
            #expect(table.output.contains(word), "\(word): \(table)")
        }
        #expect(!table.output.contains("warning") && !table.output.contains("\u{1B}"))
    }

    @Test func whatExpiresSoonIsWarnedOf() async throws {
        var configuration = ConfigurationText()
        configuration.providers = [
            Self.inline(
                "release-ca",
                [try Self.authority("old root", days: 20), try Self.authority("new root", days: 385)])
        ]
        let usual = try await run(configuration)
        #expect(usual.status == 0, "\(usual)")
        #expect(usual.output.contains("warning: certificate \"CN=old root"))
        #expect(
            usual.output.contains("in 20 days") && usual.output.contains("ca:release of notation stop verifying then"))
        let shorter = try await run(configuration, "--warn", "10d")
        #expect(shorter.status == 0 && !shorter.output.contains("warning"), "\(shorter)")
        let longer = try await run(configuration, "--warn", "400d", "-o", "json")
        #expect(longer.json["warnings"]?.array?.count == 2, "\(longer)")
    }

    @Test func somethingExpiredRefusedOrUnreadableIsStatusOne() async throws {
        var configuration = ConfigurationText()
        configuration.providers = [Self.inline("release-ca", [try Self.authority("gone root", days: -3)])]
        let expired = try await run(configuration)
        #expect(expired.status == 1, "\(expired)")
        #expect(expired.output.contains("in force, expired on") && expired.output.contains("do not verify any more"))
        #expect(expired.output.contains("no certificate is trusted that could still expire"))

        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let root = try CertificateAuthority(name: "files root")
        directory.write(root.certificate.pem, to: "trust/root.pem")
        directory.write(try root.issue(.codeSigning("leaf")).certificate.pem, to: "trust/leaf.pem")
        configuration.providers = [
            ["name": "release-ca", "type": "files", "paths": [.string(directory.path("trust"))]]
        ]
        let refused = try await run(configuration, "-o", "json")
        #expect(refused.status == 1, "\(refused)")
        let states = refused.json["providers"]?.array?.first?["certificates"]?.array?.compactMap { $0["state"]?.string }
        #expect(states?.contains("in force") == true, "\(refused)")
        #expect(states?.contains { $0.hasPrefix("refused") } == true, "\(refused)")

        directory.write("no certificate", to: "trust/broken.pem")
        let broken = try await run(configuration)
        #expect(broken.status == 1, "\(broken)")
        #expect(broken.output.contains("broken.pem"))
    }

    /// A tsa store holds roots only, and is used as a whole or not at all: none of its certificates is in force.
    @Test func whatNoTimestampCanRestOnIsNotInForce() async throws {
        let root = try CertificateAuthority(name: "tsa root")
        let issuing = try root.intermediate("tsa issuing").certificate
        var configuration = ConfigurationText()
        configuration.providers = [
            Self.inline("release-ca", [try Self.authority("root", days: 400)]),
            Self.inline("times", [root.certificate, issuing]),
        ]
        configuration.trustStores = ["ca": ["release": ["release-ca"]], "tsa": ["times": ["times"]]]
        configuration.trustPolicies = [ConfigurationText.statement(stores: ["ca:release", "tsa:times"])]
        let json = try await run(configuration, "-o", "json")
        #expect(json.status == 1, "\(json)")
        let certificates = json.json["providers"]?.array?.flatMap { $0["certificates"]?.array ?? [] } ?? []
        #expect(certificates.map { $0["inForce"] } == [true, false, false], "\(json)")
        #expect(certificates.last?["state"]?.string?.contains("not a root certificate authority") == true)
        let table = try await run(configuration)
        #expect(table.output.contains("trust store \"tsa:times\" of notation cannot be used"), "\(table)")
    }

    @Test func aSourceThatCannotBeReadIsStatusThreeOrTwo() async throws {
        var configuration = ConfigurationText()
        configuration.providers = [["name": "release-ca", "type": "files", "paths": ["/nowhere/at/all"]]]
        let outcome = try await run(configuration)
        // Files that are not there do not come by waiting.
        #expect(outcome.status == 2, "\(outcome)")
        #expect(outcome.output.contains("/nowhere/at/all does not exist"))
    }

    @Test func wrongUsage() async throws {
        let configuration = try ConfigurationText.trustingRelease()
        for arguments in [["--warn", "soon"], ["--output", "yaml"], ["--timeout", "0"]] {
            let directory = try TemporaryDirectory()
            defer { directory.remove() }
            let path = directory.write(configuration.json.bytes, to: "config.json")
            let outcome = try await Command.run(["certificates", "-c", path] + arguments)
            #expect(outcome.status == 2, "\(outcome)")
        }
        let missing = try await Command.run(["certificates", "-c", "/nowhere/config.json"])
        #expect(missing.status == 2, "\(missing)")
    }
}
