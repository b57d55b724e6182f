import OCI
import Testing
import TestSupport

@Suite struct ImageReferenceTests {
    static let digest = "sha256:" + String(repeating: "ab", count: 32)

    @Test(arguments: [
        // text, registry, repository, tag, endpoint
        ("nginx", "docker.io", "library/nginx", "latest", "registry-1.docker.io"),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", "registry-1.docker.io"),
        ("user/app", "docker.io", "user/app", "latest", "registry-1.docker.io"),
        ("docker.io/nginx", "docker.io", "library/nginx", "latest", "registry-1.docker.io"),
        ("docker.io/user/app:v1", "docker.io", "user/app", "v1", "registry-1.docker.io"),
        ("index.docker.io/nginx", "docker.io", "library/nginx", "latest", "registry-1.docker.io"),
        ("registry-1.docker.io/library/nginx", "docker.io", "library/nginx", "latest", "registry-1.docker.io"),
        ("localhost/x", "localhost", "x", "latest", "localhost"),
        ("localhost:5000/x/y:t", "localhost:5000", "x/y", "t", "localhost:5000"),
        ("localhost:5000", "docker.io", "library/localhost", "5000", "registry-1.docker.io"),
        ("ghcr.io/a/b/c/d:v1.2_3-4", "ghcr.io", "a/b/c/d", "v1.2_3-4", "ghcr.io"),
        ("GHCR.io/a/b", "ghcr.io", "a/b", "latest", "ghcr.io"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", "latest", "127.0.0.1:5000"),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", "[::1]:5000"),
        ("[FD00::1]/a:t", "[fd00::1]", "a", "t", "[fd00::1]"),
        ("a.b/c__d/e--f/g.h_i", "a.b", "c__d/e--f/g.h_i", "latest", "a.b"),
        ("host.example:443/a:TAG", "host.example", "a", "TAG", "host.example"),
        ("host.example:80/a", "host.example:80", "a", "latest", "host.example:80"),
        ("index.docker.io:443/nginx", "docker.io", "library/nginx", "latest", "registry-1.docker.io"),
        ("registry-1.docker.io:443/user/app", "docker.io", "user/app", "latest", "registry-1.docker.io"),
        ("docker.io:443/library/nginx:v1", "docker.io", "library/nginx", "v1", "registry-1.docker.io"),
        ("[0:0:0::1]:443/a", "[::1]", "a", "latest", "[::1]"),
        ("[::ffff:a00:1]:5000/a", "10.0.0.1:5000", "a", "latest", "10.0.0.1:5000"),
    ])
    func normalises(text: String, registry: String, repository: String, tag: String, endpoint: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.registry == registry)
        #expect(reference.repository == repository)
        #expect(reference.tag == tag)
        #expect(reference.digest == nil)
        #expect(reference.endpoint == endpoint)
        #expect(reference.scopeName == "\(registry)/\(repository)")
        #expect(reference.description == "\(registry)/\(repository):\(tag)")
    }

    @Test func readsDigests() throws {
        let only = try ImageReference(parsing: "nginx@\(Self.digest)")
        #expect(only.tag == nil)
        #expect(only.digest?.description == Self.digest)
        #expect(only.description == "docker.io/library/nginx@\(Self.digest)")
        let both = try ImageReference(parsing: "localhost:5000/a:v1@\(Self.digest)")
        #expect(both.tag == "v1")
        #expect(both.digest?.description == Self.digest)
        #expect(both.description == "localhost:5000/a:v1@\(Self.digest)")
        let long = "sha512:" + String(repeating: "0", count: 128)
        #expect(try ImageReference(parsing: "a.b/c@\(long)").digest?.description == long)
    }

    /// Two spellings of a registry are one reference, and what is handed back to be pulled keeps the spelling.
    @Test func spellingsOfARegistryAreOneReference() throws {
        for (one, other) in [
            ("r.example/a:v1", "R.example:443/a:v1"), ("nginx", "index.docker.io:443/library/nginx:latest"),
            ("[::1]/a", "[0::1]:443/a"),
        ] {
            let (left, right) = (try ImageReference(parsing: one), try ImageReference(parsing: other))
            #expect(left == right && left.hashValue == right.hashValue && left.description == right.description)
        }
        let written = try ImageReference(parsing: "R.example:443/a:v1")
        #expect(written.writtenDescription == "r.example:443/a:v1" && written.writtenScopeName == "r.example:443/a")
        #expect(
            try ImageReference(parsing: "index.docker.io/nginx").writtenDescription == "docker.io/library/nginx:latest")
        #expect(try ImageReference(parsing: "r.example/a") != ImageReference(parsing: "r.example:80/a"))
    }

    /// In plain HTTP port 80 is meant without one, and port 443 is another registry.
    @Test func theTransportSaysWhatNoPortMeans() throws {
        for text in ["r.example/a", "r.example:80/a", "r.example:443/a", "docker.io:80/nginx", "nginx", "[::1]:5000/a"]
        {
            for transport in [RegistryTransport.http, .either, .https] {
                let reference = try ImageReference(parsing: text, over: transport)
                #expect(try ImageReference(parsing: text).over(transport) == reference, "\(text)")
                #expect(reference.transport == transport)
            }
        }
        func plain(_ text: String) throws -> ImageReference { try ImageReference(parsing: text, over: .http) }
        #expect(try plain("r.example:80/a") == plain("r.example/a"))
        #expect(try plain("r.example:443/a").endpoint == "r.example:443")
        #expect(try plain("docker.io:80/nginx").description == "docker.io/library/nginx:latest")
        func either(_ text: String) throws -> ImageReference { try ImageReference(parsing: text, over: .either) }
        #expect(try either("r.example:443/a").registry == "r.example:443")
        #expect(try either("r.example:443/a") != either("r.example/a"))
    }

    @Test func pinsToADigest() throws {
        let digest = try Digest(parsing: Self.digest)
        let reference = try ImageReference(parsing: "nginx:1.27")
        #expect(reference.with(digest: digest).description == "docker.io/library/nginx:1.27@\(Self.digest)")
        #expect(
            reference.with(digest: digest, keepingTag: false).description == "docker.io/library/nginx@\(Self.digest)")
    }

    @Test(arguments: [
        "", " ", "nginx ", " nginx", "nginx\n", "nginx\t", "ng inx", "nginx:", "nginx@", "nginx:a:b", ":tag", "@", "/",
        "a/", "/a", "a//b", "a.b/", "a.b/c/", "-a", "a-", "a_-b", "a..b", "a.b/.c", "a.b/c.", "a.b/c___d", "a.b/c._d",
        "ghcr.io/Foo", "Foo", "Foo/bar", "nginx:.t", "nginx:-t", "nginx:t/x", "nginx:t+1", "é/x", "a.b:/c", "a.b:x/c",
        "a.b:0/c", "a.b:065/c", "a.b:65536/c", "a.b:99999999/c", "-a.b/c", "a-.b/c", "a..b/c", ".a/c", "a./c", "[::1/c",
        "[]/c", "[:]/c", "[::1]x/c", "[::g]/c", "[::1]:/c", "[fe80::1%25eth0]/c", "https://ghcr.io/a", "user@ghcr.io/a",
        "nginx@sha256:abc", "nginx@sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "nginx@SHA256:" + String(repeating: "a", count: 64),
        "nginx@sha256:" + String(repeating: "A", count: 64), "nginx@\(digest)@\(digest)", "nginx@\(digest):tag",
        "reg.example./a", "reg.example.:443/a", "10.1/a", "10.0.0.01/a", "0x7f.0.0.1:5000/a", "2130706433:5000/a",
        String(repeating: "a", count: 64), "a.b/../c", "a.b/%2e%2e/c", "a\0b",
    ])
    func refuses(text: String) {
        #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: text) }
    }

    @Test func saysThatUpperCaseIsTheFault() throws {
        for text in ["ghcr.io/Foo", "Foo", "Foo/bar", "a/B:t"] {
            let error = #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: text) }
            #expect(error?.description.contains("must be in lower case") == true, "\(text)")
        }
    }

    @Test func boundsEveryPart() throws {
        let repository = String(repeating: "a", count: 255)
        #expect(try ImageReference(parsing: "a.b/\(repository)").repository == repository)
        #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: "a.b/\(repository)a") }
        let tag = String(repeating: "t", count: 128)
        #expect(try ImageReference(parsing: "a:\(tag)").tag == tag)
        #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: "a:\(tag)t") }
        let label = String(repeating: "h", count: 63)
        _ = try ImageReference(parsing: "\(label).example/a")
        #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: "\(label)h.example/a") }
        #expect(throws: ImageReferenceError.self) {
            try ImageReference(parsing: String(repeating: "a/", count: 10_000) + "a")
        }
        // The limit of the whole comes before those of its parts, and the error does not repeat the text.
        for count in [1025, 1 << 20] {
            let error = #expect(throws: ImageReferenceError.self) {
                try ImageReference(parsing: String(repeating: "a", count: count))
            }
            #expect(error?.problem == .tooLong && (error?.description.utf8.count ?? .max) < 500)
            #expect(error?.description.contains("it is longer than 1024 bytes") == true)
        }
        let just = #expect(throws: ImageReferenceError.self) {
            try ImageReference(parsing: String(repeating: "a", count: 1024))
        }
        #expect(just?.problem == .repositoryTooLong)
    }

    @Test func doesNotRepeatControlCharactersInItsMessage() {
        let error = #expect(throws: ImageReferenceError.self) { try ImageReference(parsing: "a\nb\u{1B}[31m") }
        #expect(error?.description.contains("\n") == false)
        #expect(error?.description.contains("\u{1B}") == false)
    }

    /// What is printed reads back as itself, whatever the parts are.
    @Test func printsWhatReadsBack() throws {
        var random = SeededGenerator(seed: 7)
        let registries = [
            "", "docker.io/", "index.docker.io/", "localhost/", "localhost:5000/", "r.example/", "R.Example:8443/",
            "[::1]:5000/", "10.0.0.1/",
        ]
        let alphabet = Array("abz019")
        func component() -> String {
            let separators = [".", "_", "__", "-", "---", ""]
            return (0...Int.random(in: 0...3, using: &random)).map { _ in
                String(
                    (0...Int.random(in: 0...4, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a"
                    })
            }.joined(separator: separators.randomElement(using: &random) ?? "")
        }
        for _ in 0..<2000 {
            var text = registries.randomElement(using: &random) ?? ""
            text += (0...Int.random(in: 0...3, using: &random)).map { _ in component() }.joined(separator: "/")
            if Bool.random(using: &random) { text += ":" + component().replacing(".", with: "X") }
            if Bool.random(using: &random) { text += "@" + Self.digest }
            // A first component with a dot is a registry, which has stricter rules: those are in the tables.
            guard let reference = try? ImageReference(parsing: text) else { continue }
            let again = try ImageReference(parsing: reference.description)
            #expect(again == reference, "\(text)")
            #expect(again.description == reference.description)
        }
    }

    /// Random bytes never trap, and what is accepted obeys the grammar.
    @Test func survivesAnyText() {
        var random = SeededGenerator(seed: 11)
        let bytes = Array("ab0.:/@[]-_A \n%\u{7F}é".utf8) + Array("sha256:".utf8)
        for _ in 0..<5000 {
            let text = String(
                decoding: (0...Int.random(in: 0...40, using: &random)).map { _ in
                    bytes.randomElement(using: &random) ?? 0
                },
                as: UTF8.self)
            if let reference = try? ImageReference(parsing: text) {
                #expect((try? ImageReference(parsing: reference.description)) == reference, "\(text)")
            }
        }
    }
}
