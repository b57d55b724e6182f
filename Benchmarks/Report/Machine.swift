import FoundationEssentials
import Glibc

/// What the figures were measured on.
struct Machine: Sendable, CustomStringConvertible {
    let cores: Int
    let processor: String
    /// Runnable threads on average over the last minute when the run began: much above zero means a shared machine.
    let loadAverage: Double

    init() {
        cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let lines = textFile("/proc/cpuinfo").split(separator: "\n")
        processor =
            lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
            .map { $0.drop { $0 == " " } }.map(String.init) ?? "unknown"
        loadAverage = Double(textFile("/proc/loadavg").prefix { $0 != " " }) ?? .nan
    }

    var description: String { "\(cores) cores, \(processor), load average \(loadAverage.fixed(2)) at the start" }
}

/// The logarithm to the base of ten.
func logarithm(_ value: Double) -> Double { log10(value) }

/// The content of a small text file, empty when it cannot be read (a process that has ended, for instance).
func textFile(_ path: String) -> String {
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    return String(decoding: data, as: UTF8.self)
}

/// Writes out what was printed: tables appear as they come, in a pipe too.
func flush() { fflush(nil) }

/// A line on standard error: progress, not results.
func note(_ text: String) {
    let bytes = Array("bench: \(text)\n".utf8)
    _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

/// As many open files as the system allows: connections that nobody closes are many.
func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// What went wrong, in a sentence.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
