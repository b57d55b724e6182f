import Foundation
import Testing

@testable import CountersignService
@testable import Verification

@Suite(.serialized) struct MemoryKeeperTests {
    /// What a burst leaves behind between a few blocks that live on does not stay in the process.
    @Test func givesBackWhatABurstHasLeft() throws {
        func resident() throws -> Int {
            let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
            return try #require(Int(fields[1])) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
        let keeper = MemoryKeeper(decisions: DecisionCache(timeToLive: .seconds(10)))
        keeper.tidy()
        var blocks = (0..<(64 << 10)).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 2048) }
        let full = try resident()
        // Every hundredth stays, so that the heap cannot simply become shorter.
        blocks = blocks.enumerated().filter { $0.offset % 100 == 0 }.map(\.element)
        // A sanitizer has an allocator of its own, of which the C library knows nothing.
        guard MemoryKeeper.heldBytes > 64 << 20 else { return }
        keeper.tidy()
        #expect(try resident() < full - (64 << 20))
        #expect(blocks.count == 656)
    }
}
