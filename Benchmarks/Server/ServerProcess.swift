import FoundationEssentials
import Glibc
import Synchronization

/// A process of ours that does not outlive us: `countersign serve`, a registry, or a short command.
struct ServerProcess: Sendable {
    let pid: pid_t
    let started: ContinuousClock.Instant

    /// How a process ended.
    struct End: Sendable {
        /// Its status; a signal as 128 and its number.
        let status: Int32
        /// Processor time of all its threads, in seconds.
        let cpuSeconds: Double
    }

    /// Starts a program; what it prints goes to a file.
    init(_ program: String, _ arguments: [String], log: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var vector: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var surroundings: [UnsafeMutablePointer<CChar>?] = Self.environment.map { strdup($0) } + [nil]
        defer { for pointer in vector + surroundings { free(pointer) } }
        var pid: pid_t = 0
        started = .now
        let result = posix_spawnp(&pid, program, &actions, nil, &vector, &surroundings)
        guard result == 0 else { throw BenchmarkError("cannot start \(program): \(String(cString: strerror(result)))") }
        self.pid = pid
        Self.running.enter(pid)
    }

    /// Runs a short command to its end.
    ///
    /// - Returns: its processor time in seconds.
    @discardableResult
    static func run(_ program: String, _ arguments: [String], log: String) async throws -> Double {
        let process = try ServerProcess(program, arguments, log: log)
        guard let end = await process.end(within: .seconds(30)) else {
            await process.stop()
            throw BenchmarkError("\(program) \(arguments.joined(separator: " ")) did not end within 30 s")
        }
        guard end.status == 0 else {
            throw BenchmarkError("\(program) \(arguments.joined(separator: " ")) failed:\n\(textFile(log))")
        }
        return end.cpuSeconds
    }

    /// Asks it to end, and makes it after ten seconds.
    func stop() async {
        kill(pid, SIGTERM)
        if await end(within: .seconds(10)) == nil {
            note("a process did not stop within 10 s of SIGTERM: killed")
            kill(pid, SIGKILL)
            _ = await end(within: .seconds(5))
        }
    }

    /// How it ended, or nil when it still runs.
    func end(within time: Duration) async -> End? {
        let deadline = ContinuousClock.now + time
        repeat {
            var status: Int32 = 0
            var usage = rusage()
            let result = wait4(pid, &status, WNOHANG, &usage)
            if result == pid || (result == -1 && errno == ECHILD) {
                Self.running.leave(pid)
                func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
                return End(
                    status: status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F),
                    cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime))
            }
            // Not cancellable: a server is waited for when the run is being given up, too.
            usleep(2000)
        } while ContinuousClock.now < deadline
        return nil
    }

    /// This process's environment without what would change how the command reads certificate authorities or reaches
    /// the loopback: it is measured as it runs in its container.
    private static let environment = ProcessInfo.processInfo.environment
        .filter { name, _ in
            !name.hasPrefix("SSL_CERT_") && !name.lowercased().hasSuffix("_proxy")
        }
        .map { "\($0)=\($1)" }

    /// The processes of ours that run, for the signal handlers.
    private static let running = RunningProcesses()

    /// From now on a signal that ends us, or the end of the time for the whole run, ends our processes too.
    static func endTogether(after seconds: UInt32) {
        // Entering and leaving initialises it: a signal handler must not.
        running.leave(0)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGALRM] {
            signal(number) { number in
                ServerProcess.running.killAll()
                _exit(128 + number)
            }
        }
        alarm(seconds)
    }
}

/// A few process ids in atomics: all that a signal handler may touch.
private final class RunningProcesses: Sendable {
    private let first = Atomic<pid_t>(0)
    private let second = Atomic<pid_t>(0)
    private let third = Atomic<pid_t>(0)

    func enter(_ pid: pid_t) {
        if first.compareExchange(expected: 0, desired: pid, ordering: .sequentiallyConsistent).exchanged { return }
        if second.compareExchange(expected: 0, desired: pid, ordering: .sequentiallyConsistent).exchanged { return }
        third.store(pid, ordering: .sequentiallyConsistent)
    }

    func leave(_ pid: pid_t) {
        _ = first.compareExchange(expected: pid, desired: 0, ordering: .sequentiallyConsistent)
        _ = second.compareExchange(expected: pid, desired: 0, ordering: .sequentiallyConsistent)
        _ = third.compareExchange(expected: pid, desired: 0, ordering: .sequentiallyConsistent)
    }

    func killAll() {
        let pids = (
            first.load(ordering: .sequentiallyConsistent), second.load(ordering: .sequentiallyConsistent),
            third.load(ordering: .sequentiallyConsistent)
        )
        if pids.0 > 0 { kill(pids.0, SIGKILL) }
        if pids.1 > 0 { kill(pids.1, SIGKILL) }
        if pids.2 > 0 { kill(pids.2, SIGKILL) }
    }
}
