import CMemory
import ServiceLifecycle
import Verification

/// Gives back the memory that bursts of work leave behind: verdicts that nobody can use any more, and what the C
/// library holds of what was freed.
package final class MemoryKeeper: Service {
    private let decisions: DecisionCache

    /// How often it looks.
    private static let interval = Duration.seconds(5)
    /// What the C library may hold. Less would only be asked for again.
    private static let maximumHeldBytes = 4 << 20

    /// A keeper that also clears expired verdicts.
    package init(decisions: DecisionCache) { self.decisions = decisions }

    /// Sets up memory for a process that runs for long. To be called before there are threads.
    package static func setUp() { cmemory_set_up() }

    /// Looks after memory until graceful shutdown.
    package func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { [self] in
                try await Task.sleep(for: MemoryKeeper.interval)
                tidy()
            }
        }
    }

    /// What the C library holds now of what was freed.
    static var heldBytes: Int { cmemory_held_bytes() }

    /// Looks once.
    package func tidy() {
        decisions.removeExpired()
        if MemoryKeeper.heldBytes > MemoryKeeper.maximumHeldBytes { cmemory_give_back() }
    }
}
