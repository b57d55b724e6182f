import Histogram

/// How long requests took: an HdrHistogram from half a microsecond to two minutes, three significant digits, so that
/// memory does not grow with their number.
struct Latencies: Sendable {
    // In nanoseconds.
    private var histogram = Histogram<UInt32>(
        lowestDiscernibleValue: 1000, highestTrackableValue: 120_000_000_000, numberOfSignificantValueDigits: .three)

    mutating func record(nanoseconds: Int64) {
        // What took longer than can be told counts as the longest that can.
        let value = UInt64(clamping: nanoseconds)
        if !histogram.record(value) { histogram.record(histogram.highestTrackableValue) }
    }

    mutating func add(_ other: Latencies) { histogram.add(other.histogram) }

    var count: Int { Int(histogram.totalCount) }
    /// Milliseconds that a share of the requests did not exceed.
    func percentile(_ share: Double) -> Double { Double(histogram.valueAtPercentile(share * 100)) / 1e6 }
    /// The longest, in milliseconds.
    var maximum: Double { Double(histogram.maxRecorded) / 1e6 }

    /// The percentile distribution in HdrHistogram's own text form, in milliseconds: what its plotters read.
    var distribution: String {
        var text = ""
        histogram.outputPercentileDistribution(
            to: &text, outputValueUnitScalingRatio: 1e6, percentileTicksPerHalfDistance: 5)
        return text
    }
}

/// What a piece of load found.
struct Outcome: Sendable {
    /// Of the requests that were answered rightly.
    var latencies = Latencies()
    /// How many were not.
    var failures = 0
    /// Why the first of them was not.
    var firstFailure: String?

    mutating func add(_ other: Outcome) {
        latencies.add(other.latencies)
        failures += other.failures
        firstFailure = firstFailure ?? other.firstFailure
    }

    mutating func fail(_ reason: String) {
        failures += 1
        firstFailure = firstFailure ?? reason
    }

    /// For a benchmark, where one failure makes the figure worthless.
    func allGood() throws -> Latencies {
        if let firstFailure { throw BenchmarkError("\(failures) requests failed, the first so: \(firstFailure)") }
        return latencies
    }
}
