import Synchronization

/// A memory budget for the bodies of requests, over all connections. A limit per body and a limit of connections do not
/// do: their product is far too much.
final class RequestBodyBudget: Sendable {
    /// That of the process.
    static let process = RequestBodyBudget(maximumBytes: 64 << 20)
    /// The bytes that any body may have without asking: as many as a pod with dozens of images needs. They are bounded
    /// by the limit of connections.
    static let alwaysGranted = 16 << 10

    private let maximumBytes: Int
    private let bytes = Atomic<Int>(0)

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// How many bytes there are now, those that are always granted left out.
    var heldBytes: Int { bytes.load(ordering: .relaxed) }

    /// The bytes of one request; they are free again when nobody holds this any more.
    final class Share: Sendable {
        private let room: RequestBodyBudget
        private let bytes = Atomic<Int>(0)

        init(_ room: RequestBodyBudget) { self.room = room }

        deinit { room.bytes.subtract(bytes.load(ordering: .relaxed), ordering: .relaxed) }

        /// Asks for room for so many bytes in all; `false` when there is none.
        func grow(to wanted: Int) -> Bool {
            let more = wanted - bytes.load(ordering: .relaxed)
            guard more > 0 else { return true }
            guard room.bytes.add(more, ordering: .relaxed).newValue <= room.maximumBytes else {
                room.bytes.subtract(more, ordering: .relaxed)
                return false
            }
            bytes.add(more, ordering: .relaxed)
            return true
        }
    }
}
