import Synchronization

/// One counter of a ``MetricsRegistry``, found once: for what happens in every request.
package final class MetricCounter: Sendable {
    private let total = Atomic<UInt64>(0)

    init() {}

    /// Adds one.
    package func count() { total.add(1, ordering: .relaxed) }

    var value: UInt64 { total.load(ordering: .relaxed) }
}

/// One histogram of a ``MetricsRegistry``, found once.
package final class MetricHistogram: Sendable {
    struct State {
        var buckets: [UInt64]
        var count: UInt64 = 0
        var sum: Double = 0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(buckets: Array(repeating: 0, count: bounds.count)))
    }

    /// Adds an observation.
    package func observe(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 }
        state.withLock { state in
            if let index { state.buckets[index] += 1 }
            state.count += 1
            state.sum += value
        }
    }

    var snapshot: State { state.withLock { $0 } }
}
