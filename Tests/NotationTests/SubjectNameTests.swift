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
    }

    @Test(arguments: [
        "", "*", "O=x", "C=US,ST=WA", "c=US,ST=WA,O=x", "C=,ST=WA,O=x", "C=US,ST=WA,O=x,O=y", "C=US,ST=WA,S=WA,O=x",
        "C=US,ST=WA,O=x,", "C=US,ST=WA,O=x,=y", "C=US,ST=WA,O=x+OU=y", "C=US,ST=WA,O=x\\", "C=US,ST=WA,O=x\\q",
        "C=US,ST=WA,O=x\\4", "C=US,ST=WA,O=#0401", "C=US,ST=WA,O=x,foo",
    ])
    func refused(_ name: String) { #expect(throws: TrustPolicyError.self) { try SubjectName(parsing: name) } }

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
