import OCI
import StrictJSON
import Testing

@testable import Notation

@Suite struct TrustPolicyTests {
    static func document(_ statement: String) -> [UInt8] {
        Array(#"{"version":"1.0","trustPolicies":[\#(statement)]}"#.utf8)
    }

    static func statement(
        name: String = "a", scopes: String = #"["*"]"#, verification: String = #"{"level":"strict"}"#,
        rest: String = #","trustStores":["ca:x"],"trustedIdentities":["*"]"#
    ) -> String { #"{"name":"\#(name)","registryScopes":\#(scopes),"signatureVerification":\#(verification)\#(rest)}"# }

    private func problem(_ json: [UInt8]) -> String? {
        do {
            _ = try TrustPolicyDocument(json: json)
            return nil
        } catch { return error.description }
    }

    @Test func membersInAnotherCase() {
        #expect(problem(Array(#"{"Version":"1.0","TRUSTPOLICIES":[\#(Self.statement())]}"#.utf8)) == nil)
        // Two spellings would be merged by the reference implementation, the last one winning.
        let twice = Self.statement(verification: #"{"level":"audit","Level":"strict"}"#)
        #expect(problem(Self.document(twice))?.contains("twice") == true)
        let object = Self.statement(
            rest: #","trustStores":["ca:x"],"trustedIdentities":["*"],"SignatureVerification":{}"#)
        #expect(problem(Self.document(object))?.contains("twice") == true)
    }

    @Test func messagesNameTheStatement() {
        let found = problem(Self.document(Self.statement(name: "prod", verification: #"{"level":"Strict"}"#)))
        #expect(found?.contains("\"prod\"") == true)
        #expect(found?.contains("\"Strict\"") == true)
    }

    @Test func levels() throws {
        for name in VerificationLevel.Name.allCases where name != .skip {
            let level = VerificationLevel(name)
            #expect(level[.integrity] == .enforce)
            #expect(level[.authenticity] == (name == .audit ? .log : .enforce))
            for type in [ValidationType.authenticTimestamp, .expiry, .revocation] {
                #expect(level[type] == (name == .strict ? .enforce : .log))
            }
        }
        for type in ValidationType.allCases { #expect(VerificationLevel(.skip)[type] == .skip) }
        let custom = try VerificationLevel(.audit, overrides: [.authenticity: .enforce, .revocation: .skip])
        #expect(custom[.authenticity] == .enforce)
        #expect(custom[.revocation] == .skip)
        #expect(custom.name == "custom")
        #expect(throws: TrustPolicyError.self) { try VerificationLevel(.skip, overrides: [.expiry: .log]) }
        #expect(throws: TrustPolicyError.self) { try VerificationLevel(.strict, overrides: [.integrity: .enforce]) }
        #expect(throws: TrustPolicyError.self) { try VerificationLevel(.strict, overrides: [.expiry: .skip]) }
    }

    @Test func selection() throws {
        let policy = try TrustPolicyDocument(
            json: Self.document(
                Self.statement(name: "exact", scopes: #"["registry.example/team/app","docker.io/library/nginx"]"#) + ","
                    + Self.statement(name: "rest")))
        func name(_ text: String) throws -> String {
            try policy.statement(for: ImageReference(parsing: text)).name
        }
        #expect(try name("registry.example/team/app:v1") == "exact")
        #expect(try name("registry.example/team/app/sub:v1") == "rest")
        #expect(try name("registry.example:443/team/app:v1") == "exact")
        #expect(try name("registry.example:80/team/app:v1") == "rest")
        #expect(try name("nginx") == "exact")
        let only = try TrustPolicyDocument(
            json: Self.document(Self.statement(scopes: #"["registry.example/team/app"]"#)))
        #expect(throws: TrustPolicyError.self) {
            try only.statement(for: ImageReference(parsing: "registry.example/other"))
        }
    }

    /// A scope is a place, not a spelling: nobody chooses another statement by writing the registry in another way.
    @Test(arguments: [
        // scope, image, which statement over https, in plain HTTP, and where both are possible
        ("reg.example/app", "reg.example/app", "prod", "prod", "prod"),
        ("reg.example/app", "reg.example:443/app", "prod", "rest", "prod"),
        ("reg.example/app", "reg.example:80/app", "rest", "prod", "prod"),
        ("reg.example/app", "REG.example:443/app", "prod", "rest", "prod"),
        ("reg.example:443/app", "reg.example/app", "prod", "rest", "prod"),
        ("reg.example:80/app", "reg.example/app", "rest", "prod", "prod"),
        ("reg.example:80/app", "reg.example:443/app", "rest", "rest", "rest"),
        ("reg.example:0443/app", "reg.example/app", "prod", "rest", "prod"),
        ("REG.Example/app", "reg.example/app", "prod", "prod", "prod"),
        ("reg.example:5000/app", "reg.example:5000/app", "prod", "prod", "prod"),
        ("reg.example:5000/app", "reg.example/app", "rest", "rest", "rest"),
        ("index.docker.io/library/nginx", "nginx", "prod", "prod", "prod"),
        ("registry-1.docker.io:443/library/nginx", "nginx", "prod", "rest", "prod"),
        ("docker.io/nginx", "index.docker.io:443/nginx", "prod", "rest", "prod"),
        ("10.0.0.1/app", "[::ffff:a00:1]/app", "prod", "prod", "prod"),
    ])
    func spellings(_ scope: String, _ image: String, _ https: String, _ http: String, _ either: String) throws {
        let policy = try TrustPolicyDocument(
            json: Self.document(
                Self.statement(name: "prod", scopes: "[\"\(scope)\"]") + "," + Self.statement(name: "rest")))
        for (transport, name) in [(RegistryTransport.https, https), (.http, http), (.either, either)] {
            let reference = try ImageReference(parsing: image, over: transport)
            #expect(try policy.statement(for: reference).name == name, "\(transport)")
        }
    }

    @Test(arguments: [
        ("reg.example/app", "reg.example:443/app"), ("reg.example/app", "REG.example/app"),
        ("reg.example/app", "reg.example:80/app"), ("reg.example:80/app", "reg.example:443/app"),
        ("docker.io/library/nginx", "index.docker.io/library/nginx"), ("docker.io/nginx", "docker.io/library/nginx"),
        ("reg.example:443/app", "reg.example:00443/app"),
    ])
    func onePlaceInTwoSpellings(_ one: String, _ other: String) {
        for scopes in [(one, other), (other, one)] {
            let twice = Self.statement(name: "both", scopes: "[\"\(scopes.0)\",\"\(scopes.1)\"]")
            #expect(problem(Self.document(twice))?.contains("are one repository in two spellings") == true)
            let two =
                Self.statement(name: "a", scopes: "[\"\(scopes.0)\"]") + ","
                + Self.statement(name: "b", scopes: "[\"\(scopes.1)\"]")
            #expect(problem(Self.document(two))?.contains("\"\(scopes.0)\" and \"\(scopes.1)\" are one") == true)
        }
    }

    @Test(arguments: [
        "reg.example:0/app", "reg.example:65536/app", "10.1/app", "10.0.0.01:5000/app", "reg.example./app",
    ])
    func aScopeThatNoImageHas(_ scope: String) {
        #expect(problem(Self.document(Self.statement(scopes: "[\"\(scope)\"]"))) != nil)
    }

    @Test func storeNames() throws {
        for name in [".", "..", "", "a/b", "a b"] {
            #expect(throws: TrustPolicyError.self) { try TrustStoreName(.ca, name) }
        }
        #expect(try TrustStoreName(.ca, "a.b").description == "ca:a.b")
    }

    @Test func overlap() {
        func identities(_ list: String...) -> String? {
            let texts = list.map { #""x509.subject: \#($0)""# }.joined(separator: ",")
            return problem(
                Self.document(Self.statement(rest: #","trustStores":["ca:x"],"trustedIdentities":[\#(texts)]"#)))
        }
        #expect(identities("C=US,ST=WA,O=x", "C=US,ST=WA,O=y") == nil)
        #expect(identities("C=US,ST=WA,O=x", "C=US,S=WA,O=x,OU=z")?.contains("overlap") == true)
        #expect(identities("C=US,ST=WA,O=x", "O=x,C=US,ST=WA")?.contains("overlap") == true)
    }
}
