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
}
