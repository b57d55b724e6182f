import Testing

@testable import Quotation

/// What may be a key is not shown, and what messages are about is.
@Suite struct KeyMaterialTests {
    private static let withheld = "(not shown: it may be key material)"

    private func expectWithheld(_ text: String, _ comment: Comment? = nil) {
        #expect(text.quoted == Self.withheld, comment)
        #expect(text.quotedPath == Self.withheld, comment)
        #expect(Quotation.mayHoldKey(text), comment)
    }

    // MARK: Keys

    /// A key for P-256 in PKCS #8, and one for Ed25519.
    private static let bodies = [
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3FzOGijrzDZb3NFttj/19lpSQq4dacBHu+NwTsnDch6hRANCAATqgFW45Wsaw"
            + "QGROhDuxf2hj8hKPELKrBzJSNlRKSk5G69HSol1M3aqu+K832e7xBdnZ5t8puJKvDMSmrABQoUA",
        "MC4CAQAwBQYDK2VwBCIEIF8DSncsBDyj6jpdfEbbaO17X1qQ23y9+OPYYecWtXyP",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDsRzGNBVXSMTXUeWFYmqsSDc",
    ]

    private static func folded(_ text: String, _ width: Int, _ separator: String) -> String {
        var lines: [Substring] = []
        var rest = text[...]
        while !rest.isEmpty {
            lines.append(rest.prefix(width))
            rest = rest.dropFirst(width)
        }
        return lines.joined(separator: separator)
    }

    @Test(
        "Base64 in lines of any length, however they are joined",
        arguments: [4, 6, 8, 10, 16, 20, 24, 30, 32, 39, 64, 76],
        ["\n", "\r\n", " ", "\n    ", "\\n", "\",\n  \"", "\\r\\n"])
    func lines(width: Int, separator: String) {
        for body in Self.bodies {
            let text = Self.folded(body, width, separator)
            expectWithheld(text)
            expectWithheld("value: \(text)")
            expectWithheld("key \"\(text)\" of a file that is not there")
        }
    }

    /// Base64 of what a generator makes, with the alphabet's last two characters.
    private static func random(_ count: Int, seed: UInt64, _ last: String = "-_") -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last)
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
        return String(
            (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return alphabet[Int(state >> 58)]
            })
    }

    @Test("Nearly every key of 32 bytes is found by its Base64 alone, in both alphabets", arguments: ["-_", "+/"])
    func randomKeys(last: String) {
        for (length, few) in [(32, 60), (43, 8), (86, 0)] {
            let missed = (0..<1_000).count { !Quotation.mayHoldKey(Self.random(length, seed: UInt64($0), last)) }
            #expect(missed <= few, "\(missed) of \(length) characters")
        }
    }

    @Test(
        "Keys in other forms",
        arguments: [
            // JSON Web Keys.
            #"{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}"#, #"{"kty":"oct", "k" : "GawgguFyGrWKav7A"#,
            #"{"d":"x"#, #"{"d" :  "x"}"#, #"{\"d\": \"x\"}"#, "{'d': 'x'}",
            #""p":"83i-7IvMGXoMXCsk""#, #""q":"3dfOR9cuYq-0S-mk""#, #""dp":"G4sPXkc6Ya9y8oJW""#,
            #""dq":"s9lAH9fggBsoFR8O""#, #""qi":"GyM_p6JrXySiz1to""#, #""oth":[{"r":"x"#,
            "kty: EC\nd: 870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE", "d: 870MB6gfuTJ4HtUnUv",
            "{kty: oct, k: GawgguFyGrWKav7AX4VKUg}", "dp:  'G4sPXkc6Ya9y8oJW'", "qi: \"GyM_p6JrXySiz1to\"",
            "THjHx939HCTZgEkL2kN50sfRW1ZQvoEJV6jGwOPbE4g", "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
            // age, PuTTY, OpenSSH, .NET, pkey -text.
            "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "age-secret-key-1x",
            "QL3Z7HJY54PW9QLVZ2X8CS6K3E7FMUA0RDN4TGJW5H9Y8QX2PZ7LV3KCSEM", "PuTTY-User-Key-File-3: ssh-ed25519",
            "Private-Lines: 1 x", "Private-MAC: 00", "openssh-key-v1\u{0}", "<RSAKeyValue><Modulus>x",
            "<D>x</D><InverseQ>y", "priv: 1", "privateExponent: 1", "PrivateKey = x", "prime1: 7", "coefficient: 3",
            "minisign encrypted secret key",
            // Pieces.
            "MIGHAgEAMBMGByqGSM49AgEG", "MHcCAQEEINxczhoo68w2", "MIIEvQIBADANBgkqhkiG9w0", "x MIIEvQIBADANBgkq",
            // Percent-encoded.
            "tj%2F19lpSQq4dacBHu%2BNwTsnDch6hRANC", "tj%2f19lpSQq4dacBHu%2bNwTsnDch6hRANC%3d",
            // Hexadecimal.
            "dc:5c:ce:1a:28:eb:cc:36:5b:dc:d1:6d:b6:3f:f5:\n    f6:5a:52:42:ae:1d:69:c0:47:bb:e3:70:4e:c9:c3:\n    72:1e",
            "    dc:5c:ce:1a:28:eb:cc:36:5b:dc:d1:6d:b6:3f:f5:", "dc:5c:ce:1a:28:eb:cc:36:5b:dc:d1:6d:b6:3f:f5:\nf6",
            "DC 5C CE 1A 28 EB CC 36 5B DC D1 6D B6 3F F5 F6 5A 52 42 AE 1D 69 C0 47 BB E3 70 4E C9 C3 72 1E",
            "DC-5C-CE-1A-28-EB-CC-36-5B-DC-D1-6D-B6-3F-F5-F6-5A-52-42-AE-1D-69-C0-47-BB-E3-70-4E-C9-C3-72-1E",
            "0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20, 0xdc, 0x5c, 0xce, 0x1a, 0x28, 0xeb, 0xcc, 0x36, 0x5b, 0xdc, 0xd1, 0x6d, 0xb6",
            #"\x30\x77\x02\x01\x01\x04\x20\xdc\x5c\xce\x1a\x28\xeb\xcc\x36\x5b\xdc\xd1\x6d\xb6\x3f\xf5"#,
            "%30%77%02%01%01%04%20%dc%5c%ce%1a%28%eb%cc%36%5b%dc%d1%6d%b6%3f%f5",
            "00000000: 3077 0201 0104 20dc 5cce 1a28 ebcc 365b  0w.... .\\..(..6[",
            "00000000  30 77 02 01 01 04 20 dc  5c ce 1a 28 eb cc 36 5b  |0w.... .\\..(..6[|",
            "30770201010420dc5cce1a28ebcc365bdcd16db63ff5f65a5242ae1d69c0\n47bbe3704ec9c3721ea00a06082a8648ce3d030107",
            "0xdc5cce1a28ebcc365bdcd16db63ff5f65a5242ae1d69c047bbe3704ec9c3721e",
            "dc5cce1a28ebcc365bdcd16db63ff5f6\n5a5242ae1d69c047bbe3704ec9c3721e",
            // Numbers of bytes.
            #"{"type":"Buffer","data":[48,119,2,1,1,4,32,220,92,206,26,40,235,204,54,91,220,209,109,182,63,245,246]}"#
                + ",1,2",
            "48, 119, 2, 1, 1, 4, 32, 220, 92, 206, 26, 40, 235, 204, 54, 91, 220, 209, 109, 182, 63, 245, 246, 90",
        ])
    func otherForms(text: String) {
        for text in [text, String(repeating: " ", count: 2_000) + text, text + String(repeating: " x", count: 2_000)] {
            expectWithheld(text)
        }
    }

    @Test("The name of a private member, cut before its value")
    func cutMember() { for text in [#"{"d":"#, #"{"kty":"oct","k": "#, #"{\"qi\":"#] { expectWithheld(text) } }

    @Test("Bytes that are no text: DER, and UTF-16")
    func bytes() {
        let der: [UInt8] = [
            0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20, 0xDC, 0x5C, 0xCE, 0x1A, 0x28, 0xEB, 0xCC, 0x36, 0x5B, 0xDC, 0xD1,
            0x6D, 0xB6, 0x3F, 0xF5, 0xF6, 0x5A, 0x52, 0x42, 0xAE, 0x1D, 0x69, 0xC0, 0x47, 0xBB, 0xE3, 0x70, 0x4E, 0xC9,
        ]
        expectWithheld(String(decoding: der, as: UTF8.self))
        expectWithheld("name of \(String(decoding: der, as: UTF8.self)) and more")
        expectWithheld(String(String.UnicodeScalarView(der.map { Unicode.Scalar($0) })))
        // Python's and Go's way to write them.
        expectWithheld(#"b'0w\x02\x01\x01\x04 \xdc\\\xce\x1a(\xeb\xcc6[\xdc\xd1m\xb6?\xf5\xf6ZRB'"#)
        #expect(!Quotation.mayHoldKey(#"caf\xe9 cr\xe8me, na\xefve, d\xe9j\xe0 vu"#))
        expectWithheld(String("-----BEGIN RSA".flatMap { [$0, "\u{0}"] }))
    }

    // MARK: What is shown

    @Test(
        "What is no key is shown",
        arguments: [
            "registry.example/team/application@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "layout/blobs/sha256/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha512:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a089f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "SHA256 Fingerprint=B1:0B:AE:91:0B:AE:44:4D:9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C",
            "fingerprint b1:0b:ae:91:0b:ae:44:4d:9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0",
            "b1:0b:ae:91:0b:ae:44:4d:9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0", "A909502DD82AE41433E6F83886B00D4277A32A7B",
            "serial number 21:5B:86:5C:16:AB:5D:9F:FB:7A:24:2A:B0:D7:39:04:5B:86:5C:16", "00:1A:2B:3C:4D:5E",
            "a9 09 50 2d d8 2a e4 14 33 e6 f8 38 86 b0 0d 42 77 a3 2a 7b",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334, 2001:0db8:85a3:0000:0000:8a2e:0370:7335",
            "x509.subject: C=US, ST=WA, L=Seattle, O=wabbit-networks.io, OU=Finance",
            "CN=Microsoft Azure RSA TLS Issuing CA 04, O=Microsoft Corporation, C=US",
            "application/vnd.cncf.notary.signature.very.long.media.type.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json",
            "2b1f6e60-9b3e-4b0f-8d5e-0c2a1d3e4f50", "2B1F6E60-9B3E-4B0F-8D5E-0C2A1D3E4F50",
            "2b1f6e60-9b3e-4b0f-8d5e-0c2a1d3e4f50, 7f1f7ab0-2f5c-4ba9-8a2d-2f2a8f1f5b50",
            "a-rather-long-name-of-something-that-goes-on-and-on-for-long",
            "requested access to the resource is denied", "some/path/to/aRepositoryWithAName2/andAnotherOne",
            "http://crl3.digicert.com/DigiCertTrustedG4CodeSigningRSA4096SHA3842021CA1.crl",
            "http://www.microsoft.com/pkiops/crl/Microsoft%20Azure%20RSA%20TLS%20Issuing%20CA%2004.crl",
            "http://crl.pki.goog/gsr2/gsr2.crl", "http://r11.c.lencr.org/102.crl", "https://vault-01.vault.azure.net",
            "https://vault-01.vault.azure.net/keys/release/0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef, 123456789abcdef0123456789abcdef0",
            "/var/lib/kubelet/pods/2b1f6e60-9b3e-4b0f-8d5e-0c2a1d3e4f50/volumes/kubernetes.io~configmap/certs/Root1.crt",
            "/usr/local/ratify-certs/notation/truststore/x509/ca/Team2-Release/..2026_11_29_11_43_31.123456789/CA1.pem",
            "ratify-gatekeeper-provider-7d9c5b8f6d-xk2lp", "aks-nodepool1-12345678-vmss000000",
            "0198745f3c2a.dkr.ecr.us-east-1.amazonaws.com/team/App2",
            "myRegistry01.azurecr.io/Team-A/service_B2:v1.2.3-rc1",
            "GET /v2/ 401, GET /v2/app/manifests/v1 200, HEAD /v2/App/blobs/ 404",
            "The Quick Brown Fox Jumps Over The Lazy Dog 12 Times A Day In May 2026 Or So",
            "artifactVerificationPolicies", "MutatingWebhookConfiguration2", "verificationCertStores.ca.certs[0]",
            "2026-11-29T11:43:31Z, 2026-11-29 11:43:31, 2026-11-29 11:43:31", "Sun Nov 29 11:43:31 UTC 2026",
            "1.2.3.4, 10.0.0.1, 192.168.1.1", "1, 2, 3, 5, 8, 13, 21, 34", "200, 301, 404, 500", "D: is a drive",
            "the key k: a-word-with-hyphens", #"{"p":5432,"q":[]}"#, "max: 10", "umlauts ä ö ü ß, 漢字, emoji 😀",
            "ung\u{FFFD}ltige Eingabe f\u{FFFD}r Gr\u{FFFD}\u{FFFD}e",
            "a\u{1B}[31mred\u{1B}[0m and \u{1B}[1mbold\u{1B}[0m",
            "\u{B}\u{C}\u{0}",
        ])
    func others(text: String) {
        #expect(!Quotation.mayHoldKey(text))
        #expect(text.quoted != Self.withheld)
        if text.unicodeScalars.allSatisfy({ (" "..."~").contains($0) && $0 != "\"" }) {
            #expect(text.quoted.hasPrefix(String(text.prefix(79))))
            #expect(text.quotedPath == text)
        }
    }

    @Test("Long texts are looked at quickly, whatever they are made of")
    func time() {
        for piece in ["a", "0", ":", "\"d\":", "aA0", "f0:", "1,", " ", "\u{0} ", "-----BEGI", "MII", "eyJ", "%"] {
            let text = String(repeating: piece, count: 200_000 / piece.utf8.count)
            let start = ContinuousClock.now
            _ = text.quoted
            #expect(start.duration(to: .now) < .seconds(2), "\(piece)")
        }
    }

    // MARK: Media types

    @Test(
        "A media type is named, anything else in its place is not",
        arguments: [
            ("application/vnd.oci.image.manifest.v1+json", true), ("Application/JSON", true), ("text/plain", true),
            ("application/vnd.cncf.notary.signature", true), ("", false), ("application/", false), ("/json", false),
            ("Tr0ub4dor&3", false), ("dXNlcjpwYXNz/d29yZA", false), ("application/json; charset=utf-8", false),
            ("application/a/b", false), ("application/a b", false), ("application/\u{1B}[31m", false),
            ("application/+json", false), ("application/" + String(repeating: "x", count: 128), false),
        ])
    func mediaTypes(text: String, isOne: Bool) {
        #expect(text.quotedMediaType == (isOne ? text : "(not shown: it is no media type)"))
    }

    @Test("A long media type is cut, and one that may be a key withheld")
    func longMediaTypes() {
        #expect(("application/" + String(repeating: "x", count: 127)).quotedMediaType.hasSuffix("x…"))
        #expect("application/\(Self.bodies[1].replacing("/", with: "_"))".quotedMediaType == Self.withheld)
    }
}
