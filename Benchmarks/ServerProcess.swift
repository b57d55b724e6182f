import FoundationEssentials
import Glibc
import Synchronization

/// A process of ours that does not outlive us: `countersign serve`, or a short command.
struct ServerProcess: Sendable {
    let pid: pid_t
    let started: ContinuousClock.Instant

    /// Starts a program; what it prints goes to a file.
    init(_ program: String, _ arguments: [String], log: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var vector: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in vector { free(pointer) } }
        var pid: pid_t = 0
        started = .now
        let result = posix_spawnp(&pid, program, &actions, nil, &vector, environ)
        guard result == 0 else { throw BenchmarkError("cannot start \(program): \(String(cString: strerror(result)))") }
        self.pid = pid
        ServerProcess.running.store(pid, ordering: .sequentiallyConsistent)
    }

    /// Runs a short command to its end.
    static func run(_ program: String, _ arguments: [String], log: String) async throws {
        let process = try ServerProcess(program, arguments, log: log)
        guard let status = await process.end(within: .seconds(30)) else {
            await process.stop()
            throw BenchmarkError("\(program) \(arguments.joined(separator: " ")) did not end within 30 s")
        }
        guard status == 0 else {
            throw BenchmarkError("\(program) \(arguments.joined(separator: " ")) failed:\n\(textFile(log))")
        }
    }

    /// Asks it to end, and makes it after ten seconds.
    func stop() async {
        kill(pid, SIGTERM)
        if await end(within: .seconds(10)) == nil {
            note("the server did not stop within 10 s of SIGTERM: killed")
            kill(pid, SIGKILL)
            _ = await end(within: .seconds(5))
        }
    }

    /// The status it ended with (a signal as 128 and its number), or nil when it still runs.
    func end(within time: Duration) async -> Int32? {
        let deadline = ContinuousClock.now + time
        repeat {
            var status: Int32 = 0
            let result = waitpid(pid, &status, WNOHANG)
            if result == pid || (result == -1 && errno == ECHILD) {
                ServerProcess.running.store(0, ordering: .sequentiallyConsistent)
                return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
            }
            // Not cancellable: a server is waited for when the run is being given up, too.
            usleep(2000)
        } while ContinuousClock.now < deadline
        return nil
    }

    /// The one process of ours that runs, for the signal handlers.
    private static let running = Atomic<pid_t>(0)

    /// From now on a signal that ends us, or the end of the time for the whole run, ends our process too.
    static func endTogether(after seconds: UInt32) {
        // Reading it here initialises it: a signal handler must not.
        _ = running.load(ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGALRM] {
            signal(number) { number in
                let pid = ServerProcess.running.load(ordering: .sequentiallyConsistent)
                if pid > 0 { kill(pid, SIGKILL) }
                _exit(128 + number)
            }
        }
        alarm(seconds)
    }
}
