import Glibc

/// What the kernel says about a process: processor time and memory.
struct ProcessStatistics: Sendable {
    /// User and system time of all its threads, in seconds, in the kernel's ticks (usually 10 ms).
    let cpuSeconds: Double
    /// Resident memory in megabytes (10^6 bytes).
    let residentMegabytes: Double

    /// - Throws: when the process has ended.
    init(pid: pid_t) throws {
        // proc_pid_stat(5): fields after the command, which may itself hold spaces and parentheses.
        let stat = textFile("/proc/\(pid)/stat")
        guard let end = stat.lastIndex(of: ")") else { throw BenchmarkError("the server has ended: see its log") }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw BenchmarkError("/proc/\(pid)/stat is not what proc_pid_stat(5) says")
        }
        cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        let line = textFile("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        guard let line,
            let kibibytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Double($0) })
        else { throw BenchmarkError("the server has ended: see its log") }
        residentMegabytes = kibibytes * 1024 / 1e6
    }
}

/// Processor time of this process, all threads: what a computation cost, whoever else uses the machine.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
