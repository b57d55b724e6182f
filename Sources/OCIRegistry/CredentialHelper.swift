import OCI
import Quotation
import StrictJSON
import Subprocess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A program that keeps credentials: `docker-credential-NAME get` reads a registry's name and writes JSON (the
/// protocol of docker-credential-helpers).
struct CredentialHelper: Sendable {
    /// `NAME`, checked by ``DockerConfig``.
    let name: String
    /// Where to look for the program; the environment's `PATH` unless told.
    var path: String?

    private struct Output: Sendable {
        let isSuccess: Bool
        let status: String
        let text: [UInt8]
    }

    private enum Ending: Sendable {
        case output(Output)
        case fault(String, isLasting: Bool)
        case timeout
        case cancelled
    }

    var program: String { "docker-credential-\(name)" }

    /// The credential that the helper has for a server; `nil` when it says that it has none.
    func get(_ server: String, deadline: ContinuousClock.Instant) async throws(RegistryError) -> RegistryCredential? {
        func error(_ kind: RegistryError.Kind, _ detail: String, isConfiguration: Bool = false) -> RegistryError {
            RegistryError(
                kind, host: server, detail: "asking the credential helper \(program): \(detail)",
                isConfiguration: isConfiguration)
        }
        switch await run(server, deadline) {
        case .timeout: throw error(.timeout, "no answer within the time allowed")
        case .cancelled: throw error(.cancelled, "the caller gave up waiting")
        case .fault(let problem, let isLasting):
            throw error(
                .credentials, "\(problem); check that it is installed and works", isConfiguration: isLasting)
        case .output(let output):
            guard output.isSuccess else {
                let said = String(decoding: output.text.prefix(1024), as: UTF8.self)
                // The one thing that every helper says in the same words.
                if said.lowercased().contains("credentials not found") { return nil }
                let line = said.split(whereSeparator: \.isNewline).first.map { String($0).withoutFinalStop } ?? ""
                throw error(
                    .credentials, "it ended with \(output.status)\(line.isEmpty ? "" : ": \(line.quoted)")")
            }
            guard let answer = try? StrictJSON.parse(output.text), let user = answer["Username"]?.string,
                let secret = answer["Secret"]?.string, !secret.isEmpty
            else { throw error(.credentials, "its answer is not JSON with Username and Secret") }
            return DockerConfig.of(user: user, password: secret)
        }
    }

    /// Whether the program is not there, or is none that can be run. A machine that has no process to spare may have
    /// one in a moment.
    private static func isLasting(_ error: any Error) -> Bool {
        guard let error = error as? SubprocessError else { return false }
        return error.code == .executableNotFound
            || error.code == .spawnFailed
                && [ENOENT, ENOTDIR, EACCES, ENOEXEC].contains(error.underlyingError?.rawValue)
    }

    /// The reading end of a pipe that holds a short text already. A helper that ends without reading is none of our
    /// trouble then: Subprocess, which would write to it meanwhile, ends this process when it cannot.
    private static func input(holding text: String) -> Int32? {
        let bytes = Array(text.utf8)
        var ends: [Int32] = [-1, -1]
        // So much goes into a pipe at once that nobody reads (pipe(7), PIPE_BUF). Subprocess hands no other program its
        // ends on.
        guard bytes.count <= 4096, pipe(&ends) == 0 else { return nil }
        defer { close(ends[1]) }
        guard write(ends[1], bytes, bytes.count) == bytes.count else {
            close(ends[0])
            return nil
        }
        return ends[0]
    }

    /// Runs the program until the deadline, and kills it and its children then.
    private func run(_ server: String, _ deadline: ContinuousClock.Instant) async -> Ending {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100))
        ]
        let environment: Environment = path.map { .inherit.updating(["PATH": $0]) } ?? .inherit
        let program = program
        guard let input = Self.input(holding: "\(server)\n") else {
            return .fault("there is no pipe for what it reads", isLasting: false)
        }
        defer { close(input) }
        return await withTaskGroup(of: Ending.self) { [options] group in
            group.addTask {
                do {
                    let result = try await Subprocess.run(
                        .name(program), arguments: ["get"], environment: environment, platformOptions: options,
                        input: .fileDescriptor(.init(rawValue: input), closeAfterSpawningProcess: false),
                        output: .bytes(limit: 128 * 1024), error: .discarded)
                    return .output(
                        Output(
                            isSuccess: result.terminationStatus.isSuccess, status: "\(result.terminationStatus)",
                            text: result.standardOutput))
                } catch {
                    return Task.isCancelled
                        ? .cancelled
                        : .fault(
                            "it cannot be run: \("\(error)".withoutFinalStop)",
                            isLasting: CredentialHelper.isLasting(error))
                }
            }
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
}
