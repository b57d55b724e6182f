import StrictJSON
import Testing

@testable import YAML

private func parse(_ text: String, _ limits: YAML.Limits = .init()) throws -> [JSONValue] {
    try YAML.parse(Array(text.utf8), limits: limits)
}

private func problem(_ text: String, _ limits: YAML.Limits = .init()) -> YAMLError.Problem? {
    do throws(YAMLError) {
        _ = try YAML.parse(Array(text.utf8), limits: limits)
        return nil
    } catch {
        #expect(!error.description.isEmpty && error.description.utf8.count < 300)
        return error.problem
    }
}

@Suite struct YAMLTests {
    @Test func aManifestIsReadWithItsBlocksAndQuotes() throws {
        let text = """
            # A verifier.
            apiVersion: config.ratify.deislabs.io/v1beta1
            kind: Verifier
            metadata:
              name: verifier-notation
              annotations: {a.example/x: "1", 'b': yes}
            spec:
              parameters:
                trustPolicyDoc:
                  version: "1.0"
                  trustPolicies:
                  - name: default
                    registryScopes: ["*"]
                    signatureVerification: {level: strict}
                value: |
                  -----BEGIN CERTIFICATE-----
                  AAAA
                  -----END CERTIFICATE-----
                folded: >-
                  two
                  lines
            """
        let value = try #require(try parse(text).first)
        #expect(value["metadata"]?["annotations"]?["a.example/x"] == "1")
        #expect(value["metadata"]?["annotations"]?["b"] == true)
        let parameters = try #require(value["spec"]?["parameters"])
        #expect(parameters["trustPolicyDoc"]?["version"] == "1.0")
        #expect(parameters["value"] == "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        #expect(parameters["folded"] == "two lines")
        #expect(value.object?.names == ["apiVersion", "kind", "metadata", "spec"])
    }

    @Test func everyDocumentIsReadAndEmptyOnesAreLeftOut() throws {
        #expect(try parse("---\na: 1\n---\n# nothing\n---\nnull\n---\nb: 2\n...\n") == [["a": 1], ["b": 2]])
        #expect(try parse("") == [])
        #expect(try parse("# only a comment\n") == [])
        #expect(try YAML.parseOne(Array("a: 1".utf8)) == ["a": 1])
        #expect(throws: YAMLError.self) { try YAML.parseOne(Array("a: 1\n---\nb: 2".utf8)) }
    }

    @Test func jsonIsReadAsJSON() throws {
        #expect(try parse(#" {"a": "\ud83d\ude00", "b": "\/"}"#) == [["a": "😀", "b": "/"]])
        #expect(problem(#"{"a": 1, "a": 2}"#) == .duplicateKey("a"))
    }

    @Test func anchorsAliasesAndMergeKeysAreExpanded() throws {
        let value = try parse("base: &b {k: 1, l: 2}\nm: {<<: *b, l: 3}\nr: [*b, *b]\no: {<<: [{k: 5}, *b], q: 1}")[0]
        #expect(value["m"] == ["k": 1, "l": 3])
        #expect(value["r"] == [["k": 1, "l": 2], ["k": 1, "l": 2]])
        #expect(value["o"] == ["k": 5, "l": 2, "q": 1])
        #expect(try parse("\"<<\": {a: 1}") == [["<<": ["a": 1]]])
        #expect(problem("<<: 3") == .unsuitableMerge)
        #expect(problem("<<: [1]") == .unsuitableMerge)
        #expect(problem("a: &x 1\n---\nb: *x") == .unknownAnchor("x"))
        #expect(problem("&a [*a]") == .unknownAnchor("a"))
    }

    @Test func keysAreStringsNumbersAndBooleansOnce() throws {
        #expect(try parse("{12: a, 1.5: b, yes: c, 0x10: d}") == [["12": "a", "1.5": "b", "true": "c", "16": "d"]])
        #expect(problem("a: 1\nb: 2\na: 3") == .duplicateKey("a"))
        #expect(problem("1: a\n\"1\": b") == .duplicateKey("1"))
        #expect(problem("~: a") == .unsupportedKey)
        #expect(problem("? [a]\n: b") == .unsupportedKey)
        let many = (0..<40).map { "k\($0): 1" }.joined(separator: "\n")
        #expect(problem(many + "\nk7: 2") == .duplicateKey("k7"))
    }

    @Test func tagsAreKeptToOrRefused() throws {
        #expect(
            try parse("[!!str 12, !!int \"3\", !!bool \"yes\", !!float 1, ! 12, !!null ~]") == [
                ["12", 3, true, 1, "12", .null]
            ])
        #expect(problem("!foo bar") == .unsupportedTag("!foo"))
        #expect(problem("!!binary aGVsbG8=") == .unsupportedTag("tag:yaml.org,2002:binary"))
        #expect(problem("!!set {a: ~}") == .unsupportedTag("tag:yaml.org,2002:set"))
        #expect(problem("!!int x") == .unsuitableScalar("tag:yaml.org,2002:int"))
        #expect(problem("!!int 1.5") == .unsuitableScalar("tag:yaml.org,2002:int"))
    }

    @Test func aFaultNamesItsPlace() {
        do throws(YAMLError) {
            _ = try YAML.parse(Array("a: 1\nb: 2\na: 3".utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.line == 3)
            #expect(error.description.contains("line 3"))
        }
    }
}

/// Texts made to hurt.
@Suite struct HostileYAMLTests {
    @Test func aliasesThatMultiplyAreRefused() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<9 {
            text +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",") + "]\n"
        }
        #expect(problem(text) == .tooManyValues(200_000))
        let long = String(repeating: "x", count: 100_000)
        let repeated = Array(repeating: "*a", count: 200).joined(separator: ",")
        #expect(problem("a: &a \(long)\nb: [\(repeated)]") == .tooLargeExpanded(16 << 20))
    }

    @Test func aliasesDoNotHideDepth() {
        var text = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n"
        for level in 1..<9 { text += "a\(level): &a\(level) [[[[[[[[[*a\(level - 1)]]]]]]]]]\n" }
        #expect(problem(text) == .tooDeep(64))
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "? - "]) func depthIsBounded(_ opening: String) {
        #expect(problem(String(repeating: opening, count: 100_000)) == .tooDeep(64))
    }

    @Test func sizeIsBounded() {
        var limits = YAML.Limits()
        limits.bytes = 10
        #expect(problem("a: 4567890", limits) == nil)
        #expect(problem("a: 45678901", limits) == .tooLarge(10))
        limits = .init()
        limits.values = 5
        #expect(problem("[1, 2, 3, 4]", limits) == nil)
        #expect(problem("[1, 2, 3, 4, 5]", limits) == .tooManyValues(5))
    }

    @Test func manyMembersAreReadInTime() throws {
        let text = (0..<60_000).map { "k\($0): v" }.joined(separator: "\n")
        let start = ContinuousClock.now
        #expect(try parse(text)[0].object?.count == 60_000)
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func bytesThatAreNoTextAreRefused() {
        for bytes: [UInt8] in [[0x61, 0x3A, 0x20, 0xFF], [0xFE, 0xFF, 0x00, 0x61], [0xED, 0xA0, 0x80]] {
            #expect(throws: YAMLError.self) { try YAML.parse(bytes) }
        }
        #expect(throws: YAMLError.self) { try YAML.parse([0x61, 0x00, 0x62]) }
        #expect(throws: YAMLError.self) { try parse("a: \u{7}") }
    }

    @Test(arguments: [".inf", "-.Inf", ".NaN", "!!float .inf"]) func whatJSONCannotSayIsRefused(_ text: String) {
        #expect(problem(text) != nil)
    }
}
