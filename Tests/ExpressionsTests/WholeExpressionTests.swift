import Expressions
import Foundation
import Testing

/// Expressions match whole texts, in linear time, and mean what RE2 means by them.
@Suite struct WholeExpressionTests {
    @Test(arguments: [
        ("abc", ["abc"], ["ab", "abcd", "xabc", ""]),
        ("a.c", ["abc", "a\u{e9}c"], ["a\nc", "ac"]),
        ("(?s)a.c", ["a\nc"], []),
        ("a*", ["", "a", "aaaa"], ["b", "aab"]),
        ("a+b?", ["a", "aab"], ["", "b", "abb"]),
        ("a{2}", ["aa"], ["a", "aaa"]),
        ("a{2,}", ["aa", "aaaaa"], ["a"]),
        ("a{1,3}", ["a", "aaa"], ["", "aaaa"]),
        ("a{0}", [""], ["a"]),
        ("ab|cd", ["ab", "cd"], ["abd", "acd", "abcd"]),
        ("(ab|cd)+x", ["abx", "cdabx"], ["x", "abcd"]),
        ("(?:a|b)c", ["ac", "bc"], ["abc"]),
        ("(?P<who>a)b", ["ab"], ["b"]),
        ("^abc$", ["abc"], ["abcd"]),
        ("\\Aabc\\z", ["abc"], ["abcd"]),
        ("^a|b$", ["a", "b"], ["ab"]),
        ("a$b", [], ["ab", "a", "a$b"]),
        ("[abc]", ["a", "c"], ["d", "ab", ""]),
        ("[^abc]", ["d", "\n"], ["a"]),
        ("[a-f0-9]+", ["beef01"], ["xyz"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[\\w.-]+@example\\.com", ["a.b-c@example.com"], ["a@exampleXcom", "@example.com"]),
        ("\\d+", ["123"], ["12a"]),
        ("\\D\\S\\W", ["ab-"], ["1b-", "a -", "abc"]),
        ("\\.\\*\\[\\\\", [".*[\\"], ["a"]),
        ("(?i)AbC", ["abc", "ABC"], ["abd"]),
        ("(?i)[a-c]", ["A", "c"], ["d"]),
        ("a*?b", ["b", "aab"], ["a"]),
        ("(a*)*", ["", "aaa"], ["b"]),
        ("(a|b|)c", ["ac", "c"], [""]),
        ("", [""], ["a"]),
    ])
    func matches(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        let expression = try WholeExpression(pattern)
        for text in good { #expect(expression.matches(text), "\(pattern) \(text)") }
        for text in bad { #expect(!expression.matches(text), "\(pattern) \(text)") }
    }

    /// What would mean something else than elsewhere is an error that says where.
    @Test(arguments: [
        "a**", "*a", "+", "(", "(a", "a)", "[", "[a", "a{", "a{2,1}", "a{1001}", "a{x}", "\\", "\\b", "\\pL", "\\Q",
        "\\1", "(?m)a", "(?=a)", "(?!a)", "(?<!a)", "[[:alpha:]]", "[z-a]", "[\\D]", "a(?i)b", "(?P=a)", "(?P<a",
    ])
    func refused(_ pattern: String) {
        let error = #expect(throws: ExpressionError.self) { try WholeExpression(pattern) }
        #expect(error?.description.contains("character") == true)
    }

    @Test func isBounded() throws {
        #expect(throws: ExpressionError.self) { try WholeExpression(String(repeating: "a", count: 5_000)) }
        #expect(throws: ExpressionError.self) { try WholeExpression("((a{100}){100}){100}") }
        #expect(throws: ExpressionError.self) {
            try WholeExpression(String(repeating: "(", count: 100) + String(repeating: ")", count: 100))
        }
        let any = try WholeExpression(".*")
        #expect(any.matches(String(repeating: "a", count: WholeExpression.matchedCharacters)))
        #expect(!any.matches(String(repeating: "a", count: WholeExpression.matchedCharacters + 1)))
    }

    /// Expressions that take others' engines an age.
    @Test func takesLinearTime() throws {
        let text = String(repeating: "a", count: 5_000) + "!"
        let begin = ContinuousClock.now
        for pattern in ["(a+)+", "(a*)*b", "(a|aa)+", "(.*a){10}", "(a?){30}a{30}"] {
            #expect(!(try WholeExpression(pattern)).matches(text))
        }
        #expect(ContinuousClock.now - begin < .seconds(20))
    }

    /// Texts that only look alike are not the same: a letter with its accent apart, or in one.
    @Test func comparesCodePoints() throws {
        #expect(!(try WholeExpression("caf\u{e9}")).matches("cafe\u{301}"))
        #expect(try WholeExpression("caf\u{e9}") != WholeExpression("cafe\u{301}"))
    }
}
