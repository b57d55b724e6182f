import PKI
import TestSupport
import Testing

@testable import Notation

@Suite struct SubjectNameTests {
    private func value(_ name: String, _ type: String) throws -> String? {
        try SubjectName(parsing: name).attributes[Array(type.utf8)].map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func escapesAndSpaces() throws {
        #expect(try value("C=US, ST=WA, O=Example\\, Inc.", "O") == "Example, Inc.")
        #expect(try value("C=US,ST=WA,O= a b ", "O") == "a b")
        #expect(try value("C=US,O=a\\ ,ST=WA", "O") == "a ")
        #expect(try value("C=US,S=WA,O=x", "ST") == "WA")
        #expect(try value("C=US;ST=WA;O=x", "O") == "x")
        #expect(try value("C=US,ST=WA,O=M\\C3\\BCller", "O") == "Müller")
        #expect(try value("C=US,ST=WA,O=\"q\"", "O") == "\"q\"")
        #expect(try value("C=US,ST=WA,O=a=b", "O") == "a=b")
        #expect(try value("C=US,ST=WA,O=x,FOO=bar", "FOO") == "bar")
        // Escapes are read before spaces are taken away, wherever in the name they stand.
        #expect(try value("C=US,ST=WA,O=x,CN=a\\ ", "CN") == "a ")
        #expect(try value("C=US,ST=WA,O=x,CN=a\\   ", "CN") == "a ")
        #expect(try value("C=US,ST=WA,O=x,CN=a\\20\n", "CN") == "a ")
        #expect(try value("C=US,ST=WA,CN=a\\\\ ,O=x", "CN") == "a\\")
        #expect(try value("C=US,ST=WA,O=x,CN=a\\\\ ", "CN") == "a\\")
        #expect(try value("C=US,ST=WA,O=x,CN=\\ a", "CN") == " a")
        #expect(try value("\n C=US,ST=WA,O=x\t", "O") == "x")
    }

    @Test(arguments: [
        "", "*", "O=x", "C=US,ST=WA", "c=US,ST=WA,O=x", "C=,ST=WA,O=x", "C=US,ST=WA,O=x,O=y", "C=US,ST=WA,S=WA,O=x",
        "C=US,ST=WA,O=x,", "C=US,ST=WA,O=x,=y", "C=US,ST=WA,O=x+OU=y", "C=US,ST=WA,O=x\\", "C=US,ST=WA,O=x\\q",
        "C=US,ST=WA,O=x\\4", "C=US,ST=WA,O=#0401", "C=US,ST=WA,O=x,foo",
    ])
    func refused(_ name: String) { #expect(throws: TrustPolicyError.self) { try SubjectName(parsing: name) } }

    private func identity(
        _ identities: [String], _ subject: [(type: String, value: String)]
    ) throws -> ValidationFailure? {
        let root = try CertificateAuthority(name: "root")
        var template = CertificateTemplate.codeSigning("x")
        template.subject = subject
        let chain = try CodeSigningChain(der: root.issue(template).chain.map(\.der))
        return try TrustedIdentities(identities.map { "x509.subject:" + $0 }).refusal(of: chain)
    }

    private static let email = "1.2.840.113549.1.9.1"
    private static let component = "0.9.2342.19200300.100.1.25"
    private static let subject: [(type: String, value: String)] = [
        ("C", "US"), ("ST", "WA"), ("O", "Example"), ("CN", "signer"), (email, "me@example.com"),
        ("0.9.2342.19200300.100.1.1", "u1"), ("2.5.4.97", "VATDE-1"), ("SERIALNUMBER", "42"), (component, "example"),
    ]

    /// A type that notation prints without a name counts where an identity names it, and nowhere else.
    @Test(arguments: [
        "", ",CN=signer", ",E=me@example.com", ",emailAddress=me@example.com", ",EMAILADDRESS=me@example.com",
        ",1.2.840.113549.1.9.1=me@example.com", ",UID=u1", ",0.9.2342.19200300.100.1.1=u1", ",DC=example",
        ",organizationIdentifier=VATDE-1", ",2.5.4.97=VATDE-1", ",SERIALNUMBER=42", ",serialNumber=42", ",2.5.4.5=42",
        ",E=me@example.com,UID=u1,DC=example",
    ])
    func typesWithoutAName(_ rest: String) throws {
        #expect(try identity(["C=US,ST=WA,O=Example" + rest], Self.subject) == nil)
        // The same identity and another subject.
        let other = Self.subject.map { name in
            (type: name.type, value: ["C", "ST", "O"].contains(name.type) ? name.value : name.value + "x")
        }
        #expect(try (identity(["C=US,ST=WA,O=Example" + rest], other) == nil) == rest.isEmpty)
        let none = Array(Self.subject.prefix(3))
        #expect(try (identity(["C=US,ST=WA,O=Example" + rest], none) == nil) == rest.isEmpty)
    }

    @Test func typesThatDoNotMatch() throws {
        for rest in [
            ",E=", ",E=ME@example.com", ",e=me@example.com", ",EmailAddress=me@example.com", ",2.5.4.3=signer",
            ",commonName=signer", ",OID.1.2.840.113549.1.9.1=me@example.com", ",1.2.3.4=x", ",1.2.3.4=",
        ] {
            #expect(try identity(["C=US,ST=WA,O=Example" + rest], Self.subject) != nil, "\(rest)")
        }
        // A type that the subject has twice is not known to be the one that is meant.
        let twice = Self.subject + [(Self.component, "com")]
        #expect(try identity(["C=US,ST=WA,O=Example"], twice) == nil)
        for value in ["example", "com"] { #expect(try identity(["C=US,ST=WA,O=Example,DC=\(value)"], twice) != nil) }
        // As ever: C, ST and O, and two of one type that has a name.
        #expect(try identity(["C=US,ST=WA,O=Example"], Array(Self.subject.dropFirst())) != nil)
        #expect(try identity(["C=US,ST=WA,O=Example"], Self.subject + [("OU", "a"), ("OU", "b")]) != nil)
        // Two spellings of one type are one type.
        #expect(throws: TrustPolicyError.self) { try SubjectName(parsing: "C=US,ST=WA,O=x,E=a,emailAddress=b") }
        #expect(throws: TrustPolicyError.self) {
            try TrustedIdentities(["x509.subject:C=US,ST=WA,O=x", "x509.subject:C=US,ST=WA,O=x,E=a"])
        }
        let space = Array(Self.subject.prefix(3)) + [("CN", "a ")]
        #expect(try identity(["C=US,ST=WA,O=Example,CN=a\\ "], space) == nil)
        #expect(try identity(["C=US,ST=WA,O=Example,CN=a "], space) != nil)
    }

    @Test func subset() throws {
        let wide = try SubjectName(parsing: "C=US,ST=WA,O=x,CN=signer")
        #expect(try SubjectName(parsing: "O=x,C=US,ST=WA").isSubset(of: wide))
        #expect(try !SubjectName(parsing: "O=X,C=US,ST=WA").isSubset(of: wide))
        #expect(try !SubjectName(parsing: "O=x,C=US,ST=WA,OU=y").isSubset(of: wide))
        // Two spellings of one character are two values.
        #expect(
            try !SubjectName(parsing: "C=US,ST=WA,O=e\u{301}").isSubset(of: SubjectName(parsing: "C=US,ST=WA,O=\u{E9}"))
        )
    }
}
