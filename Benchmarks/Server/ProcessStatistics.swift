import Glibc

/// What the kernel says about a process: processor time and memory.
struct ProcessStatistics: Sendable {
    /// User and system time of all its threads, in seconds.
    let cpuSeconds: Double
    /// Resident memory in megabytes (10^6 bytes).
    let residentMegabytes: Double
    /// The most it ever was.
    let peakMegabytes: Double

    /// - Throws: when the process has ended.
    init(pid: pid_t) throws {
        // clock_getcpuclockid(3): exact, where /proc/PID/stat counts in ticks of 10 ms.
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else {
            throw BenchmarkError("the server has ended: see its log")
        }
        cpuSeconds = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        let lines = textFile("/proc/\(pid)/status").split(separator: "\n")
        func megabytes(_ name: String) throws -> Double {
            guard let line = lines.first(where: { $0.hasPrefix(name) }),
                let kibibytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first
                    .flatMap({ Double($0) })
            else { throw BenchmarkError("the server has ended: see its log") }
            return kibibytes * 1024 / 1e6
        }
        residentMegabytes = try megabytes("VmRSS:")
        peakMegabytes = try megabytes("VmHWM:")
    }
}

/// Processor time of this process, all threads: what a computation cost, whoever else uses the machine.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
