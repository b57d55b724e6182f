import StrictJSON
import Testing

@testable import Gatekeeper

/// The short way through a request must never see anything else in it than the long one.
@Suite struct PlainRequestTests {
    private static let samples = [
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a/b:1","c"]}}"#,
        "{ \"kind\" : \"ProviderRequest\" ,\n\"request\":{ \"keys\" :[ \"a\" ,\t\"a\"]} , \"apiVersion\":\"externaldata.gatekeeper.sh/v1alpha1\"}\r\n",
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":[]}}"#,
    ]

    @Test(arguments: samples) func whatGatekeeperSendsIsPlain(text: String) throws {
        let plain = try #require(PlainRequest(Array(text.utf8), maximumKeys: 10))
        try agree(plain, Array(text.utf8))
    }

    @Test(arguments: [
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["\u0061"]}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["é"]}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a"],"x":1}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a","b","c"]}}"#,
        #"{"apiVersion":"v1","kind":"ProviderRequest","request":{"keys":["a"]}}"#,
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"Other","request":{"keys":["a"]}}"#,
        #"{"kind":"ProviderRequest","kind":"ProviderRequest","apiVersion":"externaldata.gatekeeper.sh/v1beta1","request":{"keys":[]}}"#,
        "", "{}", "[]", "null",
    ])
    func everythingElseIsLeftToTheParser(text: String) {
        #expect(PlainRequest(Array(text.utf8), maximumKeys: 2) == nil)
    }

    /// Every byte of every sample in turn left out, doubled, and replaced by each of some bytes.
    @Test(arguments: samples) func whateverIsTakenIsWhatTheParserReads(text: String) throws {
        let bytes = Array(text.utf8)
        var taken = 0
        func look(_ body: [UInt8]) throws {
            guard let plain = PlainRequest(body, maximumKeys: 10) else { return }
            taken += 1
            try agree(plain, body)
        }
        for index in bytes.indices {
            var body = bytes
            body.remove(at: index)
            try look(body)
            body = bytes
            body.insert(bytes[index], at: index)
            try look(body)
            for replacement in Array("\"\\{}[],: \n\tak0\u{7F}\u{1}é".utf8) {
                body = bytes
                body[index] = replacement
                try look(body)
            }
            try look(Array(bytes[..<index]))
        }
        // Changes inside a key are plain still.
        #expect(taken > 0)
    }

    private func agree(_ plain: PlainRequest, _ body: [UInt8]) throws {
        let value = try StrictJSON.parse(body, maximumDepth: 16)
        #expect(value["apiVersion"]?.string == plain.version.rawValue)
        #expect(value["kind"] == "ProviderRequest")
        let keys = try #require(value["request"]?["keys"]?.strings)
        #expect(keys.map { Array($0.utf8) } == plain.keys.map { Array($0.utf8) })
        #expect(value.object?.count == 3 && value["request"]?.object?.count == 1)
    }
}
