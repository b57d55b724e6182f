import Testing

@testable import Quotation

@Suite("What others wrote, in messages")
struct QuotationTests {
    @Test("A quotation has at most 80 characters, and none that could do harm in a log")
    func bounds() {
        #expect("abc".quoted == "abc")
        #expect(String(repeating: "z", count: 80).quoted == String(repeating: "z", count: 80))
        #expect(String(repeating: "z", count: 81).quoted == String(repeating: "z", count: 79) + "…")
        #expect(String(repeating: "\u{1F600}", count: 500).quoted.count <= 80)
        #expect("a\nb\u{1B}[31m\"c\\\u{202E}".quoted == "a\\nb\\u{1b}[31m\\\"c\\\\\\u{202e}")
        // One character with any number of marks.
        #expect(("e" + String(repeating: "\u{301}", count: 9_000)).quoted.unicodeScalars.count <= 80)
        for count in 70...90 {
            #expect((String(repeating: "z", count: count) + "\u{301}\u{301}").quoted.count <= 80)
        }
    }

    @Test(
        "Key material is not quoted in any form or length",
        arguments: [
            "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49 -----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----", "-----begin ec private key", "label RSA PRIVATE KEY of line 1",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2",
            "prefix MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2",
            "3w1ZcVbXw6kX9Yq4nR2tF7uJ8mA5sLpQeHiGdKjN0oE",
            "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90",
            #"{"kty":"EC","crv":"P-256","d":"x"}"#, "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30.x",
            "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JR0hBZ0VBTUJNR0J5cUdTTTQ5",
        ])
    func keys(text: String) {
        for padded in [text, String(repeating: " ", count: 2_000) + text, text + String(repeating: "x ", count: 2_000)]
        {
            #expect(padded.quoted == "(not shown: it may be key material)")
            #expect(padded.quotedPath == "(not shown: it may be key material)")
        }
    }
}

@Suite("Secrets that were sent")
struct SentSecretsTests {
    /// `user:correct horse+battery/9"ü`
    private static let password = #"correct horse+battery/9"ü"#

    private static var secrets: SentSecrets {
        var secrets = SentSecrets()
        secrets.add(authorization: "Basic dXNlcjpjb3JyZWN0IGhvcnNlK2JhdHRlcnkvOSLDvA==")
        return secrets
    }

    @Test(
        "They are found as they are, in Base64, percent-encoded, in JSON, in hexadecimal, cut and in any case",
        arguments: [
            "Basic dXNlcjpjb3JyZWN0IGhvcnNlK2JhdHRlcnkvOSLDvA==", "dXNlcjpjb3JyZWN0IGhvcnNlK2JhdHRlcnkvOSLDvA",
            "said: dxnlcjpjb3jyzwn0igHVCNNlk2jhdhrlcnkvosldva", "no: \(password).",
            "x=correct%20horse%2Bbattery%2f9%22%C3%BC&y",
            #"{"password":"correct horse+battery\/9\"\u00fc"}"#, "Y29ycmVjdCBob3JzZStiYXR0ZXJ5Lzkiw7w",
            "QXV0aG9yaXphdGlvbjogY29ycmVjdCBob3JzZStiYXR0ZXJ5Lzkiw7wh",
            "636f727265637420686f7273652b626174746572792f3922c3bc", "CORRECT HORSE+BATTERY/9",
            "begins correct horse+bat", "a name \"\(password.quoted)\" of ours",
            #"\u{63}orrect horse+battery/9\"\u{fc}"#,
        ])
    func found(text: String) {
        #expect(Self.secrets.quote(text) == "(not shown: it repeats what was sent)")
        #expect(Self.secrets.shown(text) == "(not shown: it repeats what was sent)")
    }

    @Test(
        "Other text is shown",
        arguments: [
            "unauthorized: authentication required", "correct", "user", "dXNlcjo", "horse",
        ])
    func shown(text: String) { #expect(Self.secrets.quote(text) == text) }

    @Test("Tokens, forms and short passwords")
    func others() {
        var secrets = SentSecrets()
        #expect(secrets.quote("anything") == "anything")
        secrets.add(form: Array("grant_type=refresh_token&scope=pull&refresh_token=abc%2Bdef%2Fghi+jkl".utf8))
        #expect(secrets.quote("refresh_token is not known") == "refresh_token is not known")
        #expect(secrets.quote("the token abc+def/ghi jkl is bad") == "(not shown: it repeats what was sent)")
        #expect(SentSecrets(["pw"]).quote("your pw is wrong") == "(not shown: it repeats what was sent)")
        #expect(SentSecrets([""]).quote("your pw is wrong") == "your pw is wrong")
        let token = String(repeating: "0123456789-abcdefghij.", count: 70)
        #expect(
            SentSecrets([token]).quote("bad token " + token.dropFirst(700)) == "(not shown: it repeats what was sent)")
    }
}
