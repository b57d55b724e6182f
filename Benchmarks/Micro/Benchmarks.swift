import Benchmark
import Glibc

/// The parts of a verification and of a request, each alone (`make bench-micro`). One thing is measured a thousand
/// times in each iteration where it takes less than a clock can tell; the tables show the time of one.
let benchmarks: @Sendable () -> Void = {
    var configuration = Benchmark.Configuration()
    // Counts of allocations need an interposer that is not built here: they would read 0 and say nothing.
    // The package's own processor time counts in steps of 10 ms.
    configuration.metrics = [.processorTime, .wallClock]
    configuration.warmupIterations = 2
    configuration.maxDuration = .seconds(1)
    configuration.scalingFactor = .kilo
    Benchmark.defaultConfiguration = configuration

    do {
        let subjects = try MicroSubjects()
        envelopeBenchmarks(subjects)
        certificateBenchmarks(subjects)
        verificationBenchmarks(subjects)
        jsonBenchmarks(subjects)
        requestBenchmarks()
    } catch {
        fatalError("the subjects of the benchmarks cannot be made: \(error)")
    }
}

extension BenchmarkMetric {
    static let processorTime = BenchmarkMetric.custom("Processor time (ns)", useScalingFactor: true)
}

extension Benchmark {
    /// Measures some work: its processor time to the nanosecond, whoever else uses the machine.
    func measure(_ work: () throws -> Void) rethrows {
        startMeasurement()
        let start = nanosecondsUsed()
        try work()
        let used = nanosecondsUsed() - start
        stopMeasurement()
        measurement(.processorTime, used)
    }

    /// The same for work that waits.
    func measure(_ work: () async throws -> Void) async rethrows {
        startMeasurement()
        let start = nanosecondsUsed()
        try await work()
        let used = nanosecondsUsed() - start
        stopMeasurement()
        measurement(.processorTime, used)
    }
}

private func nanosecondsUsed() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
