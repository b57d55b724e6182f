import NIOCore
import Testing

@testable import ProviderServer

/// What the bodies of all requests may take.
@Suite struct RequestBodyBudgetTests {
    private func body() -> AwaitedBody {
        AwaitedBody(maximum: 1 << 20, tooLarge: { fatalError() }, answer: { _, _ in fatalError() })
    }

    @Test func largeBodiesShareOneRoom() {
        let room = RequestBodyBudget(maximumBytes: 1 << 20)
        var bodies = (0..<2048).map { _ in body() }
        var whole = 0
        for index in bodies.indices {
            // As they come, piece by piece.
            let grows = stride(from: 4096, through: 256 << 10, by: 4096).allSatisfy {
                bodies[index].hasRoom(for: $0, in: room)
            }
            if grows { whole += 1 }
            #expect(room.heldBytes <= 1 << 20)
        }
        #expect((3...4).contains(whole), "the rest is held by bodies that got no further")
        // What is usual has room all the same.
        var usual = body()
        let hasUsual = usual.hasRoom(for: RequestBodyBudget.alwaysGranted, in: room)
        let hasMore = usual.hasRoom(for: RequestBodyBudget.alwaysGranted + 1, in: room)
        #expect(hasUsual && !hasMore)
        bodies = []
        #expect(room.heldBytes == 0)
        let hasRoomAgain = usual.hasRoom(for: 512 << 10, in: room)
        #expect(hasRoomAgain)
    }

    @Test func whatTheRefusalSays() {
        #expect(RequestFault.crowded.status.code == 503)
        #expect(RequestFault.crowded.reason.contains("ask again in a moment"))
    }
}
