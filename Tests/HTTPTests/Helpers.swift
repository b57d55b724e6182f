import Foundation
import HTTP
import Testing

/// A deadline that no test should reach.
var soon: ContinuousClock.Instant { .now + .seconds(10) }

/// Runs something with a client and shuts the client down.
func withClient(
    _ configuration: HTTPClientConfiguration = .init(environment: [:]),
    _ body: (HTTPClient) async throws -> Void
) async throws {
    let client = try HTTPClient(configuration: configuration)
    do { try await body(client) } catch {
        await client.shutdown()
        throw error
    }
    await client.shutdown()
}

/// The error of a request that fails; `nil` when it does not.
func failure(
    _ request: HTTPRequest, _ configuration: HTTPClientConfiguration = .init(environment: [:])
) async -> HTTPError? {
    do throws(HTTPError) {
        let client = try HTTPClient(configuration: configuration)
        let result: HTTPError?
        do throws(HTTPError) {
            _ = try await client.send(request)
            result = nil
        } catch { result = error }
        await client.shutdown()
        return result
    } catch { return error }
}

/// Expects the status 200.
func expectAnswer(_ client: HTTPClient, _ url: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let response = try await client.send(.init(.get, url, deadline: soon))
    #expect(response.status == 200, sourceLocation: sourceLocation)
}
