import Testing

@testable import Verification

@Suite struct ImageKeyTests {
    @Test(
        arguments: [
            ("nginx", nil, "docker.io/library/nginx:latest"),
            ("[team-a]nginx:1.27", "team-a", "docker.io/library/nginx:1.27"),
            ("registry.example.com:5000/a/b:v1\n", nil, "registry.example.com:5000/a/b:v1"),
            ("[::1]:5000/a:v1", nil, "[::1]:5000/a:v1"),
            ("[team-a][::1]:5000/a:v1", "team-a", "[::1]:5000/a:v1"),
        ] as [(String, String?, String)])
    func readsKeys(text: String, namespace: String?, reference: String) throws {
        let key = try ImageKey(parsing: text)
        #expect(key.namespace == namespace)
        #expect(key.reference.description == reference)
    }

    @Test(arguments: [
        "", " ", "Not A Ref!!", "registry.example.com/UPPER:v1", "[team-a", "[team-aregistry.example.com/a:v1",
        "[]nginx", "[Team]nginx", "[-a]nginx", "[a_b]nginx", "[team-a]", "[team-a][team-b]nginx", "[a/b]nginx",
        "nginx:v1 nginx:v2",
    ])
    func refusesWhatIsNoImage(text: String) {
        #expect {
            try ImageKey(parsing: text)
        } throws: { error in
            "\(error)".hasPrefix("REFERENCE_INVALID: ")
        }
    }

    @Test func theNamespaceOfAnImageIsItsResources() throws {
        let key = try ImageKey(image: " r.example/app:v1\n", namespace: "team-a")
        #expect(try key == ImageKey(parsing: "[team-a]r.example/app:v1"))
        #expect("\(key)" == "[team-a]r.example/app:v1")
        #expect(try ImageKey(image: "[::1]:5000/app", namespace: nil).reference.registry == "[::1]:5000")
        for image in ["[team-b]r.example/app:v1", " [team-b]nginx", "[team-a]nginx", "[]nginx", "[TEAM]nginx"] {
            for namespace in [nil, "team-a"] {
                #expect(throws: ImageKeyError.self) { try ImageKey(image: image, namespace: namespace) }
            }
        }
        for namespace in ["", "Team", "a/b", "a]b"] {
            #expect(throws: ImageKeyError.self) { try ImageKey(image: "nginx", namespace: namespace) }
        }
    }

    /// Apart from the table, whose arguments are printed: a test log with a zero byte is no text any more.
    @Test func refusesControlCharacters() {
        for text in ["nginx\u{0}", "\u{0}nginx", "nginx\u{1B}[2J", "ngi\u{7F}nx"] {
            #expect(throws: ImageKeyError.self) { try ImageKey(parsing: text) }
        }
    }
}
