import Foundation
import ProviderServer
import ServiceMetrics
import StrictJSON
import TestSupport
import Testing

@testable import Kyverno

@Suite struct KyvernoRouteTests {
    private let pod = """
        {"spec": {"initContainers": [{"name": "init", "image": "registry.example/signed:v1"}],
          "containers": [{"name": "app", "image": "registry.example/APP:v1"}]}}
        """.replacing("APP", with: "IMAGE")

    private func body(_ image: String, _ more: String = "") -> String {
        #"{"resource": RESOURCE\#(more)}"#.replacing("RESOURCE", with: pod.replacing("IMAGE", with: image))
    }

    @Test func aSignedPodIsVerifiedAndPinned() async throws {
        let kyverno = try await RunningKyverno()
        let reply = try await kyverno.ask(body("signed-two", #", "mutateDigest": true, "verifyDigest": true"#))
        #expect(reply.status == 200)
        let answer = try reply.json
        #expect(answer["verified"] == true && answer["determined"] == true)
        #expect(answer["message"] == "2 images verified")
        let pinned = "registry.example/signed-two:v1@\(KyvernoStub.digest)"
        #expect(
            answer["patches"]?.array?.last
                == ["op": "replace", "path": "/spec/containers/0/image", "value": .string(pinned)])
        #expect(answer["results"]?.array?.map { $0["status"]?.string } == ["verified", "verified"])
        #expect(answer["results"]?.array?.last?["reference"]?.string == pinned)
        #expect(answer["traceID"]?.string == reply.headers["x-trace-id"])
    }

    @Test func anUnsignedImageIsNamedInNotationsWords() async throws {
        let kyverno = try await RunningKyverno()
        let answer = try await kyverno.ask(body("unsigned", #", "mutateDigest": true"#)).json
        #expect(answer["verified"] == false && answer["determined"] == true)
        #expect(
            answer["message"]?.string
                == "failed to verify image registry.example/unsigned:v1: no signature is associated with \"registry.example/unsigned:v1@\(KyvernoStub.digest)\", make sure the artifact was signed successfully"
        )
        // The one that is verified is pinned none the less.
        #expect(answer["patches"]?.array?.map { $0["path"]?.string } == ["/spec/initContainers/0/image"])
        #expect(answer["results"]?.array?.map { $0["verified"]?.bool } == [true, false])
    }

    @Test func aFaultDeniesAndSaysSo() async throws {
        let kyverno = try await RunningKyverno()
        let reply = try await kyverno.ask(body("down"))
        #expect(reply.status == 200)
        #expect(try reply.json["verified"] == false && reply.json["determined"] == false)
        #expect(
            try reply.json["message"]?.string
                == "could not verify image registry.example/down:v1 now: listing signatures at registry.example: connection refused"
        )
        #expect(
            kyverno.provider.metrics.render().contains(
                #"countersign_keys_total{operation="kyverno",verdict="fault"} 1"#))
    }

    @Test func whatDoesNotAnswerInTimeDenies() async throws {
        let kyverno = try await RunningKyverno(KyvernoStub(timeout: .milliseconds(300)))
        let start = ContinuousClock.now
        let answer = try await kyverno.ask(body("stuck")).json
        #expect(.now - start < .seconds(10))
        #expect(answer["verified"] == false && answer["determined"] == false)
        #expect(answer["results"]?.array?.map { $0["status"]?.string } == ["verified", "error"])
    }

    @Test(arguments: [
        // Options, what becomes of the second image, why.
        ("signed-b", "", "verified", ""),
        ("signed-b", #", "verifyDigest": true"#, "failed", "missing digest for registry.example/signed-b:v1"),
        ("waived", "", "failed", "requires that images are verified"),
        ("waived", #", "required": false"#, "verified", ""),
        ("waived", #", "required": false, "verifyDigest": true"#, "failed", "missing digest"),
        ("waived", #", "required": false, "mutateDigest": true, "verifyDigest": true"#, "verified", ""),
        ("unsigned", #", "required": false"#, "failed", "no signature"),
        ("unsigned", #", "imageReferences": ["registry.example/signed*"]"#, "skipped", ""),
        ("unsigned", #", "imageReferences": ["ghcr.io/*", "*.example/*"]"#, "failed", "no signature"),
        ("unsigned", #", "skipImageReferences": ["*/unsigned:*"]"#, "skipped", ""),
        ("unsigned", #", "skipImageReferences": ["*/unsigned@*"]"#, "failed", "no signature"),
        ("UPPER", #", "imageReferences": ["ghcr.io/*"]"#, "failed", "REFERENCE_INVALID"),
        (
            "signed-b", #", "attestors": [{"entries": [{"verifier": "notation", "subject": "CN=rel*"}]}]"#, "verified",
            ""
        ),
        ("signed-b", #", "attestors": [{"entries": [{"verifier": "other"}]}]"#, "failed", "attestors[0]: 0 of the 1"),
        ("half", #", "attestors": [{"entries": [{"verifier": "notation"}]}]"#, "verified", ""),
        ("half", #", "attestors": [{"entries": [{"subject": "CN=b"}]}]"#, "error", "status 503"),
        (
            "waived", #", "required": false, "attestors": [{"entries": [{"verifier": "notation"}]}]"#, "failed",
            "attestors[0]"
        ),
    ])
    func options(_ image: String, _ more: String, _ status: String, _ reason: String) async throws {
        let kyverno = try await RunningKyverno()
        // The first image has everything that is asked for, but a digest.
        let text = body(image, more).replacing(
            "registry.example/signed:v1", with: "registry.example/signed@\(KyvernoStub.digest)")
        let answer = try await kyverno.ask(text).json
        let result = answer["results"]?.array?.last
        #expect(result?["status"]?.string == status)
        if !reason.isEmpty { #expect(result?["error"]?.string?.contains(reason) == true, "\(result?.text ?? "")") }
        #expect(result?["verified"]?.bool == (status == "verified"))
        if status == "failed" || status == "error" { #expect(answer["verified"] == false) }
    }

    @Test func theNamespaceIsTheRequestsAlone() async throws {
        let kyverno = try await RunningKyverno()
        let answer = try await kyverno.ask(
            #"{"images": ["registry.example/signed:v1", "[team-b]signed"], "namespace": "team-a"}"#
        ).json
        #expect(kyverno.stub.keys == ["[team-a]registry.example/signed:v1"])
        #expect(answer["verified"] == false)
        #expect(answer["results"]?.array?.map { $0["status"]?.string } == ["verified", "failed"])
    }

    @Test func eachImageIsAskedForOnce() async throws {
        let kyverno = try await RunningKyverno()
        let answer = try await kyverno.ask(#"{"images": ["a/signed", "a/signed", " a/signed"]}"#).json
        #expect(answer["results"]?.array?.count == 3 && answer["verified"] == true)
        #expect(kyverno.stub.keys == ["a/signed"])
    }

    @Test func requestsThatAreNotUnderstood() async throws {
        let kyverno = try await RunningKyverno { $0.maximumBodyBytes = 2048 }
        let garbage = try await kyverno.ask("garbage")
        #expect(garbage.status == 400)
        #expect(try garbage.json["verified"] == false && garbage.json["patches"] == [])
        #expect(try garbage.json["message"]?.string?.contains("not JSON") == true)
        #expect(try await kyverno.ask(#"{"images": ["a"], "x": 1}"#).status == 400)
        #expect(try await kyverno.ask("", "GET").status == 405)
        #expect(try await kyverno.ask("{}", "POST", "/kyverno/v2/verify").status == 404)
        #expect(try await kyverno.ask("{}", "POST", "/ratify/gatekeeper/v1/verify").status == 404)
        #expect(try await kyverno.ask(#"{"images": ["\#(String(repeating: "a", count: 4096))"]}"#).status == 413)
        #expect(kyverno.stub.keys.isEmpty)
    }
}

@Suite struct KyvernoCallerTests {
    private let body = #"{"images": ["registry.example/signed:v1"]}"#

    @Test func tokens() async throws {
        let kyverno = try await RunningKyverno()
        #expect(try await kyverno.ask(body).status == 200)
        for (token, status, reason) in [
            (nil, 401, "no bearer token"), ("stolen", 401, "not valid"), ("two tokens", 401, "one bearer token"),
            ("somebodys", 403, "system:serviceaccount:default:default"), ("reviewless", 503, "does not answer"),
        ] as [(String?, Int, String)] {
            let reply = try await kyverno.ask(body, token: token)
            #expect(reply.status == status)
            #expect(try reply.json["verified"] == false)
            #expect(try reply.json["message"]?.string?.contains(reason) == true, "\(reply.text)")
        }
        #expect(kyverno.stub.keys.count == 1)
        #expect(!kyverno.provider.log.lines.contains { $0.contains("kyvernos") || $0.contains("stolen") })
    }

    @Test(arguments: [
        "Basic a3l2ZXJub3M=", "kyvernos", "Bearer", "Bearer kyvernos, Bearer kyvernos", "Bearer ky\u{e9}",
    ])
    func otherHeaders(_ value: String) { #expect(KyvernoRoute.bearerToken(value) == nil) }

    @Test func bearerTokens() {
        #expect(KyvernoRoute.bearerToken("Bearer aA0-._~+/=") == "aA0-._~+/=")
        #expect(KyvernoRoute.bearerToken("bearer  x") == "x")
        #expect(KyvernoRoute.bearerToken("Bearer " + String(repeating: "a", count: 20_000)) == nil)
    }

    @Test func clientCertificates() async throws {
        let kyverno = try await RunningKyverno()
        // Instead of a token, on both listeners.
        #expect(try await kyverno.ask(body, token: nil, identity: kyverno.files.client).status == 200)
        let main = kyverno.provider.ports.provider
        #expect(try await kyverno.ask(body, token: nil, identity: kyverno.files.client, port: main).status == 200)
        // A stranger's certificate is not the same as none.
        let stranger = try CertificateAuthority(name: "gatekeeper-ca").issue(.client("gatekeeper"))
        await #expect(throws: (any Error).self) { try await kyverno.ask(body, identity: stranger) }
        // The main listener does not take tokens: nobody gets there without a certificate.
        await #expect(throws: (any Error).self) { try await kyverno.ask(body, port: main) }
    }

    @Test func aCertificateWithAnotherNameIsNone() async throws {
        let kyverno = try await RunningKyverno { $0.clientNames = ClientNames(["kyverno.example"]) }
        let named = try kyverno.files.clientAuthority.issue(.client("kyverno.example"))
        let main = kyverno.provider.ports.provider
        #expect(try await kyverno.ask(body, token: nil, identity: named).status == 200)
        #expect(try await kyverno.ask(body, token: nil, identity: named, port: main).status == 200)
        let other = kyverno.files.client
        #expect(try await kyverno.ask(body, token: nil, identity: other).status == 401)
        #expect(try await kyverno.ask(body, token: nil, identity: other, port: main).status == 403)
        // A token still counts, where tokens do.
        #expect(try await kyverno.ask(body, identity: other).status == 200)
    }

    @Test func withoutAuthoritiesOnlyTokensCount() async throws {
        let kyverno = try await RunningKyverno {
            $0.certificates = $0.certificates.map { files in
                ServingCertificateFiles(directory: String("\(files.certificate)".dropLast("/tls.crt".count)))
            }
        }
        #expect(try await kyverno.ask(body).status == 200)
        #expect(try await kyverno.ask(body, token: nil, identity: kyverno.files.client).status == 401)
        // Nobody is told apart on the main listener: it does not have the route.
        #expect(try await kyverno.ask(body, port: kyverno.provider.ports.provider).status == 404)
    }

    @Test func withoutReviewsOnlyCertificatesCount() async throws {
        let kyverno = try await RunningKyverno(callers: nil)
        #expect(try await kyverno.ask(body).status == 403)
        #expect(try await kyverno.ask(body, identity: kyverno.files.client).status == 200)
    }

    @Test func withoutAWayToTellCallersApartItDoesNotStart() async throws {
        await #expect { try await RunningKyverno { $0.certificates = nil } } throws: {
            "\($0)".contains("over plain HTTP")
        }
        await #expect {
            try await RunningKyverno(callers: nil) {
                $0.certificates = $0.certificates.map { files in
                    ServingCertificateFiles(directory: String("\(files.certificate)".dropLast("/tls.crt".count)))
                }
            }
        } throws: {
            "\($0)".contains("cannot be told from anybody else")
        }
    }

    @Test func aSlowSenderIsCutOff() async throws {
        let kyverno = try await RunningKyverno {
            $0.headerTimeout = .milliseconds(200); $0.bodyTimeout = .milliseconds(200)
        }
        let client = try await TestClient.connect(port: kyverno.port, kyverno.options)
        try await client.send(
            "POST /kyverno/v1/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer kyvernos\r\nContent-Length: 100\r\n\r\n{"
        )
        #expect(await client.isClosed(within: .seconds(10)))
        #expect(kyverno.stub.keys.isEmpty)
    }

    @Test func theServingCertificateIsReloadedHereToo() async throws {
        let kyverno = try await RunningKyverno()
        let client = try await TestClient.connect(port: kyverno.port, kyverno.options)
        _ = try await client.ask("POST", "/kyverno/v1/verify", headers: ["Authorization: Bearer kyvernos"], body: body)
        let before = try await client.serverSerialNumber
        try kyverno.files.write(try kyverno.files.serverAuthority.issue(.server("countersign")))
        kyverno.provider.server.reloadCertificates()
        let second = try await TestClient.connect(port: kyverno.port, kyverno.options)
        _ = try await second.ask("POST", "/kyverno/v1/verify", headers: ["Authorization: Bearer kyvernos"], body: body)
        #expect(try await second.serverSerialNumber != before)
    }
}
