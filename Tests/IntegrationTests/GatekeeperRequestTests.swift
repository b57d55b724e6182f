import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// The contract with Gatekeeper, row by row, on the whole service.
@Suite struct GatekeeperRequestTests {
    /// A service whose registry has `signed:v1` and `unsigned:v1`.
    private func withShop(
        _ configure: (inout ConfigurationText) -> Void = { _ in },
        _ body: (RunningService, FaultyRegistry, _ signed: String, _ unsigned: String) async throws -> Void
    ) async throws {
        try await withRegistry { registry in
            let (signed, unsigned) = (
                try Repository("\(registry.endpoint)/signed"), try Repository("\(registry.endpoint)/unsigned")
            )
            try await signed.push("v1", signedBy: try Signers.shared.get().release)
            try await unsigned.push("v1", signedBy: nil)
            registry.forgetRequests()
            var configuration = try ConfigurationText.trustingRelease()
            configure(&configuration)
            try await withService(configuration) { service in
                try await body(service, registry, signed.name("v1"), unsigned.name("v1"))
            }
        }
    }

    private func request(_ keys: [String], version: String = "v1beta1") -> String {
        TestClient.request(keys).replacingOccurrences(of: "v1beta1", with: version)
    }

    @Test(arguments: ["v1alpha1", "v1beta1"])
    func isAnsweredInTheVersionThatWasAsked(version: String) async throws {
        try await withShop { service, _, signed, unsigned in
            let answer = try await service.send(request([signed, unsigned], version: version))
            #expect(answer.status == 200)
            #expect(answer.json["apiVersion"]?.string == "externaldata.gatekeeper.sh/\(version)")
            #expect(answer.json["kind"] == "ProviderResponse")
            #expect(answer.admits(signed) && answer.denies(unsigned))
            let mutated = try await service.send(request([signed], version: version), to: "mutate")
            #expect(mutated.json["apiVersion"]?.string == "externaldata.gatekeeper.sh/\(version)")
        }
    }

    @Test func duplicatesHaveOneItemAndOneVerification() async throws {
        try await withShop { service, registry, signed, unsigned in
            let answer = try await service.verify(signed, unsigned, signed, signed)
            #expect(answer.keys == [signed, unsigned])
            expectAdmitted(answer, signed)
            expectDenied(answer, unsigned, "no signature")
            #expect(registry.requests.filter { $0.method == "HEAD" }.count == 2)
        }
    }

    @Test func everyVerdictHasItsTimeAndTrace() async throws {
        try await withShop({ $0.traceIDHeaders = ["x-request-id", "x-correlation"] }) { service, _, signed, unsigned in
            let body = request([signed, unsigned, "registry.example/UPPER:v1"])
            let given = try await service.send(body, headers: ["X-Correlation: from-gatekeeper"])
            for key in [signed, unsigned] {
                #expect(given.value(key)?["traceID"] == "from-gatekeeper")
                let time = try #require(given.value(key)?["timestamp"]?.string)
                // RFC 3339 with a fraction, as Ratify has it.
                let pattern = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/
                #expect(time.wholeMatch(of: pattern) != nil, "\(time)")
            }
            #expect(try await service.hasLogged("trace-id=from-gatekeeper", "verdict=fail", "unsigned:v1"))
            // One is made where none is sent, and each request has its own.
            let first = try await service.verify(signed)
            let second = try await service.verify(signed)
            let traces = [first, second].map { $0.value()?["traceID"]?.string ?? "" }
            #expect(!traces.contains("") && traces[0] != traces[1])
        }
    }

    @Test func aDefiniteErrorIsAnItemWithAnError() async throws {
        try await withShop { service, registry, _, _ in
            for key in ["Not A Ref!!", "\(registry.endpoint)/UPPER:v1", "", "[team-a\(registry.endpoint)/signed:v1"] {
                let answer = try await service.verify(key)
                #expect(answer.status == 200)
                #expect(answer.item(key)?["error"]?.string?.hasPrefix("REFERENCE_INVALID") == true, "\(answer)")
                #expect(answer.value(key) == nil)
                #expect(answer.systemError == nil)
            }
            #expect(registry.requests.isEmpty)
        }
    }

    private static let noRequests = [
        "", "{", "null", "[]", #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest"}x"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v9","kind":"ProviderRequest","request":{"keys":[]}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"Pod","request":{"keys":[]}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":"a"}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":[1]}}"#,
    ]

    @Test(arguments: ["verify", "mutate"])
    func whatIsNoRequestIsAnsweredInTheBody(operation: String) async throws {
        try await withShop { service, registry, _, _ in
            for body in Self.noRequests {
                let answer = try await service.send(body, to: operation)
                #expect(answer.json["kind"] == "ProviderResponse")
                #expect(answer.json["apiVersion"] == "externaldata.gatekeeper.sh/v1beta1")
                #expect(answer.systemError?.isEmpty == false, "\(answer)")
                #expect(answer.items.isEmpty)
            }
            #expect(registry.requests.isEmpty)
        }
    }

    @Test func aMutationPinsTheTag() async throws {
        try await withShop { service, registry, signed, _ in
            let answer = try await service.mutate(signed, signed, "\(registry.endpoint)/nowhere:v1", "Not A Ref!!")
            #expect(answer.response?["idempotent"] == true)
            #expect(answer.keys.count == 3)
            let pinned = try #require(answer.value(signed)?.string)
            #expect(pinned.hasPrefix("\(registry.endpoint)/signed@sha256:"))
            for key in ["\(registry.endpoint)/nowhere:v1", "Not A Ref!!"] {
                #expect(answer.item(key)?["error"]?.string?.isEmpty == false, "\(answer)")
                #expect(answer.value(key) == nil)
            }
            #expect(answer.systemError == nil)
            // The verification that follows carries what the mutation made.
            expectAdmitted(try await service.verify(pinned))
            #expect(try await service.verify(pinned).response?["idempotent"]?.bool != true)

            // What has a digest comes back as it is, and nobody is asked.
            registry.forgetRequests()
            let again = try await service.mutate(pinned, "\(pinned.replacing("@", with: ":v1@"))")
            #expect(again.value(pinned)?.string == pinned)
            #expect(again.value(pinned.replacing("@", with: ":v1@"))?.string == pinned.replacing("@", with: ":v1@"))
            #expect(registry.requests.isEmpty)
        }
    }

    @Test func aNamespaceInFrontOfTheImage() async throws {
        try await withShop { service, _, signed, unsigned in
            let keys = ["[team-a]\(signed)", "[team-b]\(unsigned)"]
            let answer = try await service.verify(keys[0], keys[1])
            #expect(answer.keys == keys)
            expectAdmitted(answer, keys[0])
            expectDenied(answer, keys[1], "no signature")
            // The report speaks of the image alone.
            #expect(answer.reports(keys[0]).first?["subject"]?.string == signed)
            // Which namespace an image is resolved for is not its author's to say.
            let mutated = try await service.mutate(keys[0])
            #expect(mutated.value() == nil)
        }
    }

    @Test func theAnswerComesBeforeTheDeadline() async throws {
        try await withShop({ $0.verificationTimeout = 1000 }) { service, registry, signed, unsigned in
            registry.inject(.delay(.seconds(40)), path: "/v2/unsigned/*")
            let start = ContinuousClock.now
            let answer = try await service.verify(signed, unsigned)
            #expect(ContinuousClock.now - start < .seconds(30))
            expectFault(answer, unsigned, "1 of 2 keys", "resolving the image at \(registry.endpoint)")
            #expect(answer.value(unsigned) == nil)
            expectAdmitted(try await service.verify(signed))
        }
    }
}
