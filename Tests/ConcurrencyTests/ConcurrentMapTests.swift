import Synchronization
import Testing

@testable import Concurrency

@Suite struct ConcurrentMapTests {
    /// How many pieces of work are under way, and how many were at most.
    private final class Load: Sendable {
        private let counts = Mutex((now: 0, most: 0))

        var most: Int { counts.withLock { $0.most } }
        func begin() {
            counts.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
        }
        func end() { counts.withLock { $0.now -= 1 } }
    }

    @Test func resultsAreInTheOrderOfTheElements() async {
        // The first ones take longest.
        let results = await Array(0..<20).concurrentMap(atMost: 5) { number in
            try? await Task.sleep(for: .milliseconds(20 - number))
            return number * 2
        }
        #expect(results == (0..<20).map { $0 * 2 })
    }

    @Test(arguments: [0, 1, 3]) func noMoreThanTheWidthAreUnderWay(width: Int) async {
        let load = Load()
        let results = await Array(0..<12).concurrentMap(atMost: width) { number in
            load.begin()
            try? await Task.sleep(for: .milliseconds(5))
            load.end()
            return number
        }
        #expect(results.count == 12)
        #expect(load.most <= max(1, width))
    }

    @Test(arguments: [0, 1, 2, 7]) func progressCountsEach(count: Int) async {
        var seen: [Int] = []
        let results = await Array(0..<count).concurrentMap(atMost: 3, progress: { seen.append($0) }) { $0 }
        #expect(results == Array(0..<count))
        #expect(seen == Array(0..<count).map { $0 + 1 })
    }

    /// A result that is optional and `nil` is a result.
    @Test func absentResultsKeepTheirPlaces() async {
        let results = await [1, 2, 3, 4].concurrentMap(atMost: 2) { $0.isMultiple(of: 2) ? nil : $0 }
        #expect(results == [1, nil, 3, nil])
    }

    @Test func whoIsCancelledCancelsTheWork() async {
        let task = Task {
            await [1, 2, 3].concurrentMap(atMost: 2) { _ in
                try? await Task.sleep(for: .seconds(600))
                return Task.isCancelled
            }
        }
        task.cancel()
        #expect(await task.value == [true, true, true])
    }
}
