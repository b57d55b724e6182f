import ArgumentParser
import HTTP
import Quotation

/// `countersign probe URL`: the image has no shell and no curl, and `helm test` wants to know from inside the cluster.
struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Ask a health endpoint, from where there is no curl.",
        discussion: """
            Prints the answer. The exit status is 0 for a status from 200 to 299, 1 for another, 3 without an answer.

            EXAMPLES
              countersign probe http://ratify.gatekeeper-system:9099/readyz
              countersign probe http://localhost:9099/healthz --timeout 2 --attempts 10
            """)

    @Argument(help: "An http or https URL.")
    var url: String

    @Option(help: ArgumentHelp("How long one attempt may take.", valueName: "seconds"))
    var timeout = 5

    @Option(help: ArgumentHelp("How often to ask, a second apart, until the answer is good.", valueName: "count"))
    var attempts = 1

    @Option(help: ArgumentHelp("PEM file of further certificate authorities to trust.", valueName: "file"))
    var caFile: String?

    func validate() throws {
        guard (1...600).contains(timeout) else { throw ValidationError("--timeout is \(timeout): expected 1 to 600") }
        guard (1...1000).contains(attempts) else {
            throw ValidationError("--attempts is \(attempts): expected 1 to 1000")
        }
    }

    func run() async throws {
        let client: HTTPClient
        do { client = try HTTPClient(configuration: HTTPClientConfiguration(extraCABundle: caFile)) } catch {
            throw CommandFailure(.usage, error.detail)
        }
        var failure = CommandFailure(.undetermined, "\(url.quotedPath): not asked")
        for attempt in 1...attempts {
            if attempt > 1 { try await Task.sleep(for: .seconds(1)) }
            do throws(CommandFailure) {
                print(Terminal.plain(try await answer(of: client)))
                await client.shutdown()
                return
            } catch { failure = error }
        }
        await client.shutdown()
        throw failure
    }

    /// The text of a good answer.
    private func answer(of client: HTTPClient) async throws(CommandFailure) -> String {
        let request = HTTPRequest(
            .get, url, maximumResponseBytes: 64 << 10, deadline: .now + .seconds(timeout), retry: .none,
            answersEveryStatus: true)
        let response: HTTPResponse
        do { response = try await client.send(request) } catch {
            let isWrong = error.kind == .invalidURL || error.kind == .configuration
            throw CommandFailure(isWrong ? .usage : .undetermined, "\(url.quotedPath): \(error.detail)")
        }
        let text = String(decoding: response.body, as: UTF8.self).split(separator: "\n").joined(separator: " ")
        guard (200..<300).contains(response.status) else {
            throw CommandFailure(
                .notVerified, "\(url.quotedPath): status \(response.status)\(text.isEmpty ? "" : ": \(text)")")
        }
        return text
    }
}
