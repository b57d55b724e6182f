import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign verify` as a process: its exit status and what it prints.
@Suite struct VerifyCommandTests {
    @Test func anImageLayoutByTrustPolicy() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let signers = try Signers.shared.get()
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        let signed = try await app.push("signed", content: "signed")
        try await signers.release.sign(
            signed, in: app.reference, at: app.destination, .cose, metadata: ["build": "1234"])
        try await app.push("unsigned", signedBy: nil)
        try await app.push("stranger", signedBy: signers.stranger)
        try await app.push("expired", signedBy: signers.release, .jws, .expired)
        let options = ["--oci-layout", files.path("layout")] + files.trust + ["--output", "json"]

        let good = try await Command.run(["verify", app.name("signed")] + options)
        #expect(good.status == 0, "\(good)")
        #expect(good.errors.isEmpty)
        let json = good.json
        #expect(json["reference"]?.string == app.name("signed"))
        #expect(json["digest"]?.string == signed.digest.description)
        #expect(json["verified"] == true && json["determined"] == true)
        #expect(json["trustPolicy"] == ["name": "default", "level": "strict"])
        #expect(json["error"] == nil && json["remediation"] == nil)
        let signature = try #require(json["signatures"]?.array?.first)
        #expect(signature["verified"] == true)
        #expect(signature["digest"]?.string?.hasPrefix("sha256:") == true)
        #expect(signature["mediaType"] == "application/cose")
        #expect(signature["signingScheme"] == "notary.x509")
        #expect(signature["signingTime"]?.string?.hasSuffix("Z") == true)
        #expect(signature["userMetadata"] == ["build": "1234"])
        let signer = try #require(signature["signer"])
        #expect(signer["subject"] == "CN=release,O=Countersign Tests,ST=WA,C=US")
        #expect(signer["issuer"] == "CN=release issuing,O=Countersign Tests,ST=WA,C=US")
        #expect(signer["serialNumber"]?.string?.isEmpty == false && signer["notAfter"]?.string?.isEmpty == false)
        let validations = try #require(signature["validations"]?.array)
        #expect(
            Set(validations.compactMap { $0["type"]?.string })
                == ["integrity", "authenticity", "authenticTimestamp", "expiry", "revocation"])
        #expect(validations.allSatisfy { $0["action"] == "enforce" && $0["result"] == "passed" }, "\(good)")

        for (tag, word) in [("unsigned", "no signature"), ("stranger", "trust"), ("expired", "expired")] {
            let bad = try await Command.run(["verify", app.name(tag)] + options)
            #expect(bad.status == 1, "\(bad)")
            #expect(bad.json["verified"] == false && bad.json["determined"] == true)
            #expect(bad.json["error"]?.string?.contains(word) == true, "\(bad)")
            #expect(tag == "unsigned" || bad.json["remediation"]?.string?.isEmpty == false)
        }
        let missing = try await Command.run(["verify", app.name("nowhere")] + options)
        #expect(missing.status == 1, "\(missing)")
        #expect(missing.json["digest"] == nil)

        let metadata = try await Command.run(
            ["verify", app.name("signed"), "-m", "build=1234"] + options)
        #expect(metadata.status == 0, "\(metadata)")
        let other = try await Command.run(["verify", app.name("signed"), "-m", "build=9"] + options)
        #expect(other.status == 1, "\(other)")
        #expect(other.json["error"]?.string?.contains("build") == true)

        let text = try await Command.run(
            ["verify", app.name("signed"), "--oci-layout", files.path("layout")] + files.trust)
        #expect(text.status == 0)
        #expect(text.output.contains(signed.digest.description) && text.output.contains("CN=release"))
        #expect(!text.output.contains("\u{1B}"), "no colour where there is no terminal")
    }

    @Test func aRegistryByTrustPolicyAndByConfiguration() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            try await app.push("stranger", signedBy: signers.stranger)
            for way in [files.trust + ["--plain-http"], ["--config", files.path("config.json")]] {
                for (tag, status) in [("signed", Int32(0)), ("unsigned", 1), ("stranger", 1), ("nowhere", 1)] {
                    let run = try await Command.run(["verify", app.name(tag), "-o", "json"] + way)
                    #expect(run.status == status, "\(run)")
                    #expect(run.json["verified"]?.bool == (status == 0))
                    #expect(run.json["determined"] == true)
                    #expect((run.json["signatures"]?.array?.isEmpty == false) == (tag == "signed" || tag == "stranger"))
                }
                registry.inject(.tooManyRequests(retryAfter: "600"), path: "/v2/app/referrers/*")
                let throttled = try await Command.run(["verify", app.name("signed"), "-o", "json"] + way)
                #expect(throttled.status == 3, "\(throttled)")
                #expect(throttled.json["verified"] == false && throttled.json["determined"] == false)
                #expect(throttled.json["error"]?.string?.contains("429") == true)
                registry.clearFaults()
            }
        }
    }

    @Test func aRegistryThatIsDownIsNoVerdict() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let registry = try await FaultyRegistry.start()
        let endpoint = registry.endpoint
        let name = "\(endpoint)/app:v1"
        await registry.stop()
        let verifications = [files.trust, ["--config", files.path("config.json")]].map { ["verify", name] + $0 }
        let others = [
            ["resolve", name], ["discover", name], ["inspect", name], ["sign", name] + files.identity("other"),
        ]
        // Each tries for a second and a half: at once.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for arguments in verifications + others {
                group.addTask {
                    let run = try await Command.run(arguments)
                    #expect(run.status == 3, "\(run)")
                    guard arguments[0] != "verify" else { return #expect(run.output.contains(endpoint), "\(run)") }
                    #expect(run.output.isEmpty && run.errors.contains(endpoint), "\(run)")
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func theTimeoutHoldsForTheWholeCommand() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            registry.inject(.delay(.seconds(40)), path: "/v2/app/referrers/*")
            let endpoint = registry.endpoint
            let commands = [
                ["verify"] + files.trust, ["verify", "--config", files.path("config.json")], ["discover"], ["inspect"],
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for command in commands {
                    group.addTask {
                        let start = ContinuousClock.now
                        let run = try await Command.run(command + [app.name("v1"), "--timeout", "2"])
                        #expect(run.status == 3, "\(command): \(run)")
                        #expect((run.output + run.errors).contains(endpoint), "\(command): \(run)")
                        #expect(ContinuousClock.now - start < .seconds(30), "\(command)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func wrongConfigurationIsTwo() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let store = ["--trust-store", files.path("truststore")]
        let lenient = ConfigurationText.trustPolicy([ConfigurationText.statement(level: "lenient")]).text
        files.directory.write(lenient, to: "lenient.json")
        files.directory.write("{", to: "half.json")
        let image = "registry.example/app:v1"
        for (arguments, words) in [
            (["verify", image, "--trust-policy", files.path("lenient.json")] + store, "lenient"),
            (["verify", image, "--trust-policy", files.path("half.json")] + store, "JSON"),
            (["verify", image, "--trust-policy", files.path("none.json")] + store, "none.json"),
            (["verify", image, "--config", files.path("half.json")], "JSON"),
            (["verify", image, "--config", files.path("none.json")], "none.json"),
            (["verify", image, "--oci-layout", files.path("nothing")] + files.trust, "layout"),
            (["verify", image], "--trust-policy"),
            (["verify", image, "--config", files.path("config.json")] + store, "--config"),
            (["verify", "Not A Ref!!"] + files.trust, "Not A Ref"),
            (["verify", image, "-m", "nothing"] + files.trust, "KEY=VALUE"),
            (["verify", image, "--max-signatures", "0"] + files.trust, "max-signatures"),
            (["verify", image, "--timeout", "none"] + files.trust, "timeout"),
        ] {
            let run = try await Command.run(arguments)
            #expect(run.status == 2, "\(arguments): \(run)")
            #expect(run.output.isEmpty && run.errors.contains(words), "\(arguments): \(run)")
        }
    }
}
