import Foundation
import Synchronization
import TestSupport
import Testing

@testable import OCI
@testable import OCIRegistry

/// A registry client behind content that others have fetched.
@Suite struct SharedContentTests {
    /// What others have fetched, in memory.
    private final class Shelf: SharedContent {
        private let state = Mutex((contents: [ContentKey: [UInt8]](), questions: 0))

        func content(for key: ContentKey) async -> [UInt8]? {
            state.withLock { state in
                state.questions += 1
                return state.contents[key]
            }
        }

        func keep(_ content: [UInt8], for key: ContentKey) { state.withLock { $0.contents[key] = content } }

        var contents: [ContentKey: [UInt8]] { state.withLock(\.contents) }
        var questions: Int { state.withLock(\.questions) }
    }

    private func client(_ http: ScriptedHTTP, _ shelf: Shelf) -> RegistryClient {
        var options = RegistryOptions()
        options.sharedContent = shelf
        return RegistryClient(http: http, options: options)
    }

    private func blob(_ client: RegistryClient, _ descriptor: Descriptor = Sample.subject) async throws -> [UInt8] {
        try await client.blob(descriptor, in: Sample.reference(), maximumBytes: 1 << 20, deadline: Sample.deadline)
    }

    @Test func whatOneHasFetchedTheOtherDoesNot() async throws {
        let http = ScriptedHTTP { .answer(200, $0, body: Sample.image) }
        let shelf = Shelf()
        #expect(try await blob(client(http, shelf)) == Sample.image)
        let key = ContentKey(kind: .blob, scope: try Sample.reference().scopeName, digest: Sample.subject.digest)
        #expect(shelf.contents == [key: Sample.image])

        let other = client(http, shelf)
        other.noteOpen(try Sample.reference())
        let before = http.requests.count
        #expect(try await blob(other) == Sample.image)
        #expect(try await blob(other) == Sample.image)
        #expect(http.requests.count == before)
        // The second time it was in its own memory.
        #expect(shelf.questions == 1)
    }

    /// Knowing a digest opens no repository: the registry has to.
    @Test func nothingIsTakenBeforeTheRegistryHasOpenedTheRepository() async throws {
        let shelf = Shelf()
        let key = ContentKey(kind: .blob, scope: try Sample.reference().scopeName, digest: Sample.subject.digest)
        shelf.keep(Sample.image, for: key)
        let closed = client(ScriptedHTTP { .answer(403, $0) }, shelf)
        await expectError(.forbidden) { try await blob(closed) }
        await expectError(.forbidden) {
            _ = try await closed.resolve(Sample.reference(), deadline: Sample.deadline)
            return try await blob(closed)
        }
        await expectError(.forbidden) { try await blob(closed) }
        #expect(shelf.questions == 0)
    }

    @Test(arguments: [[], Array("something else".utf8), Sample.image + [0], Array(Sample.image.dropLast())])
    func whatIsNotWhatItsDigestSaysIsFetched(_ forged: [UInt8]) async throws {
        let http = ScriptedHTTP { .answer(200, $0, body: Sample.image) }
        let shelf = Shelf()
        let key = ContentKey(kind: .blob, scope: try Sample.reference().scopeName, digest: Sample.subject.digest)
        shelf.keep(forged, for: key)
        let client = client(http, shelf)
        client.noteOpen(try Sample.reference())
        #expect(try await blob(client) == Sample.image)
        #expect(http.requests.count == 1 && shelf.questions == 1)
        #expect(shelf.contents[key] == Sample.image)
        // A descriptor that lies about the size is the registry's fault, whoever has the content.
        var wrong = Sample.subject
        wrong.size -= 1
        let other = self.client(http, shelf)
        other.noteOpen(try Sample.reference())
        await expectError(.sizeMismatch) { try await blob(other, wrong) }
    }
}
