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
            #expect(error.description == "unexpected character 'x' (line 1, column 7)")
        }
    }

    private static func fault(_ bytes: some Sequence<UInt8>) -> JSONError? {
        do {
            _ = try StrictJSON.parse(bytes)
            return nil
        } catch { return error }
    }

    @Test func countsLinesAndCharacters() throws {
        let text = "{\n  \"é😀\": 1,\r\n  \"b\": [\"ü\", }\n}\n"
        let fault = try #require(Self.fault(text.utf8))
        #expect(fault.line == 3 && fault.column == 14, "\(fault)")
        #expect(fault.description == "unexpected character '}' (line 3, column 14)")
        #expect(
            fault.description(showing: text.utf8)
                == #"unexpected character '}' (line 3, column 14):   "b": ["\u{fc}", >>>}"#)
        let end = try #require(Self.fault("{\n\"a\": 1\n".utf8))
        #expect(end.problem == .unexpectedEnd && end.line == 3 && end.column == 1)
        #expect(end.description(showing: "{\n\"a\": 1\n".utf8) == end.description)
        let twice = try #require(Self.fault("{\"a\": 1,\n \"a\": 2}".utf8))
        #expect(twice.line == 2 && twice.column == 2)
    }

    @Test func namesTheByteThatIsNoUTF8AndAByteOrderMark() throws {
        let broken = try #require(Self.fault(Array("{\n\"é\": \"".utf8) + [0xE9] + Array("\"}".utf8)))
        #expect(broken.problem == .invalidUTF8 && broken.line == 2 && broken.column == 7, "\(broken)")
        let cut = try #require(Self.fault(Array("{\"a\":\"b".utf8) + [0xC3]))
        #expect(cut.problem == .invalidUTF8 && cut.offset == 7)
        for (bytes, name) in [
            (Array("\u{FEFF}{}".utf8), "UTF-8"), ([0xFF, 0xFE, 0x7B, 0, 0x7D, 0], "UTF-16"),
            ([0xFE, 0xFF, 0, 0x7B, 0, 0x7D], "UTF-16"),
        ] {
            let fault = try #require(Self.fault(bytes))
            #expect(fault.description.contains("byte order mark of \(name)"), "\(fault)")
        }
        #expect(Self.fault("[é]".utf8)?.description == "unexpected character that is not ASCII (line 1, column 2)")
    }

    @Test func showsNoSecretAndLittleOfALine() throws {
        func shown(_ text: String) throws -> String {
            let fault = try #require(Self.fault(text.utf8))
            return String(fault.description(showing: text.utf8).dropFirst(fault.description.count))
        }
        for text in [
            #"{"password": "hunter2" x}"#, #"{"auth": "aHVudGVyMg==" x}"#, #"{"k": "-----BEGIN PRIVATE KEY-----" x}"#,
            #"{"identityToken": "hunter2" x}"#,
        ] {
            #expect(try shown(text).isEmpty)
        }
        // Lines of a key that are too short to be one, alone and in a list; a list beside which there is none.
        let lines = ["MIGHAgEAMBMGByqGSM49", "AgEGCCqGSM49AwEHBG0w", "awIBAQQg3FzOGijrzDZb", "3NFttj/19lpSQq4dacBH"]
        #expect(try shown(lines.joined(separator: "\n")).isEmpty)
        #expect(try shown("[\n\"\(lines.joined(separator: "\",\n\""))\n]").isEmpty)
        #expect(try shown("[\n\"MIGH\",\n\"\(lines.joined(separator: "\",\n\""))\" x]").isEmpty)
        #expect(try shown("[\n\"wabbit\" \"networks\"\n]") == #": "wabbit" >>>"networks""#)
        let key = String(repeating: "MIIEvQIBADANBgkqhkiG9w0B", count: 20)
        #expect(try !shown("{\"value\": \"\(key)\" x}").contains("MII"))
        let long = try shown(
            "{\"a\": \"\(String(repeating: "b ", count: 5_000))\" \(String(repeating: "x ", count: 5_000))}")
        #expect(long.count <= 90 && long.contains(">>>"), "\(long)")
        #expect(try shown("{\"a\":\"\u{1B}[31m\"}") == #": {"a":">>>\u{1b}[31m"}"#)
    }
}
