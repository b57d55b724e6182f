import StrictJSON
import Testing

@testable import Gatekeeper

@Suite struct ProviderResponseWriterTests {
    @Test func emptyAnswerIsWhole() {
        let writer = ProviderResponseWriter(version: .v1alpha1, isIdempotent: false)
        #expect(
            String(decoding: writer.finish(), as: UTF8.self)
                == #"{"apiVersion":"externaldata.gatekeeper.sh/v1alpha1","kind":"ProviderResponse","response":{"items":[]}}"#
                + "\n")
    }

    @Test func itemsAndSystemErrorStandSideBySide() throws {
        var writer = ProviderResponseWriter(version: .v1beta1, isIdempotent: true)
        writer.item(key: "a\"\n", value: "b")
        writer.item(key: "", error: "no\u{1}")
        writer.item(key: "c") { $0 += Array(#"{"x":1}"#.utf8) }
        let value = try StrictJSON.parse(writer.finish(systemError: "d\\"))
        let response = try #require(value["response"])
        #expect(response["idempotent"] == true)
        #expect(response["systemError"] == "d\\")
        #expect(
            response["items"] == [
                ["key": "a\"\n", "value": "b"], ["key": "", "error": "no\u{1}"], ["key": "c", "value": ["x": 1]],
            ])
    }

    /// Gatekeeper takes an empty error for none.
    @Test(arguments: ["", " ", "\n\t"])
    func anErrorIsNeverBlank(text: String) throws {
        var writer = ProviderResponseWriter(version: .v1beta1, isIdempotent: false)
        writer.item(key: "a", error: text)
        let value = try StrictJSON.parse(writer.finish(systemError: text))
        #expect(value["response"]?["systemError"] == "an error without a message")
        #expect(value["response"]?["items"]?.array?.first?["error"] == "an error without a message")
    }
}
