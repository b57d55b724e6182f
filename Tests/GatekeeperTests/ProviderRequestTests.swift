import StrictJSON
import Testing

@testable import Gatekeeper

@Suite struct ProviderRequestTests {
    private func request(_ text: String, maximumKeys: Int = 10) throws -> ProviderRequest {
        try ProviderRequest(body: Array(text.utf8), maximumKeys: maximumKeys)
    }

    private func error(_ text: String) -> ProviderRequestError? {
        do {
            _ = try request(text)
            return nil
        } catch { return error as? ProviderRequestError }
    }

    @Test func readsWhatGatekeeperSends() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["registry.example/app:v1","b"]}}"#
        )
        #expect(request.version == .v1beta1)
        #expect(request.keys == ["registry.example/app:v1", "b"])
    }

    @Test func olderVersionIsSpokenToo() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1alpha1","kind":"ProviderRequest","request":{"keys":["a"]}}"#)
        #expect(request.version == .v1alpha1)
    }

    @Test(arguments: [#""keys":[]"#, #""keys":null"#, ""])
    func noKeys(member: String) throws {
        // Gatekeeper leaves `keys` out when there are none.
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{\#(member)}}"#)
        #expect(request.keys.isEmpty)
    }

    @Test func duplicatesAreOneKeyInTheOrderOfTheFirst() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["b","a","b","a","c"]}}"#
        )
        #expect(request.keys == ["b", "a", "c"])
    }

    @Test func keysThatDifferOnlyInNormalisationAreTwo() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["caf\u00e9","cafe\u0301"]}}"#
        )
        #expect(request.keys.map { Array($0.utf8).count } == [5, 6])
    }

    @Test func oddKeysComeThroughByteForByte() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["","a\n"," ","\u0000"]}}"#
        )
        #expect(request.keys == ["", "a\n", " ", "\u{0}"])
    }

    @Test func membersOfALaterGatekeeperAreLeftAlone() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","new":1,"request":{"keys":["a"],"more":{}}}"#
        )
        #expect(request.keys == ["a"])
    }

    @Test(arguments: [
        ("", ProviderRequestError.Kind.malformed), ("{", .malformed), ("null", .malformed), ("[]", .malformed),
        ("{}", .version), (#"{"apiVersion":1}"#, .version), (#"{"apiVersion":"x","kind":"ProviderRequest"}"#, .version),
        (#"{"apiVersion":"externaldata.gatekeeper.sh/v1"}"#, .version),
        (#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1"}"#, .version),
        (#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderResponse"}"#, .version),
        (#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest"}"#, .malformed),
        (#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":[]}"#, .malformed),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":"x"}}"#,
            .malformed
        ),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a",1]}}"#,
            .malformed
        ),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a"]}}x"#,
            .malformed
        ),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a"],"keys":["b"]}}"#,
            .malformed
        ),
        (
            #"{"kind":"ProviderRequest","kind":"ProviderRequest","apiVersion":"externaldata.gatekeeper.sh/v1beta1","request":{"keys":[]}}"#,
            .malformed
        ),
        (#"{"apiVersion":"v1","kind":"ProviderRequest","request":{"keys":["a"]}}"#, .version),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"Other","request":{"keys":["a"]}}"#, .version
        ),
        (
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["1","2","3","4","5","6","7","8","9","10","11"]}}"#,
            .tooManyKeys
        ),
    ])
    func refuses(text: String, kind: ProviderRequestError.Kind) {
        #expect(error(text)?.kind == kind)
    }

    @Test func anErrorIsToldInTheVersionOfTheRequest() {
        let text =
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1alpha1","kind":"ProviderRequest","request":{"keys":1}}"#
        #expect(error(text)?.version == .v1alpha1)
        #expect(error("{")?.version == .v1beta1)
    }

    @Test func textOutsideASCIIIsReadAsItIs() throws {
        let request = try request(
            #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["é","\u0061"]}}"#
        )
        #expect(request.keys == ["é", "a"])
    }

    /// Every byte of every sample in turn left out, doubled, and replaced by each of some bytes, and every beginning:
    /// a request that is taken is one in JSON, with nothing dropped and nothing read differently.
    @Test(arguments: [
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a/b:1","c"]}}"#,
        "{ \"kind\" : \"ProviderRequest\" ,\n\"request\":{ \"keys\" :[ \"a\" ,\t\"a\"]} , \"apiVersion\":\"externaldata.gatekeeper.sh/v1alpha1\"}\r\n",
        #"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":[]}}"#,
    ]) func whateverIsTakenIsWhatTheJSONSays(text: String) throws {
        let bytes = Array(text.utf8)
        try agree(ProviderRequest(body: bytes, maximumKeys: 10), bytes)
        var taken = 0
        func look(_ body: [UInt8]) throws {
            guard let request = try? ProviderRequest(body: body, maximumKeys: 10) else { return }
            taken += 1
            try agree(request, body)
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
        // Changes inside a key are a request still.
        #expect(taken > 0)
    }

    private func agree(_ request: ProviderRequest, _ body: [UInt8]) throws {
        let value = try StrictJSON.parse(body, maximumDepth: 16)
        #expect(value["apiVersion"]?.string == request.version.rawValue)
        #expect(value["kind"] == "ProviderRequest")
        let keys = value["request"]?["keys"]?.strings ?? []
        var distinct: [[UInt8]] = []
        for key in keys.map({ Array($0.utf8) }) where !distinct.contains(key) { distinct.append(key) }
        #expect(request.keys.map { Array($0.utf8) } == distinct)
    }
}
