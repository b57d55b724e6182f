import Benchmark

/// The parts of a verification and of a request, each alone (`make bench-micro`). One thing is measured a thousand times in
/// each iteration where it takes less than a clock can tell; the tables show the time of one.
let benchmarks: @Sendable () -> Void = {
    var configuration = Benchmark.Configuration()
    // Counts of allocations need an interposer that is not built here: they would read 0 and say nothing.
    configuration.metrics = [.cpuTotal, .wallClock, .throughput]
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
