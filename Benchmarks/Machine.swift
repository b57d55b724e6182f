import FoundationEssentials
import Glibc

/// What the figures were measured on.
struct Machine: Sendable {
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
}

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

/// What went wrong, in a sentence.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
