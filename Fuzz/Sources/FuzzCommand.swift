import CFuzz

#if canImport(Glibc)
    import Glibc
#endif

/// `countersign-fuzz TARGET [libFuzzer's arguments]`, `countersign-fuzz list`.
@main
enum FuzzCommand {
    /// Growth over this for one input is a bug.
    static let maximumGrowth = 64 << 20

    nonisolated(unsafe) private static var target: FuzzTarget?

    static func main() {
        var arguments = CommandLine.arguments
        guard arguments.count > 1 else { fail("which target? countersign-fuzz list") }
        let name = arguments.remove(at: 1)
        if name == "list" {
            for target in FuzzTarget.all { print(target.name) }
            return
        }
        guard let chosen = FuzzTarget.all.first(where: { $0.name == name }) else {
            fail("there is no target \(name): countersign-fuzz list")
        }
        target = chosen
        if !arguments.contains(where: { $0.hasPrefix("-max_len=") }) {
            arguments.append("-max_len=\(chosen.maximumLength)")
        }
        // libFuzzer keeps the pointers for as long as it runs, which is until the process ends.
        var pointers = arguments.map { strdup($0) }
        pointers.append(nil)
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            countersign_fuzz_run(Int32(arguments.count), buffer.baseAddress, maximumGrowth) { bytes, count in
                FuzzCommand.target?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
            }
        }
        exit(status)
    }

    private static func fail(_ message: String) -> Never {
        let line = Array((message + "\n").utf8)
        write(STDERR_FILENO, line, line.count)
        exit(2)
    }
}
