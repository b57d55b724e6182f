import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// What trust policies, the policy over reports and several stores come to, on the whole service.
@Suite struct PolicyServiceTests {
    @Test func levelsByRepository() async throws {
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            var configuration = try ConfigurationText.trustingRelease()
            configuration.trustPolicies = []
            var names: [String: Repository] = [:]
            for level in ["strict", "permissive", "audit", "skip"] {
                let repository = try Repository("\(registry.endpoint)/\(level)")
                let isSkip = level == "skip"
                configuration.trustPolicies.append(
                    ConfigurationText.statement(
                        level, scopes: [repository.reference.scopeName], level: level,
                        stores: isSkip ? [] : ["ca:release"], identities: isSkip ? [] : ["*"]))
                names[level] = repository
                try await repository.push("expired", signedBy: signers.release, .jws, .expired)
                try await repository.push("stranger", signedBy: signers.stranger, .cose)
                try await repository.push("tampered", signedBy: signers.release, .cose, .tampered)
                try await repository.push("unsigned", signedBy: nil)
            }
            registry.forgetRequests()
            try await withService(configuration) { service in
                for (level, admitted) in [
                    ("strict", []), ("permissive", ["expired"]), ("audit", ["expired", "stranger"]),
                    ("skip", ["expired", "stranger", "tampered", "unsigned"]),
                ] {
                    let repository = try #require(names[level])
                    for tag in ["expired", "stranger", "tampered", "unsigned"] {
                        let answer = try await service.verify(repository.name(tag))
                        guard admitted.contains(tag) else {
                            expectDenied(answer)
                            continue
                        }
                        expectAdmitted(answer)
                    }
                }
                // "skip" is no look at all.
                #expect(!registry.requests.contains { $0.path.hasPrefix("/v2/skip/") })
            }
        }
    }

    @Test func anyAndAll() async throws {
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            let both = try await app.push("both", signedBy: signers.stranger)
            try await signers.release.sign(both, in: app.reference, at: app.destination)
            try await app.push("one", signedBy: signers.release)
            try await app.push("none", signedBy: nil)
            var configuration = try ConfigurationText.trustingRelease()
            for (rule, admitted) in [("any", ["both", "one"]), ("all", ["one"])] {
                configuration.policies = .object([MediaType.notationSignature: .string(rule)])
                try await withService(configuration) { service in
                    for tag in ["both", "one", "none"] {
                        let answer = try await service.verify(app.name(tag))
                        #expect(answer.admits() == admitted.contains(tag), "\(rule): \(answer)")
                        #expect(answer.denies() == !admitted.contains(tag), "\(rule): \(answer)")
                    }
                }
            }
            // One of several signatures cannot be fetched: "any" has its good one, "all" does not know.
            for (rule, isAdmitted) in [("any", true), ("all", false)] {
                configuration.policies = .object([MediaType.notationSignature: .string(rule)])
                let two = try await app.push("two-\(rule)", signedBy: signers.release)
                let second = try await signers.other.sign(two, in: app.reference, at: app.destination, .cose)
                registry.inject(.status(503), method: "GET", path: "/v2/app/manifests/\(second.digest)")
                try await withService(configuration) { service in
                    let answer = try await service.verify(app.name("two-\(rule)"))
                    guard !isAdmitted else { return expectAdmitted(answer) }
                    expectFault(answer, nil, "fetching a signature", "503")
                    registry.clearFaults()
                    expectAdmitted(try await service.verify(app.name("two-\(rule)")))
                }
                registry.clearFaults()
            }
        }
    }

    @Test func anIndexIsSignedAsAWhole() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let parts = [
                try await app.push(nil, content: "amd64"), try await app.push(nil, content: "arm64"),
            ]
            let index: JSONValue = [
                "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": .array(parts.map(\.json)),
            ]
            let whole = try await app.destination.pushManifest(
                index.bytes, mediaType: MediaType.ociIndex, tag: "v1", to: app.reference, deadline: .now + .seconds(30))
            try await Signers.shared.get().release.sign(whole, in: app.reference, at: app.destination)
            try await withService(try .trustingRelease()) { service in
                expectAdmitted(try await service.verify(app.name("v1")))
                expectAdmitted(try await service.verify(app.name(whole)))
                // The verdict is about the digest that was asked for, not about what it is a part of.
                expectDenied(try await service.verify(app.name(parts[0])), nil, "no signature")
                // Where a tag and a digest stand together, the digest decides.
                let named = app.name("v1") + "@\(parts[1].digest)"
                expectDenied(try await service.verify(named), nil, "no signature")
                expectAdmitted(try await service.verify("\(app.name("nowhere"))@\(whole.digest)"))
            }
        }
    }

    @Test func theFirstStoreThatHasTheImageServesIt() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let remote = try Repository("\(registry.endpoint)/app")
            let local = try Repository("\(registry.endpoint)/app", layout: directory.path("layout"))
            try await remote.push("v1", signedBy: signers.release)
            try await remote.push("v2", signedBy: signers.release)
            try await local.push("v1", signedBy: nil)
            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores.insert(ConfigurationText.layout(directory.path("layout")), at: 0)
            try await withService(configuration) { service in
                expectDenied(try await service.verify(remote.name("v1")), nil, "no signature")
                expectAdmitted(try await service.verify(remote.name("v2")))
            }
        }
    }

    @Test func onlyTheSignersThatThePolicyNames() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let signers = try Signers.shared.get()
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        try await app.push("release", signedBy: signers.release)
        try await app.push("other", signedBy: signers.other)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(directory.path("layout"))]
        configuration.trustPolicies = [
            ConfigurationText.statement(identities: ["x509.subject: CN=release, C=US, ST=WA, O=Countersign Tests"])
        ]
        // The older shape of the stores, without a type, means certificate authorities.
        configuration.trustStores = ["release": ["release-ca"]]
        try await withService(configuration) { service in
            expectAdmitted(try await service.verify(app.name("release")))
            expectDenied(try await service.verify(app.name("other")), nil, "CN=other")
        }
    }
}
