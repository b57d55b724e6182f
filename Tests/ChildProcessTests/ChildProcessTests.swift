import ChildProcess
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct ChildProcessTests {
    private static var later: ContinuousClock.Instant { .now + .seconds(240) }

    /// A shell that hangs, with a child that hangs too, once it has written the numbers of both into a file.
    private static func hanging(_ file: String, then: String = "") -> ChildProcess {
        let script = "sleep 1000 & echo $$ $! > '\(file)'; \(then)sleep 1000"
        return ChildProcess("/bin/sh", arguments: ["-c", script], outputLimit: 1000)
    }

    /// The numbers in a file, once it is complete.
    private static func numbers(_ file: String) async throws -> [Int32] {
        while true {
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            if text.hasSuffix("\n") { return text.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) } }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Whether processes are gone, or what is left of them runs no more; they may take a moment.
    private static func areGone(_ processes: [Int32]) async throws -> Bool {
        for _ in 0..<500 {
            let isRunning = processes.contains { process in
                let status = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
                let state = status.split(separator: ")").last?.first { $0 != " " }
                return state != nil && state != "Z" && state != "X"
            }
            if !isRunning { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    @Test func aProgramThatHangsIsGoneWithItsChildAfterTheDeadline() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.path("numbers")
        let outcome = await Self.hanging(file).run(until: .now + .seconds(3))
        guard case .timeout = outcome else { return #expect(Bool(false), "\(outcome)") }
        let processes = try await Self.numbers(file)
        #expect(processes.count == 2)
        #expect(try await Self.areGone(processes))
    }

    @Test func aProgramIsGoneWithItsChildWhenTheTaskIsCancelled() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.path("numbers")
        let program = Self.hanging(file)
        let task = Task { await program.run(until: Self.later) }
        let processes = try await Self.numbers(file)
        task.cancel()
        let outcome = await task.value
        guard case .cancelled = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(processes.count == 2)
        #expect(try await Self.areGone(processes))
    }

    @Test func aProgramThatWritesTooMuchIsAFaultAndGoneWithItsChild() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.path("numbers")
        let outcome = await Self.hanging(file, then: "head -c 1001 /dev/zero; ").run(until: Self.later)
        guard case .fault(let problem, isLasting: false) = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(problem == "wrote more than 1000 bytes")
        #expect(try await Self.areGone(try await Self.numbers(file)))
    }

    @Test func aProgramMayWriteAsMuchAsIsAllowed() async {
        let program = ChildProcess("head", arguments: ["-c", "100000", "/dev/zero"], outputLimit: 100_000)
        let outcome = await program.run(until: Self.later)
        guard case .output(let output, isSuccess: true, _) = outcome else {
            return #expect(Bool(false), "\(outcome)")
        }
        #expect(output == [UInt8](repeating: 0, count: 100_000))
    }

    @Test(arguments: ["no-such-program-anywhere", "/no/such/program", "/etc/passwd"])
    func aProgramThatIsNotThereOrIsNoneIsALastingFault(_ name: String) async {
        let outcome = await ChildProcess(name, outputLimit: 1000).run(until: Self.later)
        guard case .fault(let problem, isLasting: true) = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(problem.hasPrefix("cannot be run: ") && !problem.hasSuffix("."), "\(problem)")
    }

    @Test func inputThatNobodyReadsIsNoTrouble() async {
        let program = ChildProcess("true", input: String(repeating: "x", count: 4096), outputLimit: 1000)
        for _ in 0..<20 {
            let outcome = await program.run(until: Self.later)
            guard case .output([], isSuccess: true, _) = outcome else { return #expect(Bool(false), "\(outcome)") }
        }
    }

    @Test(arguments: ["", "a line\n", String(repeating: "x", count: 4096)])
    func aProgramReadsItsInputAndThenItsEnd(_ input: String) async {
        let outcome = await ChildProcess("cat", input: input, outputLimit: 5000).run(until: Self.later)
        guard case .output(let output, isSuccess: true, _) = outcome else {
            return #expect(Bool(false), "\(outcome)")
        }
        #expect(String(decoding: output, as: UTF8.self) == input)
    }

    @Test func inputThatIsTooLongIsAFault() async {
        let program = ChildProcess("cat", input: String(repeating: "x", count: 4097), outputLimit: 5000)
        let outcome = await program.run(until: Self.later)
        guard case .fault(_, isLasting: false) = outcome else { return #expect(Bool(false), "\(outcome)") }
    }

    @Test func aProgramThatFailsSaysWhatItWroteAndHowItEnded() async {
        let script = "echo \"$GREETING from $HOME\"; echo secret >&2; exit 7"
        let program = ChildProcess(
            "sh", arguments: ["-c", script], environment: ["GREETING": "hello"], outputLimit: 1000)
        let outcome = await program.run(until: Self.later)
        guard case .output(let output, isSuccess: false, let status) = outcome else {
            return #expect(Bool(false), "\(outcome)")
        }
        let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
        #expect(String(decoding: output, as: UTF8.self) == "hello from \(home)\n")
        #expect(status.contains("7"))
    }
}
