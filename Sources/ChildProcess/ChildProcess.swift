import Quotation
import Subprocess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A program that is run until a deadline, and then killed with its children.
///
/// Its error output goes nowhere: it may hold secrets.
package struct ChildProcess: Sendable {
    /// What came of it.
    package enum Outcome: Sendable {
        /// It ended in time: what it wrote, whether it says to have succeeded, and how it ended.
        case output([UInt8], isSuccess: Bool, status: String)
        /// What went wrong, to follow the program's name in a message; and whether it will again: the program is not
        /// there, or is none that can be run. A machine that has no process to spare may have one in a moment.
        case fault(String, isLasting: Bool)
        /// It was killed at the deadline.
        case timeout
        /// It was killed because the task was cancelled.
        case cancelled
    }

    /// How much can be handed to a program: so many bytes go into a pipe at once that nobody reads (pipe(7), PIPE_BUF).
    private static let inputLimit = 4096

    private let executable: Executable
    private let arguments: Arguments
    private let environment: Environment
    private let input: String
    private let outputLimit: Int

    /// A program that does not run yet.
    ///
    /// - Parameters:
    ///   - program: a path when there is a slash in it; otherwise a name, looked for in `PATH`.
    ///   - environment: variables to set, beside those of this process.
    ///   - input: what it can read from standard input, at most 4096 bytes.
    ///   - outputLimit: the most bytes that it may write to standard output.
    package init(
        _ program: String, arguments: [String] = [], environment: [String: String] = [:], input: String = "",
        outputLimit: Int
    ) {
        executable = program.contains("/") ? .path(.init(program)) : .name(program)
        self.arguments = Arguments(arguments)
        var variables: [Environment.Key: String?] = [:]
        for (name, value) in environment { variables[Environment.Key(stringLiteral: name)] = value }
        self.environment = .inherit.updating(variables)
        self.input = input
        self.outputLimit = outputLimit
    }

    /// Runs the program. It gets a session of its own: when it is killed, so is everything in that session, before this
    /// returns. What it leaves behind when it ends by itself goes on.
    package func run(until deadline: ContinuousClock.Instant) async -> Outcome {
        guard let input = Self.reader(of: input) else {
            return .fault("cannot be run: there is no pipe for what it reads", isLasting: false)
        }
        defer { close(input) }
        return await withTaskGroup(of: Outcome.self) { group in
            group.addTask { await run(reading: input) }
            group.addTask {
                do {
                    try await Task.sleep(until: deadline, clock: .continuous)
                    return .timeout
                } catch { return .cancelled }
            }
            let first = await group.next() ?? .cancelled
            group.cancelAll()
            return first
        }
    }

    private func run(reading input: Int32) async -> Outcome {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100))
        ]
        do {
            let result = try await Subprocess.run(
                executable, arguments: arguments, environment: environment, platformOptions: options,
                input: .fileDescriptor(.init(rawValue: input), closeAfterSpawningProcess: false),
                output: .bytes(limit: outputLimit), error: .discarded)
            return .output(
                result.standardOutput, isSuccess: result.terminationStatus.isSuccess,
                status: "\(result.terminationStatus)")
        } catch {
            if Task.isCancelled { return .cancelled }
            if (error as? SubprocessError)?.code == .outputLimitExceeded {
                return .fault("wrote more than \(outputLimit) bytes", isLasting: false)
            }
            return .fault("cannot be run: \("\(error)".withoutFinalStop)", isLasting: Self.isLasting(error))
        }
    }

    private static func isLasting(_ error: any Error) -> Bool {
        guard let error = error as? SubprocessError else { return false }
        return error.code == .executableNotFound
            || error.code == .spawnFailed
                && [ENOENT, ENOTDIR, EACCES, ENOEXEC].contains(error.underlyingError?.rawValue)
    }

    /// The reading end of a pipe that holds a short text already. A program that ends without reading is none of our
    /// trouble then: Subprocess, which would write to it meanwhile, ends this process when it cannot.
    private static func reader(of text: String) -> Int32? {
        let bytes = Array(text.utf8)
        var ends: [Int32] = [-1, -1]
        // Subprocess hands no other program its ends on.
        guard bytes.count <= inputLimit, pipe(&ends) == 0 else { return nil }
        defer { close(ends[1]) }
        guard write(ends[1], bytes, bytes.count) == bytes.count else {
            close(ends[0])
            return nil
        }
        return ends[0]
    }
}
