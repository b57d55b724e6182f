import Notation
import StrictJSON
import TestSupport
import Testing

/// `policy-vectors.json` of the corpus: documents that the reference implementation takes or refuses, and which
/// statement it selects for a reference.
@Suite struct TrustPolicyVectorTests {
    /// Documents that are refused here and accepted by the reference implementation.
    static let stricter: [String: String] = [
        "trailing-garbage": "RFC 8259, section 2: a JSON text is one value",
        "trailing-object": "RFC 8259, section 2: a JSON text is one value",
        "duplicate-version": "RFC 8259, section 4: names are unique; readers differ in which one they take",
        #"stores-["ca:.."]"#: "trust stores are directories; this one would be another",
        #"stores-["ca:."]"#: "trust stores are directories; this one would be another",
    ]

    /// Names for which another statement is selected here: a registry counts as a place, the reference implementation
    /// compares its text (`docs/conformance.md`, "Scopes are places").
    static let selectedByPlace = ["R.io/x": "x", "r.io/z": "up", "r.io:443/x": "x"]

    @Test func documents() throws {
        let vectors = try StrictJSON.parse(try Corpus.shared.get().bytes("policy-vectors.json"))
        var refused: Set<String> = []
        for vector in vectors["documents"]?.array ?? [] {
            let name = try #require(vector["name"]?.string)
            let document = try #require(vector["document"]?.string)
            let isAccepted: Bool
            do {
                _ = try TrustPolicyDocument(json: Array(document.utf8))
                isAccepted = true
            } catch { isAccepted = false }
            let expected = vector["ok"]?.bool ?? false
            #expect(!isAccepted || expected, "accepted, and refused by the reference: \(name)")
            if expected, !isAccepted { refused.insert(name) }
        }
        #expect(refused == Set(Self.stricter.keys))
    }

    @Test func selection() throws {
        let vectors = try StrictJSON.parse(try Corpus.shared.get().bytes("policy-vectors.json"))
        for vector in vectors["selection"]?.array ?? [] {
            let document = try TrustPolicyDocument(json: Array(try #require(vector["document"]?.string).utf8))
            for pick in vector["picks"]?.array ?? [] {
                let reference = try #require(pick["reference"]?.string)
                let selected = try? document.statement(forArtifact: reference)
                let name = String(reference.prefix { $0 != "@" })
                // Where the policy has no statement of that name, there is none of that place either.
                let ours = Self.selectedByPlace[name].flatMap { own in
                    document.statements.contains { $0.name == own } ? own : nil
                }
                #expect(selected?.name == ours ?? pick["statement"]?.string, "\(reference)")
            }
        }
    }
}
