import NIOPosix
import ProviderServer
import ProviderTestSupport
import ServiceMetrics
import StrictJSON
import TestSupport
import Testing

@testable import Gatekeeper

/// The rows and consequences of the contract with Gatekeeper, as far as they are the provider's.
@Suite struct GatekeeperContractTests {
    private func body(_ keys: [String], version: String = "v1beta1") -> [UInt8] {
        let value: JSONValue = [
            "apiVersion": .string("externaldata.gatekeeper.sh/\(version)"), "kind": "ProviderRequest",
            "request": ["keys": .array(keys.map(JSONValue.string))],
        ]
        return value.bytes
    }

    private func handler(
        _ service: StubService, metrics: MetricsRegistry = MetricsRegistry(), log: LogCapture = LogCapture()
    ) -> ExternalDataHandler {
        ExternalDataHandler(
            service: service, metrics: metrics, logger: log.logger(), maximumKeys: 20,
            deadlines: AnswerDeadlines(margin: .milliseconds(50))
        )
    }

    private func ask(
        _ handler: ExternalDataHandler, _ operation: ExternalDataHandler.Operation = .verify, _ body: [UInt8]
    ) async throws -> JSONValue {
        let action = handler.begin(
            operation, body: body, arrival: .now, traceID: "trace-1",
            eventLoop: MultiThreadedEventLoopGroup.singleton.any())
        let answer =
            switch action {
            case .now(let answer): answer
            case .later(let make): await make()
            }
        let value = try StrictJSON.parse(answer.body)
        #expect(value["kind"] == "ProviderResponse")
        return value
    }

    @Test(arguments: ["v1alpha1", "v1beta1"])
    func answersInTheVersionThatWasAsked(version: String) async throws {
        let value = try await ask(handler(StubService()), .verify, body(["signed"], version: version))
        #expect(value["apiVersion"]?.string == "externaldata.gatekeeper.sh/\(version)")
        #expect(value["response"]?["idempotent"] == nil)
    }

    @Test func aVerdictHasTimestampAndTraceID() async throws {
        for key in ["signed", "unsigned"] {
            let value = try await ask(handler(StubService()), .verify, body([key]))
            let item = try #require(value["response"]?["items"]?.array?.first?["value"])
            #expect(item["isSuccess"]?.bool == (key == "signed"))
            #expect(item["traceID"] == "trace-1")
            #expect(item["timestamp"]?.string?.hasSuffix("Z") == true)
            #expect(item["version"] == "0.2.0")
            let report = try #require(item["verifierReports"]?.array?.first)
            #expect(report["subject"]?.string == key)
            #expect(report["name"] == report["verifierName"])
        }
    }

    @Test func oneItemForEveryDistinctKeyEchoedExactly() async throws {
        let service = StubService()
        let keys = [
            "signed\n", "signed\n", "[team-a]registry.example/app:v1", "", "unparsable A!", "signed\n", "unsigned",
        ]
        let value = try await ask(handler(service), .verify, body(keys))
        let items = try #require(value["response"]?["items"]?.array)
        #expect(
            items.map { $0["key"]?.string } == [
                "signed\n", "[team-a]registry.example/app:v1", "", "unparsable A!", "unsigned",
            ])
        // What is no image is refused without asking anybody.
        #expect(service.keys.sorted() == ["[team-a]registry.example/app:v1", "signed", "unsigned"])
        for key in ["", "unparsable A!"] {
            let item = try #require(items.first { $0["key"]?.string == key })
            #expect(item["error"]?.string?.hasPrefix("REFERENCE_INVALID: ") == true)
        }
        #expect(value["response"]?["systemError"] == nil)
        for item in items { #expect((item["value"] == nil) != (item["error"] == nil)) }
    }

    @Test func aPassingFaultHasNoItemAndIsNamedBesideTheOthers() async throws {
        let metrics = MetricsRegistry()
        let value = try await ask(
            handler(StubService(), metrics: metrics), .verify, body(["signed", "down/x:1", "unsigned"]))
        let response = try #require(value["response"])
        #expect(response["items"]?.array?.map { $0["key"]?.string } == ["signed", "unsigned"])
        let error = try #require(response["systemError"]?.string)
        #expect(
            error
                == "1 of 3 keys could not be decided, ask again: \"down/x:1\": listing signatures at registry.example:5000: connection refused (trace trace-1)"
        )
        #expect(metrics.render().contains(#"ratify_system_error_count{error="passing fault"} 1"#))
    }

    @Test(arguments: ["slow/a:1", "stuck/a:1"])
    func theAnswerComesBeforeTheTimeoutWithWhatIsThere(key: String) async throws {
        let service = StubService(verificationTimeout: .seconds(3))
        let start = ContinuousClock.now
        let value = try await ask(handler(service), .verify, body(["signed", key]))
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(value["response"]?["items"]?.array?.map { $0["key"]?.string } == ["signed"])
        let error = try #require(value["response"]?["systemError"]?.string)
        #expect(error.contains("\"\(key)\": waiting for a verdict: no answer within"))
    }

    @Test func aBlankRefusalIsNotTakenForAnAnswer() async throws {
        let value = try await ask(handler(StubService()), .verify, body(["blank"]))
        let item = try #require(value["response"]?["items"]?.array?.first)
        #expect(item["error"] == "an error without a message")
    }

    @Test func noKeysIsAnEmptyAnswer() async throws {
        let value = try await ask(handler(StubService()), .verify, body([]))
        #expect(value["response"]?["items"] == [])
        #expect(value["response"]?["systemError"] == nil)
    }

    @Test(arguments: ["", "{", #"{"request":{"keys":["signed"]}}"#, #"{"apiVersion":"x","kind":"y"}"#])
    func aMalformedRequestIsAnsweredInTheBody(text: String) async throws {
        for operation in [ExternalDataHandler.Operation.verify, .mutate] {
            let service = StubService()
            let value = try await ask(handler(service), operation, Array(text.utf8))
            #expect(value["apiVersion"] == "externaldata.gatekeeper.sh/v1beta1")
            #expect(value["response"]?["systemError"]?.string?.contains("trace-1") == true)
            #expect(value["response"]?["items"] == [])
            #expect(value["response"]?["idempotent"]?.bool == (operation == .mutate ? true : nil))
            #expect(service.keys.isEmpty)
        }
    }

    @Test func tooManyKeysAreRefusedTogether() async throws {
        let value = try await ask(handler(StubService()), .verify, body((0...20).map { "signed\($0)" }))
        #expect(value["response"]?["items"] == [])
        #expect(value["response"]?["systemError"]?.string?.contains("21 keys, more than the limit of 20") == true)
    }

    @Test func aMutationIsAnIdempotentString() async throws {
        let value = try await ask(handler(StubService()), .mutate, body(["a:1", "a:1", "b:1"]))
        let response = try #require(value["response"])
        #expect(response["idempotent"] == true)
        #expect(
            response["items"] == [
                ["key": "a:1", "value": .string("a:1@\(StubService.digest)")],
                ["key": "b:1", "value": .string("b:1@\(StubService.digest)")],
            ])
    }

    @Test func aRefusedMutationHasAnErrorAndNoValue() async throws {
        let value = try await ask(handler(StubService()), .mutate, body(["unparsable!"]))
        let item = try #require(value["response"]?["items"]?.array?.first)
        #expect(item["error"]?.string?.contains("not an image reference") == true)
        #expect(item["value"] == nil)
    }

    /// A pod names its images, and nothing else: with a namespace in front, another tenant's store and credentials
    /// would resolve the image, and the bracket would be gone from the answer.
    @Test func anImageToMutateNamesNoNamespace() async throws {
        let service = StubService(hasVerdicts: true)
        let pinned = "registry.example/app@\(StubService.digest)"
        let keys = [
            "[team-b]registry.example/app:v1", "[team-b]\(pinned)", " [team-b]app\n", "[Team]app", "[::1]:5000/app:v1",
        ]
        let value = try await ask(handler(service), .mutate, body(keys))
        #expect(value["response"]?["systemError"] == nil)
        let items = try #require(value["response"]?["items"]?.array)
        #expect(items.map { $0["key"]?.string } == keys)
        for item in items.dropLast() {
            #expect(item["value"] == nil)
            #expect(item["error"]?.string?.hasPrefix("REFERENCE_INVALID: ") == true)
        }
        #expect(items[0]["error"]?.string?.contains("the image begins with \"[team-b]\"") == true)
        #expect(items[4]["value"]?.string == "[::1]:5000/app:v1@\(StubService.digest)")
        #expect(service.keys == ["[::1]:5000/app:v1"])
    }

    @Test func aPassingFaultOfAMutationIsASystemError() async throws {
        let service = StubService(mutationTimeout: .seconds(3))
        let value = try await ask(handler(service), .mutate, body(["down/x:1", "slow/x:1", "a:1"]))
        let response = try #require(value["response"])
        #expect(response["items"]?.array?.map { $0["key"]?.string } == ["a:1"])
        let error = try #require(response["systemError"]?.string)
        #expect(error.contains("2 of 3 keys") && error.contains("resolving the image at registry.example: status 503"))
        #expect(error.contains("\"slow/x:1\""))
        #expect(response["idempotent"] == true)
    }

    @Test func everyKeyHasItsLogLine() async throws {
        let log = LogCapture()
        _ = try await ask(
            handler(StubService(), log: log), .verify, body(["signed\nforged", "signed", "unsigned", "down/x"]))
        #expect(log.lines.count == 4)
        #expect(log.lines.contains { $0.contains("signed\\nforged") && $0.contains("verdict=refused") })
        let line = try #require(log.lines.first { $0.contains("verdict=pass") })
        #expect(line.contains("trace-id=trace-1") && line.contains("verdict=pass") && line.contains(" ms="))
        #expect(line.contains("digest=\(StubService.digest)"))
        #expect(log.lines.contains { $0.contains("verdict=fail") && $0.contains(#"reason="no signature""#) })
        #expect(log.lines.contains { $0.contains("level=warning") && $0.contains("verdict=fault") })
    }

    @Test func latencyGoesIntoRatifysHistograms() async throws {
        let metrics = MetricsRegistry()
        _ = try await ask(handler(StubService(), metrics: metrics), .verify, body(["signed"]))
        _ = try await ask(handler(StubService(), metrics: metrics), .mutate, body(["a:1"]))
        let text = metrics.render()
        #expect(text.contains("ratify_verification_request_count 1"))
        #expect(text.contains(#"ratify_verification_request_bucket{le="4900"} 1"#))
        #expect(text.contains("ratify_mutation_request_count 1"))
        #expect(text.contains(#"countersign_keys_total{operation="verify",verdict="pass"} 1"#))
    }

    @Test func whatIsNoImageIsCountedAsRefused() async throws {
        let metrics = MetricsRegistry()
        _ = try await ask(handler(StubService(), metrics: metrics), .verify, body(["Not An Image", "[a]"]))
        #expect(metrics.render().contains(#"countersign_verdicts_total{verdict="refused",reason="reference"} 2"#))
    }
}
