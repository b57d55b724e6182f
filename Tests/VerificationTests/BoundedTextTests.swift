import Quotation
import Testing
import Verification

@Suite struct BoundedTextTests {
    @Test func shortTextsStay() {
        #expect("a short text".boundedQuote == "a short text")
    }

    /// One character of a million combining marks is one character, and two megabytes.
    @Test func aCharacterOfManyMarksIsCut() {
        let text = "a" + String(repeating: "\u{0301}", count: 1_000_000)
        #expect(text.count == 1)
        #expect(text.boundedQuote.utf8.count <= String.longestQuote + 3)
        let report = VerifierReport(subject: "s", isSuccess: false, message: text, errorReason: text, remediation: text)
        #expect(report.json.bytes.count < 4 * String.longestQuote)
        #expect(TransientFault(stage: .fetch, host: nil, cause: text).description.utf8.count < 2 * String.longestQuote)
    }

    /// One character can have any number of marks: bytes count, and no scalar is cut apart.
    @Test func bytesAreCounted() {
        let marked = "e" + String(repeating: "\u{301}", count: 50_000)
        #expect(marked.count == 1)
        #expect(marked.bounded(toBytes: 1024).utf8.count == 1023)
        #expect(marked.bounded(toBytes: 1024).unicodeScalars.allSatisfy { $0 == "e" || $0 == "\u{301}" })
        #expect("abc".bounded(toBytes: 3) == "abc" && "abc".bounded(toBytes: 2) == "ab")
        #expect("a😀".bounded(toBytes: 4) == "a" && "a😀".bounded(toBytes: 5) == "a😀")
    }
}
