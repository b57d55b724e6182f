import Files
import Foundation
import StrictJSON
import TestSupport
import Testing

@testable import TUF

/// Canonical JSON, patterns, paths, and files of a store.
@Suite struct FormTests {
    @Test(arguments: [
        (#"{"b":1,"a":[true,null,-3]}"#, #"{"a":[true,null,-3],"b":1}"#),
        // By code points: capitals first, and characters beyond the basic plane after all others.
        (#"{"a":1,"B":2,"\ud83d\ude00":3,"\uffee":4,"é":5}"#, "{\"B\":2,\"a\":1,\"é\":5,\"\u{FFEE}\":4,\"😀\":3}"),
        (#"{"a":"x\"y\\z\n\t\u0001\/"}"#, "{\"a\":\"x\\\"y\\\\z\n\t\u{1}/\"}"),
        (#" { "a" : 123456789012345678901234567890 } "#, #"{"a":123456789012345678901234567890}"#),
    ])
    func canonicalForm(_ text: String, _ canonical: String) throws {
        let bytes = try CanonicalJSON.bytes(try StrictJSON.parse(Array(text.utf8)))
        #expect(String(decoding: bytes, as: UTF8.self) == canonical)
        #expect(bytes == Array(canonical.utf8))
    }

    @Test(arguments: ["1.0", "1e0", "1E2", "-0", "0.5"]) func numbersWithoutCanonicalForm(_ number: String) throws {
        let value = try StrictJSON.parse(Array("{\"a\":[\(number)]}".utf8))
        #expect(throws: TUFError.Problem.self) { try CanonicalJSON.bytes(value) }
    }

    @Test(arguments: [
        ("targets/*.tgz", "targets/foo.tgz", true), ("targets/*.tgz", "targets/foo.txt", false),
        ("foo-version-?.tgz", "foo-version-2.tgz", true), ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
        ("*.tgz", "foo.tgz", true), ("*.tgz", "targets/foo.tgz", false), ("foo.tgz", "foo.tgz", true),
        ("foo.tgz", "foo.tgz/x", false), ("*", "", true), ("*", "a/b", false), ("*/*", "a/b", true),
        ("a*b*c", "a-b-b-c", true), ("a*b*c", "a-c-b", false), ("?", "é", true), ("?", "", false),
        ("[ab]", "a", false), ("[ab]", "[ab]", true), ("", "", true), ("a**", "a", true),
    ])
    func patterns(_ pattern: String, _ path: String, _ isMatch: Bool) {
        #expect(PathPattern(pattern).matches(path) == isMatch)
    }

    @Test func patternsTakeNoLongTime() {
        let pattern = PathPattern(String(repeating: "*a", count: 500) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 1000)))
    }

    @Test(arguments: [
        "", "/a", "a/", "a//b", "./a", "a/.", "..", "a/../b", "a\\b", "a\u{0}", "a\nb", "a\u{202E}b",
        String(repeating: "a", count: 1025),
    ])
    func namesThatAreNoPlainPaths(_ path: String) {
        #expect(RepositoryPath.target(path, below: "targets", prefix: nil) == nil)
    }

    @Test func pathsAreEscaped() {
        #expect(
            RepositoryPath.target("a b/..c%?.é", below: "targets", prefix: "00") == "targets/a%20b/00...c%25%3F.%C3%A9")
        #expect(RepositoryPath.target("a", below: "", prefix: nil) == "a")
        #expect(RepositoryPath.metadata("../x/y", version: 3) == "3...%2Fx%2Fy.json")
        #expect(RepositoryPath.metadata("timestamp", version: nil) == "timestamp.json")
    }

    @Test func filesOfDifferentItemsAreDifferent() {
        let items: [StoredItem] = [
            .root(version: 1), .snapshot(version: 1), .targets(role: "targets", version: 1),
            .targets(role: "1.root", version: 1), .targets(role: "../../a", version: 1), .timestamp, .newestTimestamp,
            .newestSnapshot, .target(sha256: "00"), .targets(role: "a/b", version: 1),
            .targets(role: "a%2Fb", version: 1),
        ]
        #expect(Set(items.map(\.fileName)).count == items.count)
        #expect(items.allSatisfy { !$0.fileName.contains("/") })
    }

    @Test func directoryKeepsAndForgets() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let store = DirectoryMetadataStore(path: directory.path("deep/store"))
        #expect(try store.load(.timestamp, maximumLength: 10) == nil)
        try store.remove(.timestamp)
        let items: [StoredItem] = [
            .root(version: 2), .timestamp, .newestSnapshot, .snapshot(version: 3), .targets(role: "a/b", version: 4),
            .target(sha256: "00ff"),
        ]
        for item in items { try store.store(Array(item.fileName.utf8), as: item) }
        for item in items { #expect(try store.load(item, maximumLength: 100) == Array(item.fileName.utf8)) }
        #expect(try store.load(.timestamp, maximumLength: 3) == nil)
        try store.store([1, 2], as: .timestamp)
        #expect(try store.load(.timestamp, maximumLength: 2) == [1, 2])
        directory.write("mine", to: "deep/store/notes.json")
        try store.removeAll(except: [.targets(role: "a/b", version: 4)])
        #expect(
            Set(try FileManager.default.contentsOfDirectory(atPath: directory.path("deep/store"))) == [
                "2.root.json", "timestamp.json", "newest-snapshot.json", "4.a%2Fb.json", "notes.json",
            ])
        try store.remove(.timestamp)
        #expect(try store.load(.timestamp, maximumLength: 100) == nil)
    }

    /// A link that somebody put there is not followed, a directory is not read.
    @Test func directoryReadsFilesOnly() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let store = DirectoryMetadataStore(path: directory.path)
        try FileManager.default.createSymbolicLink(
            atPath: directory.path("timestamp.json"), withDestinationPath: directory.write("x", to: "other"))
        #expect(throws: FileAccess.Fault.self) { try store.load(.timestamp, maximumLength: 100) }
        try FileManager.default.createDirectory(
            atPath: directory.path("3.snapshot.json"), withIntermediateDirectories: true)
        #expect(try store.load(.snapshot(version: 3), maximumLength: 100) == nil)
    }

    @Test func directoryThatCannotBeWritten() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let store = DirectoryMetadataStore(path: directory.write("x", to: "file"))
        #expect(throws: (any Error).self) { try store.store([1], as: .timestamp) }
    }
}
