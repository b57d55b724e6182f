import Files
import Foundation
import TestSupport
import Testing

/// Files are read within bounds, and written whole or not at all.
@Suite struct FileAccessTests {
    @Test func readsWhatIsNotLongerThanItMayBe() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write("12345", to: "file")
        #expect(try FileAccess.read(path, maximumBytes: 5) == Array("12345".utf8))
        let fault = #expect(throws: FileAccess.Fault.self) { try FileAccess.read(path, maximumBytes: 4) }
        #expect(fault?.description.contains("has 5 bytes, more than the limit of 4") == true)
        #expect(fault?.isOfAnotherKind == true)
    }

    /// Nothing waits for the other end of a pipe, and a directory is no file.
    @Test func readsRegularFilesOnly() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        #expect(mkfifo(directory.path("pipe"), 0o600) == 0)
        for path in [directory.path("pipe"), directory.path] {
            let fault = #expect(throws: FileAccess.Fault.self) { try FileAccess.read(path, maximumBytes: 100) }
            #expect(fault?.isOfAnotherKind == true, "\(path)")
        }
        let fault = #expect(throws: FileAccess.Fault.self) {
            try FileAccess.read(directory.path("nothing"), maximumBytes: 100)
        }
        #expect(fault?.isMissing == true)
    }

    @Test func followsLinksOnlyIfItMay() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let link = directory.path("link")
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: directory.write("x", to: "file"))
        #expect(try FileAccess.read(link, maximumBytes: 1) == Array("x".utf8))
        let fault = #expect(throws: FileAccess.Fault.self) {
            try FileAccess.read(link, maximumBytes: 1, followsLinks: false)
        }
        #expect(fault?.isMissing == false && fault?.isOfAnotherKind == false)
    }

    @Test func replacesFilesAndNothingElse() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write("old", to: "file")
        try FileAccess.write(Array("new".utf8), to: path)
        #expect(try FileAccess.read(path, maximumBytes: 10) == Array("new".utf8))
        #expect(mkfifo(directory.path("pipe"), 0o600) == 0)
        for path in [directory.path("pipe"), directory.path, directory.path("missing/file")] {
            #expect(throws: FileAccess.Fault.self, "\(path)") { try FileAccess.write([1], to: path) }
        }
        // Of writes that fail, too, nothing is left behind.
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == ["file", "pipe"])
    }

    @Test func aLockIsHeldByOneAtATime() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.path("lock")
        let first = try #require(try FileAccess.tryLock(path))
        #expect(try FileAccess.tryLock(path) == nil)
        FileAccess.unlock(first)
        let second = try #require(try FileAccess.tryLock(path))
        FileAccess.unlock(second)
    }
}
