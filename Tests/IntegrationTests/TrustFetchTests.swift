import Foundation
import TestSupport
import Testing

/// `countersign trust fetch` against repositories of the reference implementation on loopback.
@Suite struct TrustFetchTests {
    /// A trusted root without anybody in it: what is in one is not this command's concern.
    private static let content =
        #"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"#
        + #""certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}"#

    private static let made = Result { try TUFScript.run("current.py", [content]) }

    /// A repository at `http://127.0.0.1:…/N`, for each number that `current.py` has, and a directory for files.
    private func withRepositories(
        _ work: (String, TemporaryDirectory, ScriptedServer) async throws -> Void
    ) async throws {
        let files = try Self.made.get()
        let server = try ScriptedServer { request in
            guard let file = files[String(request.target.dropFirst())] else { return [.reply(404, body: "none")] }
            return [.content(200, type: "application/json", file)]
        }
        defer { server.stop() }
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(try #require(files["root.json"]), to: "root.json")
        try await work("http://127.0.0.1:\(server.port)", directory, server)
    }

    private func fetch(_ url: String, _ directory: TemporaryDirectory, _ more: String...) async throws
        -> Command.Outcome
    {
        try await Command.run(
            [
                "trust", "fetch", "--tuf-url", url, "--tuf-root", directory.path("root.json"), "-o",
                directory.path("trusted_root.json"),
            ] + more)
    }

    private func written(_ directory: TemporaryDirectory) -> String? {
        try? String(contentsOfFile: directory.path("trusted_root.json"), encoding: .utf8)
    }

    @Test func writesTheTrustedRoot() async throws {
        try await withRepositories { url, directory, server in
            let run = try await fetch("\(url)/2", directory, "--verbose")
            #expect(run.status == 0, "\(run)")
            #expect(written(directory) == Self.content)
            #expect(run.output.contains("root 2, timestamp 2, snapshot 2, targets 2"), "\(run)")
            #expect(run.output.contains("fetch again before: 20"), "\(run)")
            #expect(run.errors.contains("GET \(url)/2/timestamp.json: 200"), "\(run)")
            #expect(server.requests.map(\.target).first == "/2/2.root.json")
        }
    }

    /// A file that is there stays as it was when the repository is not to be trusted.
    @Test(arguments: [
        ("3", 1, "expired"), ("4", 1, "digest"), ("5", 1, "step 5.3.4"), ("6", 3, "does not have it"),
    ])
    func leavesTheFileAsItWas(_ repository: String, _ status: Int32, _ words: String) async throws {
        try await withRepositories { url, directory, _ in
            directory.write("old", to: "trusted_root.json")
            let run = try await fetch("\(url)/\(repository)", directory)
            #expect(run.status == status, "\(run)")
            #expect(run.errors.contains(words) && run.output.isEmpty, "\(run)")
            #expect(written(directory) == "old")
        }
    }

    /// What was seen counts only where it is kept.
    @Test func refusesWhatIsOlder() async throws {
        try await withRepositories { url, directory, _ in
            let state = directory.path("deep/state")
            #expect(try await fetch("\(url)/2", directory, "--state", state).status == 0)
            let older = try await fetch("\(url)/1", directory, "--state", state)
            #expect(older.status == 1 && older.errors.contains("step 5.4.3"), "\(older)")
            #expect(try await fetch("\(url)/1", directory).status == 0)
            #expect(try await fetch("\(url)/2", directory, "--state", state).status == 0)
        }
    }

    /// The state cannot be written: the trusted root is, and it is told.
    @Test func stateThatCannotBeWritten() async throws {
        try await withRepositories { url, directory, _ in
            let run = try await fetch("\(url)/2", directory, "--state", directory.write("x", to: "file"))
            #expect(run.status == 0 && run.errors.contains("may accept what is older"), "\(run)")
            #expect(written(directory) == Self.content)
        }
    }

    @Test func nobodyAnswers() async throws {
        try await withRepositories { _, directory, _ in
            let silent = try ScriptedServer { _ in [.wait(.seconds(30)), .close] }
            defer { silent.stop() }
            let run = try await fetch("http://127.0.0.1:\(silent.port)", directory, "--timeout", "1")
            #expect(run.status == 3 && run.errors.contains("time"), "\(run)")
            #expect(written(directory) == nil)
        }
    }

    /// Shipped roots do not trust another repository, whoever serves it in their name.
    @Test(arguments: ["public-good", "github"]) func shippedRootsTrustNobodyElse(_ instance: String) async throws {
        try await withRepositories { url, directory, _ in
            let run = try await Command.run(
                "trust", "fetch", "--instance", instance, "--tuf-url", "\(url)/2", "-o",
                directory.path("trusted_root.json"))
            #expect(run.status == 1 || run.status == 3, "\(run)")
            #expect(run.errors.contains("countersign: "), "\(run)")
            #expect(written(directory) == nil)
        }
    }

    @Test(arguments: [
        ["--tuf-url", "http://tuf.example.com", "--instance", "github", "-o", "x"],
        ["--tuf-url", "https://tuf.example.com", "-o", "x"], ["--tuf-root", "root.json", "-o", "x"],
        ["--instance", "other", "-o", "x"], ["--instance", "github"], ["-o", "x", "--timeout", "0"],
        ["--tuf-url", "https://tuf.example.com", "--tuf-root", "/nowhere/root.json", "-o", "x"],
        ["--instance", "github", "--tuf-url", "https://tuf.example.com", "--tuf-root", "root.json", "-o", "x"],
    ])
    func wrongUsage(_ arguments: [String]) async throws {
        let run = try await Command.run(["trust", "fetch"] + arguments)
        #expect(run.status == 2 && run.output.isEmpty && !run.errors.isEmpty, "\(run)")
    }
}
