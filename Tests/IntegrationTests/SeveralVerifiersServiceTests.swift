import OCI
import StrictJSON
import TestSupport
import Testing

/// Two Notation verifiers in `countersign serve`, of which one waives its judgement: that speaks for itself alone.
@Suite struct SeveralVerifiersServiceTests {
    private static let combinations = ["any", "all"].flatMap { rule in
        [MediaType.notationSignature, "default"].flatMap { type in
            [true, false].map { (rule: rule, type: type, isStrictFirst: $0) }
        }
    }

    /// A verifier that wants a signature, and one whose trust policy skips the same repository.
    private func configuration(
        _ app: Repository, _ rule: String, _ type: String, isStrictFirst: Bool
    ) throws -> ConfigurationText {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.policies = .object([type: .string(rule)])
        let scopes = [app.reference.scopeName]
        let strict = configuration.verifier("strict", [ConfigurationText.statement(scopes: scopes)])
        let skipping = configuration.verifier(
            "skipping", [ConfigurationText.statement(scopes: scopes, level: "skip", stores: [], identities: [])])
        configuration.verifiers = isStrictFirst ? [strict, skipping] : [skipping, strict]
        return configuration
    }

    @Test(arguments: combinations)
    func aWaiverAdmitsNothingThatTheOtherRefuses(_ rule: String, _ type: String, _ isStrictFirst: Bool) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("unsigned", signedBy: nil)
            try await app.push("signed", signedBy: signers.release)
            let foreign = try await app.push("foreign", signedBy: signers.stranger, .cose)
            let tampered = try await app.push("tampered", signedBy: signers.release, .jws, .tampered)
            // Whoever may write to a registry may take signatures away, good ones and bad ones.
            for signer in [signers.release, signers.stranger] {
                let tag = signer.identity.chain.count > 2 ? "stripped" : "foreign-stripped"
                let image = try await app.push(tag, signedBy: signer)
                registry.removeReferrers(of: image.digest, in: "app")
            }
            let configuration = try configuration(app, rule, type, isStrictFirst: isStrictFirst)
            files.directory.write(configuration.json.bytes, to: "config.json")
            let tls = try ServingFiles(in: files.directory)
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            func ask(_ keys: String...) async throws -> Answer {
                Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request(keys)),
                    asked: keys)
            }
            let signed = try await ask(app.name("signed"))
            expectAdmitted(signed)
            #expect(signed.reports().contains { $0["verifierName"] == "strict" && $0["referenceDigest"] != nil })
            let unsigned = ["unsigned", "stripped", "foreign-stripped"].map(app.name)
            for key in unsigned {
                let answer = try await ask(key)
                expectDenied(answer, nil, "no signature is associated with", "\"strict\"")
                #expect(answer.reports().contains { $0["verifierName"] == "strict" && $0["isSuccess"] == false })
            }
            expectDenied(try await ask(app.name("foreign")), nil, "stranger")
            expectDenied(try await ask(app.name("tampered")))
            // By their digests, which nobody has asked for yet, once their signatures are gone.
            for image in [foreign, tampered] {
                registry.removeReferrers(of: image.digest, in: "app")
                expectDenied(try await ask(app.name(image)))
            }
            // One request for all: an image that is admitted carries no other.
            let names = ["signed", "unsigned", "foreign", "tampered", "stripped"].map(app.name)
            let all = Answer(
                try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request(names)),
                asked: names)
            for name in names { #expect(all.admits(name) == (name == names[0]), "\(all)") }
            process.signal(15)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    /// Where both waive, nobody wants a signature; where both want one, one that only one of them trusts is not enough.
    @Test func eachIsSatisfiedByItself() async throws {
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("unsigned", signedBy: nil)
            try await app.push("release", signedBy: signers.release)
            try await app.push("other", signedBy: signers.other)
            let both = try await app.push("both", signedBy: signers.release)
            try await signers.other.sign(both, in: app.reference, at: app.destination, .cose)
            var configuration = try ConfigurationText.trustingRelease()
            let skip = ConfigurationText.statement(level: "skip", stores: [], identities: [])
            configuration.verifiers = ["one", "two"].map { configuration.verifier($0, [skip]) }
            try await withService(configuration) { expectAdmitted(try await $0.verify(app.name("unsigned"))) }
            configuration.verifiers = ["release", "other"].map { name in
                configuration.verifier(
                    name,
                    [
                        ConfigurationText.statement(identities: [
                            "x509.subject: CN=\(name), C=US, ST=WA, O=Countersign Tests"
                        ])
                    ])
            }
            try await withService(configuration) { service in
                expectAdmitted(try await service.verify(app.name("both")))
                for tag in ["release", "other"] { expectDenied(try await service.verify(app.name(tag))) }
                expectDenied(try await service.verify(app.name("unsigned")), nil, "no signature")
            }
        }
    }
}
