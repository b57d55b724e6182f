import StrictJSON
import Testing

@Suite struct StrictJSONTests {
    @Test func readsEveryKindOfValue() throws {
        let value = try StrictJSON.parse(
            #" {"a":[1,-2.5e3,true,false,null],"b":"x\n\u00e9\ud83d\ude00/","c":{}} "#.utf8)
        #expect(value["a"]?.array?.count == 5)
        #expect(value["a"]?.array?.first?.integer == 1)
        #expect(value["a"]?.array?[1].double == -2500)
        #expect(value["b"]?.string == "x\né😀/")
        #expect(value["c"]?.object?.isEmpty == true)
    }

    @Test func writesWhatItReads() throws {
        let text = #"{"z":"a\"b\\c\u0001","a":[1,2.50,{"k":null}],"é":""}"#
        let value = try StrictJSON.parse(text.utf8)
        #expect(value.text == text)
        #expect(try StrictJSON.parse(value.prettyText.utf8) == value)
    }

    @Test func boundsTheNumberOfValues() throws {
        let text = "[" + String(repeating: "1,", count: 8) + "1]"
        #expect(try StrictJSON.parse(text.utf8, maximumValues: 10).array?.count == 9)
        #expect { try StrictJSON.parse(text.utf8, maximumValues: 9) } throws: { error in
            (error as? JSONError)?.problem == .tooManyValues(9)
        }
        let many = "[" + String(repeating: "[],", count: StrictJSON.defaultMaximumValues) + "1]"
        #expect(throws: JSONError.self) { try StrictJSON.parse(many.utf8) }
    }

    @Test(arguments: [
        #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"x":{"a":1,"b":2,"a":3}}"#,
    ])
    func refusesANameThatOccursTwice(text: String) {
        #expect { try StrictJSON.parse(text.utf8) } throws: { error in
            (error as? JSONError)?.problem == .duplicateName("a")
        }
    }

    @Test func refusesANameThatOccursTwiceInALargeObject() {
        let members = (0..<100).map { "\"n\($0)\":\($0)" }.joined(separator: ",")
        #expect(throws: JSONError.self) { try StrictJSON.parse("{\(members),\"n40\":1}".utf8) }
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", "-", "1e", "+1", ".5", "tru", "nul", "truex", "{} {}",
        "[1] x", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\u{01}b\"",
        "\u{FEFF}{}", "[1 2]", "{\"a\" 1}", "'a'", "NaN", "Infinity", "/**/1",
    ])
    func refusesWhatIsNotJSON(text: String) {
        #expect(throws: JSONError.self) { try StrictJSON.parse(text.utf8) }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONError.self) { try StrictJSON.parse([0x22, 0xC3, 0x28, 0x22]) }
    }

    @Test func boundsTheDepth() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try StrictJSON.parse(deep.utf8)
        #expect(throws: JSONError.self) { try StrictJSON.parse("[\(deep)]".utf8) }
        #expect(throws: JSONError.self) { try StrictJSON.parse(repeatElement(UInt8(ascii: "["), count: 1_000_000)) }
    }

    @Test func saysWhereTheFaultIs() throws {
        do {
            _ = try StrictJSON.parse(#"{"a": x}"#.utf8)
            Issue.record("was accepted")
        } catch {
            #expect(error.description == "unexpected character 'x' (byte 6)")
        }
    }
}
