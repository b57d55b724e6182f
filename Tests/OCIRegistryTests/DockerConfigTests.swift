import Foundation
import OCIRegistry
import Synchronization
import TestSupport
import Testing

@Suite struct DockerConfigTests {
    private static func auth(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func credential(
        _ config: String, _ endpoint: String, _ repository: String = "team/app", helperPath: String? = nil
    ) async throws -> RegistryCredential {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.write(config, to: "config.json")
        return try await DockerConfigCredentials(path: file, helperPath: helperPath)
            .credential(for: endpoint, repository: repository, deadline: Sample.deadline)
    }

    @Test func readsEveryKindOfEntry() async throws {
        let config = """
            {"auths":{
              "a.example":{"auth":"\(Self.auth("user:pass:word"))"},
              "b.example":{"username":"u","password":"p"},
              "c.example":{"auth":"\(Self.auth("00000000-0000-0000-0000-000000000000:"))","identitytoken":"refresh"},
              "d.example":{"registrytoken":"bearer"},
              "e.example":{"username":"<token>","password":"refresh"},
              "f.example":{},
              "https://g.example:8443/v2/":{"auth":"\(Self.auth("g:g"))","email":"x@y"},
              "https://index.docker.io/v1/":{"auth":"\(Self.auth("hub:pw"))"}},
             "HttpHeaders":{"X":"y"},"psFormat":"z"}
            """
        func expect(_ endpoint: String, _ credential: RegistryCredential) async throws {
            #expect(try await Self.credential(config, endpoint) == credential, "\(endpoint)")
        }
        try await expect("a.example", .basic(user: "user", password: "pass:word"))
        try await expect("A.example", .basic(user: "user", password: "pass:word"))
        try await expect("b.example", .basic(user: "u", password: "p"))
        try await expect("c.example", .identityToken("refresh"))
        try await expect("d.example", .bearer("bearer"))
        try await expect("e.example", .identityToken("refresh"))
        try await expect("f.example", .anonymous)
        try await expect("g.example:8443", .basic(user: "g", password: "g"))
        try await expect("g.example", .anonymous)
        try await expect("a.example:443", .basic(user: "user", password: "pass:word"))
        try await expect("a.example:80", .anonymous)
        try await expect("a.example:5000", .anonymous)
        try await expect("registry-1.docker.io", .basic(user: "hub", password: "pw"))
        try await expect("evil-a.example", .anonymous)
        try await expect("a.example.evil", .anonymous)
    }

    @Test func takesTheLongestPathAndTheFullHost() async throws {
        func entry(_ key: String) -> String { #""\#(key)":{"username":"\#(key)","password":"p"}"# }
        let keys = [
            "r.example", "r.example/team", "r.example/team/app", "*.example", "*.example/team/app/deep", "x*y.*.io",
        ]
        let config = #"{"auths":{\#(keys.map(entry).joined(separator: ","))}}"#
        func expect(_ endpoint: String, _ repository: String, _ key: String?) async throws {
            let expected = key.map { RegistryCredential.basic(user: $0, password: "p") } ?? .anonymous
            #expect(try await Self.credential(config, endpoint, repository) == expected, "\(endpoint)/\(repository)")
        }
        try await expect("r.example", "other", "r.example")
        try await expect("r.example", "team/x", "r.example/team")
        try await expect("r.example", "teammate", "r.example")
        try await expect("r.example", "team/app", "r.example/team/app")
        try await expect("r.example", "team/app/deep", "*.example/team/app/deep")
        try await expect("s.example", "team/app", "*.example")
        try await expect("a.b.example", "team/app", nil)
        try await expect("example", "team/app", nil)
        try await expect("x1y.z.io", "a", "x*y.*.io")
        try await expect("xy.z.io", "a", "x*y.*.io")
        try await expect("x.z.io", "a", nil)
    }

    @Test(arguments: [
        "", "[]", "{", #"{"auths":[]}"#, #"{"auths":{},"auths":{}}"#, #"{"credsStore":7}"#,
        #"{"credsStore":"../../bin/sh"}"#, #"{"credHelpers":[]}"#,
    ])
    func saysThatAFileIsMalformed(config: String) async {
        let text = await expectError(.credentials) { try await Self.credential(config, "r.example") }
        #expect(text.contains("config.json"))
    }

    /// An entry that is not valid is one for its registry alone; the others are in force, and somebody is told.
    @Test(arguments: [
        (#""auths":{"bad.example":1,GOOD}"#, "auths[\"bad.example\"]"),
        (#""auths":{"bad.example":{"auth":7},GOOD}"#, "auth of auths[\"bad.example\"]"),
        (#""auths":{"bad.example":{"auth":"%%%"},GOOD}"#, "auth of auths[\"bad.example\"]"),
        (#""auths":{"bad.example":{"auth":"bm9jb2xvbg=="},GOOD}"#, "not the Base64 of user:password"),
        (#""auths":{GOOD,"bad.example":{"registrytoken":"a\nb"}}"#, "registrytoken"),
        (#""auths":{GOOD,"*.example":{"username":"u","password":"p"},"bad.example":{"auth":"%"}}"#, "bad.example"),
        (#""auths":{GOOD},"credHelpers":{"bad.example":"x/y"}"#, "credHelpers[\"bad.example\"]"),
        (#""auths":{GOOD},"credHelpers":{"bad.example":7}"#, "credHelpers[\"bad.example\"]"),
        (#""auths":{GOOD},"credsStore":"../../bin/sh""#, "credsStore"),
    ])
    func oneBrokenEntryLeavesTheOthersInForce(members: String, named: String) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let good = #""good.example":{"username":"u","password":"p"}"#
        let file = directory.write("{\(members.replacing("GOOD", with: good))}", to: "config.json")
        let problems = Mutex<[String]>([])
        let credentials = DockerConfigCredentials(path: file) { problem in problems.withLock { $0.append(problem) } }
        for _ in 0..<2 {
            let found = try await credentials.credential(
                for: "good.example", repository: "a", deadline: Sample.deadline)
            #expect(found == .basic(user: "u", password: "p"))
            // Nor is its registry asked as by nobody, or as another entry says.
            let text = await expectError(.credentials) {
                try await credentials.credential(for: "bad.example", repository: "a", deadline: Sample.deadline)
            }
            #expect(text.contains(named) && text.contains("config.json"), "\(text)")
        }
        let told = problems.withLock { $0 }
        #expect(told.count == 1 && told[0].contains(named), "\(told)")
    }

    /// Go's decoder, with which Docker and its like read the file, takes no notice of line breaks.
    @Test func lineBreaksInBase64AreNoFault() async throws {
        let encoded = Self.auth("user:a password that is longer than one line of base64")
        let broken = encoded.enumerated().map { $0 % 20 == 19 ? "\($1)\\r\\n" : "\($1)" }.joined() + "\\n"
        let found = try await Self.credential(#"{"auths":{"r.example":{"auth":"\#(broken)"}}}"#, "r.example")
        #expect(found == .basic(user: "user", password: "a password that is longer than one line of base64"))
        await expectError(.credentials) {
            try await Self.credential(
                #"{"auths":{"r.example":{"auth":"\#(encoded.prefix(8)) \#(encoded.dropFirst(8))"}}}"#, "r.example")
        }
    }

    @Test func neverShowsASecret() async {
        let text = await expectError(.credentials) {
            try await Self.credential(
                #"{"auths":{"a":{"username":"u","password":"hunter2"},"r.example":{"auth":"aHVudGVyMg=="}}}"#,
                "r.example")
        }
        #expect(!text.contains("hunter2") && !text.contains("aHVudGVyMg"))
        #expect(!"\(RegistryCredential.basic(user: "u", password: "hunter2"))".contains("hunter2"))
        #expect(!"\(RegistryCredential.identityToken("hunter2"))".contains("hunter2"))
        #expect(!"\(RegistryCredential.bearer("hunter2"))".contains("hunter2"))
    }

    @Test func findsItsFileAsDockerDoes() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let config = #"{"auths":{"r.example":{"username":"NAME","password":"p"}}}"#
        directory.write(config.replacing("NAME", with: "docker-config"), to: "d/config.json")
        directory.write(config.replacing("NAME", with: "home"), to: "h/.docker/config.json")
        directory.write(config.replacing("NAME", with: "secret"), to: "s/.dockerconfigjson")
        func user(_ credentials: DockerConfigCredentials) async throws -> RegistryCredential {
            try await credentials.credential(for: "r.example", repository: "a", deadline: Sample.deadline)
        }
        let both = ["DOCKER_CONFIG": directory.path("d"), "HOME": directory.path("h")]
        #expect(try await user(.init(environment: both)) == .basic(user: "docker-config", password: "p"))
        #expect(
            try await user(.init(environment: ["HOME": directory.path("h")])) == .basic(user: "home", password: "p"))
        #expect(try await user(.init(path: directory.path("s"))) == .basic(user: "secret", password: "p"))
        #expect(try await user(.init(path: directory.path("d"))) == .basic(user: "docker-config", password: "p"))
        #expect(try await user(.init(environment: ["DOCKER_CONFIG": directory.path("none")])) == .anonymous)
        #expect(try await user(.init(environment: [:])) == .anonymous)
        await expectError(.credentials) { try await user(.init(path: directory.path("none"))) }
    }

    @Test func readsAChangedFileAgain() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.write(#"{"auths":{"r.example":{"username":"one","password":"p"}}}"#, to: "config.json")
        let credentials = DockerConfigCredentials(path: file)
        func ask() async throws -> RegistryCredential {
            try await credentials.credential(for: "r.example", repository: "a", deadline: Sample.deadline)
        }
        #expect(try await ask() == .basic(user: "one", password: "p"))
        directory.write(#"{"auths":{"r.example":{"username":"two","password":"p"}}}"#, to: "next")
        _ = rename(directory.path("next"), file)
        #expect(try await ask() == .basic(user: "two", password: "p"))
        directory.write("{", to: "config.json")
        await expectError(.credentials) { try await ask() }
        directory.write(#"{"auths":{"r.example":{"username":"three","password":"p"}}}"#, to: "config.json")
        #expect(try await ask() == .basic(user: "three", password: "p"))
    }

    /// A helper that is a real process: it logs what it is asked, and answers by the script.
    private static func helper(_ name: String, in directory: TemporaryDirectory, _ script: String) {
        let file = directory.write(
            "#!/bin/sh\nread server\necho \"$1 $server\" >> \(directory.path("log"))\n\(script)\n",
            to: "docker-credential-\(name)")
        chmod(file, 0o755)
    }

    private static func path(_ directory: TemporaryDirectory) -> String { "\(directory.path):/usr/bin:/bin" }

    @Test func asksHelpers() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        Self.helper("one", in: directory, #"echo '{"ServerURL":"x","Username":"helper","Secret":"s"}'"#)
        Self.helper("two", in: directory, #"echo '{"Username":"<token>","Secret":"refresh"}'"#)
        Self.helper("empty", in: directory, "echo 'credentials not found in native keychain'; exit 1")
        let file = directory.write(
            """
            {"auths":{"plain.example":{"username":"file","password":"p"},"port.example:443":{}},
             "credHelpers":{"two.example:443":"two","plain.example":"empty"},"credsStore":"one"}
            """, to: "config.json")
        let credentials = DockerConfigCredentials(path: file, helperPath: Self.path(directory))
        func ask(_ endpoint: String) async throws -> RegistryCredential {
            try await credentials.credential(for: endpoint, repository: "a", deadline: Sample.deadline)
        }
        let kept = RegistryCredential.basic(user: "helper", password: "s")
        #expect(try await ask("r.example:5000") == kept)
        #expect(try await ask("registry-1.docker.io") == kept)
        #expect(try await ask("two.example") == .identityToken("refresh"))
        #expect(try await ask("plain.example") == .basic(user: "file", password: "p"))
        // Answers are kept until a registry refuses them.
        #expect(try await ask("r.example:5000") == kept)
        await credentials.credentialRejected(kept, for: "r.example:5000", repository: "a")
        #expect(try await ask("r.example:5000") == kept)
        // A helper is asked by the name under which somebody logged in.
        #expect(try await ask("port.example") == kept)
        let log = try String(contentsOfFile: directory.path("log"), encoding: .utf8)
        #expect(
            log.split(separator: "\n") == [
                "get r.example:5000", "get https://index.docker.io/v1/", "get two.example:443",
                "get plain.example", "get r.example:5000", "get port.example:443",
            ])
    }

    @Test(arguments: [
        ("exit 3", "exit"), ("echo 'no such thing' ; exit 1", "no such thing"), ("echo nonsense", "not JSON"),
        (#"echo '{"Username":"u","Secret":""}'"#, "not JSON"),
        ("head -c 1000000 /dev/zero", "it wrote more than 131072 bytes"),
    ])
    func saysThatAHelperFails(script: String, text: String) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        Self.helper("bad", in: directory, script)
        let message = await expectError(.credentials) {
            try await Self.credential(#"{"credsStore":"bad"}"#, "r.example", helperPath: Self.path(directory))
        }
        #expect(message.contains("docker-credential-bad"))
        #expect(message.contains(text), "\(message)")
    }

    /// A program that ends without reading must not end us: by SIGPIPE, or in the library that runs it.
    @Test func survivesAHelperThatDoesNotRead() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.write("#!/bin/sh\nexit 7\n", to: "docker-credential-deaf")
        chmod(file, 0o755)
        for _ in 0..<40 {
            let message = await expectError(.credentials) {
                try await Self.credential(#"{"credsStore":"deaf"}"#, "r.example", helperPath: Self.path(directory))
            }
            #expect(message.contains("it ended with"), "\(message)")
        }
    }

    @Test func saysThatAHelperIsMissing() async throws {
        let message = await expectError(.credentials) {
            try await Self.credential(#"{"credsStore":"missing"}"#, "r.example", helperPath: "/nonexistent")
        }
        #expect(message.contains("docker-credential-missing"))
        // Another's sentence within ours loses its full stop.
        #expect(message.contains("; check that it is installed") && !message.contains(".;"), "\(message)")
    }

    @Test func killsAHelperThatHangs() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        Self.helper("slow", in: directory, "sleep 1000 & sleep 1000")
        let file = directory.write(#"{"credsStore":"slow"}"#, to: "config.json")
        let credentials = DockerConfigCredentials(
            path: file, helperPath: Self.path(directory), helperTime: .milliseconds(500))
        let start = ContinuousClock.now
        await expectError(.timeout) {
            try await credentials.credential(for: "r.example", repository: "a", deadline: Sample.deadline)
        }
        #expect(ContinuousClock.now - start < .seconds(120))
    }
}
