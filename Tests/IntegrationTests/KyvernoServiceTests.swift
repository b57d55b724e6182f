import CountersignService
import Foundation
import Kubernetes
import Kyverno
import OCI
import OCIRegistry
import ProviderServer
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Kyverno's route on the whole service: real registry, real signatures, real TLS, tokens reviewed over HTTP.
@Suite struct KyvernoServiceTests {
    /// An API server that knows one token, for one audience, and the requests it has had.
    private func withReviews<Value>(
        _ body: (ScriptedServer, TokenReviewer) async throws -> Value,
        audiences: [String] = [TokenReviewer.ownAudience],
        _ script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step] = KyvernoServiceTests.review
    ) async throws -> Value {
        let server = try ScriptedServer(script)
        let client = try KubernetesClient(
            try KubernetesConfiguration(
                server: server.url, authorities: .system, source: "test", environment: [:]))
        defer { server.stop() }
        do {
            let value = try await body(server, TokenReviewer(client: client, audiences: audiences))
            await client.shutdown()
            return value
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private static let kyverno = "system:serviceaccount:kyverno:kyverno-admission-controller"

    /// `new` is a token of Kyverno 1.16 for this service, `old` one for the API server itself, `others` one for
    /// somebody else. `blind` is confirmed by an API server that knows nothing of audiences, `wrong` with another
    /// audience.
    private static let review: @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step] = { request in
        let specification = (try? StrictJSON.parse(request.body))?["spec"]
        let audiences = specification?["audiences"]?.strings ?? []
        var status: JSONObject = ["authenticated": false, "error": "token is expired"]
        func confirmed(_ audiences: [String]?) -> JSONObject {
            var status: JSONObject = ["authenticated": true, "user": ["username": .string(kyverno)]]
            status["audiences"] = audiences.map { .array($0.map(JSONValue.string)) }
            return status
        }
        switch (specification?["token"]?.string, audiences.contains(TokenReviewer.ownAudience), audiences.isEmpty) {
        case ("others", _, _) where audiences.contains("kyverno-svc.kyverno.io"):
            status = confirmed(["kyverno-svc.kyverno.io"])
        case ("blind", _, _): status = confirmed(nil)
        case ("wrong", _, _): status = confirmed(["https://kubernetes.default.svc", "somebody"])
        case ("new", true, _), ("old", _, true):
            status = [
                "authenticated": true, "user": ["username": .string(kyverno)],
                "audiences": .array(
                    (audiences.isEmpty ? ["https://kubernetes.default.svc"] : audiences).map(JSONValue.string)),
            ]
        default: break
        }
        guard request.target == "/apis/authentication.k8s.io/v1/tokenreviews", request.method == "POST" else {
            return [.reply(404)]
        }
        let answer: JSONValue = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": .object(status),
        ]
        return [.reply(201, headers: [("Content-Type", "application/json")], body: answer.text)]
    }

    private func ask(_ service: RunningService, _ body: JSONValue, token: String? = "new") async throws
        -> TestClient.Reply
    {
        let client = try await TestClient.connect(
            port: service.ports.kyverno ?? 0, TestClient.Options(trusting: service.tls.serverAuthority))
        defer { client.close() }
        return try await client.ask(
            "POST", "/kyverno/v1/verify", headers: token.map { ["Authorization: Bearer \($0)"] } ?? [], body: body.text)
    }

    private static let listener = KyvernoListener(address: ListenAddress(host: "127.0.0.1", port: 0))

    private func pod(_ images: (String, String)...) -> JSONValue {
        [
            "kind": "Pod",
            "spec": ["containers": .array(images.map { ["name": .string($0.0), "image": .string($0.1)] })],
        ]
    }

    @Test func aPodIsVerifiedAndPinned() async throws {
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let signed = try await app.push("signed", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            try await app.push("stranger", signedBy: signers.stranger)
            try await withReviews { _, reviewer in
                try await withService(
                    try .trustingRelease(), kyverno: Self.listener, callers: reviewer
                ) { service in
                    let good = pod(("app", app.name("signed")))
                    let reply = try await ask(service, ["resource": good, "mutateDigest": true, "verifyDigest": true])
                    #expect(reply.status == 200, "\(reply.text)")
                    let answer = try reply.json
                    #expect(answer["verified"] == true, "\(reply.text)")
                    // Pinned, it passes without mutation.
                    let patched = try JSONPatch.applied(answer["patches"] ?? [], to: good)
                    #expect(
                        patched["spec"]?["containers"]?.array?.first?["image"]?.string
                            == "\(app.name("signed"))@\(signed.digest)")
                    let again = try await ask(service, ["resource": patched, "verifyDigest": true]).json
                    #expect(again["verified"] == true && again["patches"] == [])

                    let bad = pod(
                        ("app", app.name("signed")), ("side", app.name("unsigned")), ("x", app.name("stranger")))
                    let denial = try await ask(service, ["resource": bad, "mutateDigest": true]).json
                    #expect(denial["verified"] == false && denial["determined"] == true)
                    let message = denial["message"]?.string ?? ""
                    #expect(
                        message.contains(
                            "failed to verify image \(app.name("unsigned")): no signature is associated with"))
                    #expect(message.contains("make sure the artifact was signed"))
                    #expect(message.contains(app.name("stranger")) && !message.contains("app:signed"))
                    #expect(denial["patches"]?.array?.count == 1)
                }
            }
        }
    }

    @Test func attestorsAreTheCertificatesOfTheSignature() async throws {
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let both = try await app.push("both", signedBy: signers.release)
            try await signers.other.sign(both, in: app.reference, at: app.destination)
            try await app.push("one", signedBy: signers.release)
            func entry(_ signer: TestSigner) -> JSONValue {
                ["certificates": ["cert": .string(signer.identity.certificate.pem)]]
            }
            try await withReviews { _, reviewer in
                try await withService(
                    try .trustingRelease(), kyverno: Self.listener, callers: reviewer
                ) { service in
                    for (tag, attestors, isVerified) in [
                        ("both", [["entries": [entry(signers.release), entry(signers.other)]]], true),
                        ("one", [["entries": [entry(signers.release), entry(signers.other)]]], false),
                        ("one", [["count": 1, "entries": [entry(signers.release), entry(signers.other)]]], true),
                        (
                            "one",
                            [
                                [
                                    "entries": [
                                        ["certificates": ["certChain": .string(signers.authority.certificate.pem)]]
                                    ]
                                ]
                            ], true
                        ),
                        ("one", [["entries": [entry(signers.stranger)]]], false),
                        ("one", [["entries": [["verifier": "notation", "subject": "CN=release*"]]]], true),
                        ("one", [["entries": [["subject": "CN=other*"]]]], false),
                    ] as [(String, JSONValue, Bool)] {
                        let answer = try await ask(
                            service, ["images": [.string(app.name(tag))], "attestors": attestors]
                        ).json
                        #expect(
                            answer["verified"]?.bool == isVerified,
                            "\(tag) \(attestors.text.prefix(200)): \(answer.text)")
                    }
                }
            }
        }
    }

    @Test func aRegistryThatIsDownDeniesForNow() async throws {
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: signers.release)
            try await withReviews { _, reviewer in
                try await withService(
                    try .trustingRelease(), kyverno: Self.listener, callers: reviewer
                ) { service in
                    registry.inject(.status(503))
                    let body: JSONValue = ["images": [.string(app.name("v1"))], "mutateDigest": true]
                    let answer = try await ask(service, body).json
                    #expect(answer["verified"] == false && answer["determined"] == false)
                    #expect(answer["message"]?.string?.contains(registry.endpoint) == true)
                    registry.clearFaults()
                    let recovered = try await eventually { try await ask(service, body).json["verified"] == true }
                    #expect(recovered)
                }
            }
        }
    }

    @Test func tokensAreReviewedOnceAndForTheirAudience() async throws {
        try await withReviews { server, reviewer in
            let soon = { ContinuousClock.now + .seconds(20) }
            for _ in 0..<5 {
                #expect(await reviewer.authenticate(token: "new", deadline: soon()) == .user(Self.kyverno))
            }
            #expect(server.requests.count == 1)
            let asked = try StrictJSON.parse(server.requests[0].body)
            #expect(asked["spec"]?["audiences"] == ["countersign"])
            // For the API server, for somebody else, for nobody in particular: not for this service.
            for token in ["old", "others", "blind", "wrong"] {
                guard case .unknown(let reason) = await reviewer.authenticate(token: token, deadline: soon()) else {
                    Issue.record("the token \"\(token)\" was accepted")
                    continue
                }
                #expect(reason.contains("apiCallToken.audience=countersign") && reason.contains("--kyverno-audiences"))
            }
            #expect(server.requests.count == 5)
            guard case .unknown(let reason) = await reviewer.authenticate(token: "stolen", deadline: soon()) else {
                Issue.record("a stolen token was accepted")
                return
            }
            #expect(reason.contains("token is expired"))
        }
        // What is named instead is let in, and nothing else.
        for (audiences, good) in [
            (["kyverno-svc.kyverno.io"], ["others"]), (["api-server"], ["old", "blind", "wrong"]),
            (["countersign", "api-server"], ["new", "old", "blind", "wrong"]), ([], []),
        ] {
            try await withReviews(
                { _, reviewer in
                    for token in ["new", "old", "others", "blind", "wrong", "stolen"] {
                        let identity = await reviewer.authenticate(token: token, deadline: .now + .seconds(20))
                        #expect((identity == .user(Self.kyverno)) == good.contains(token), "\(token), \(audiences)")
                    }
                }, audiences: audiences)
        }
    }

    @Test(arguments: [
        [ScriptedServer.Step.reply(403, body: #"{"kind": "Status", "message": "tokenreviews is forbidden"}"#)],
        [.reply(201, body: "garbage")], [.reply(201, body: "{}")], [.reply(200, body: #"{"status": null}"#)],
        [.reply(201, body: #"{"status":{"authenticated":true,"user":{"username":"x"},"audiences":"kyverno"}}"#)],
    ])
    func anAPIServerInTroubleConfirmsNobody(_ steps: [ScriptedServer.Step]) async throws {
        try await withReviews({ server, reviewer in
            for _ in 0..<2 {
                guard
                    case .unavailable(let reason) = await reviewer.authenticate(
                        token: "new", deadline: .now + .seconds(20))
                else {
                    Issue.record("somebody was confirmed")
                    return
                }
                #expect(!reason.contains("new\""))
            }
            // Trouble is not remembered.
            #expect(server.requests.count == 2)
        }) { _ in steps }
    }

    @Test func serveDoesNotStartForAnybody() async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let tls = try ServingFiles(in: files)
        let config = files.write(try ConfigurationText.trustingRelease().json.bytes, to: "config.json")
        let outcome = try await Command.run(
            "serve", "-c", config, "--http", "127.0.0.1:0", "--cert-dir", tls.directory, "--health-port", "127.0.0.1:0",
            "--metrics-port", "127.0.0.1:0", "--kyverno", "127.0.0.1:0")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("Kyverno cannot be told from anybody else"), "\(outcome)")
    }
}

/// JSON Patch (RFC 6902) with `replace`, as Kyverno applies it.
private enum JSONPatch {
    struct Failure: Error {}

    static func applied(_ patches: JSONValue, to value: JSONValue) throws -> JSONValue {
        var value = value
        for patch in patches.array ?? [] {
            guard patch["op"] == "replace", let path = patch["path"]?.string, let new = patch["value"] else {
                throw Failure()
            }
            let names = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
                String($0).replacing("~1", with: "/").replacing("~0", with: "~")
            }
            value = try replaced(names[...], in: value, by: new)
        }
        return value
    }

    private static func replaced(
        _ names: ArraySlice<String>, in value: JSONValue, by new: JSONValue
    ) throws -> JSONValue {
        guard let name = names.first else { return new }
        switch value {
        case .object(var object):
            guard let member = object[name] else { throw Failure() }
            object[name] = try replaced(names.dropFirst(), in: member, by: new)
            return .object(object)
        case .array(var array):
            guard let index = Int(name), array.indices.contains(index) else { throw Failure() }
            array[index] = try replaced(names.dropFirst(), in: array[index], by: new)
            return .array(array)
        default: throw Failure()
        }
    }
}
