import Foundation
import OCI
import StrictJSON
import Synchronization

/// A registry in the test's process with the Referrers API (distribution specification 1.1), that fails on demand
/// and remembers what it was asked. Loopback only, on a port the system chooses unless told.
///
/// ```swift
/// let registry = try await FaultyRegistry.start()
/// let image = registry.putImage("app", tag: "v1")
/// registry.inject(.tooManyRequests(retryAfter: "1"), path: "/v2/*/manifests/*", count: 1)
/// …
/// await registry.stop()
/// ```
package final class FaultyRegistry: Sendable {
    /// Who may do what.
    package enum Authentication: Sendable {
        /// Everyone may do everything.
        case none
        /// One account, for everything.
        case basic(user: String, password: String)
        /// Bearer tokens from the registry's own `/token`, for one account, which may also use `refreshToken`;
        /// without an account's credentials a token allows pulling if `anonymousPull` says so.
        case token(
            user: String, password: String, refreshToken: String? = nil, anonymousPull: Bool = false,
            lifetime: Int = 300)
    }

    /// How it behaves when nothing is injected.
    package struct Options: Sendable {
        /// Whether there is a Referrers API; otherwise it answers 404 and does not process `subject`.
        package var referrersAPI = true
        /// How many referrers one page lists; `nil` = all.
        package var referrersPageSize: Int?
        /// Whether `artifactType` filters, and `OCI-Filters-Applied` says so.
        package var filtersReferrers = true
        /// Whether `Link` holds a whole URL instead of a path.
        package var absoluteLinks = false
        package var authentication = Authentication.none
        /// Certificate chain and key as PEM, to serve https.
        package var tls: (certificateChain: String, key: String)?
        /// The port to listen on; 0 for one that the system chooses.
        package var port = 0

        package init() {}

        /// Whether somebody has to say who he is.
        package var isProtected: Bool { if case .none = authentication { false } else { true } }
    }

    struct State {
        var contents = RegistryContents()
        var requests: [EmulatorRequest] = []
        var faults: [RegistryFault] = []
        var tokens: [String: RegistryToken] = [:]
        var tokenRequests: [RegistryTokenRequest] = []
        var counter = 0
        /// The account's password, once it is another than the options say.
        var password: String?
        var load = RegistryLoad()
    }

    package let options: Options
    private let server: EmulatorServer
    let state = Mutex(State())

    /// The port it listens on, or did until it was stopped.
    package var port: Int { server.port }
    /// `127.0.0.1:port`, as in image references.
    package var endpoint: String { "127.0.0.1:\(port)" }
    /// `http://127.0.0.1:port`, or https.
    package var url: String { "\(options.tls == nil ? "http" : "https")://\(endpoint)" }

    private init(_ options: Options) async throws {
        self.options = options
        server = try EmulatorServer(tls: options.tls)
        try await server.up(port: options.port) { try await self.answer($0, $1) }
    }

    /// Starts a registry.
    package static func start(_ options: Options = .init()) async throws -> FaultyRegistry {
        try await FaultyRegistry(options)
    }

    /// Breaks every connection and stops listening.
    package func stop() async { await server.down() }

    // MARK: For tests

    /// Every request so far.
    package var requests: [EmulatorRequest] { state.withLock { $0.requests } }

    /// Forgets the requests so far.
    package func forgetRequests() { state.withLock { $0.requests = [] } }

    /// Makes matching requests fail, `count` times, or for good.
    package func inject(
        _ kind: RegistryFault.Kind, method: String? = nil, path: String = "*", query: [String: String] = [:],
        count: Int? = nil
    ) {
        state.withLock {
            $0.faults.append(RegistryFault(kind: kind, method: method, path: path, query: query, remaining: count))
        }
    }

    /// Behaves again.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    // MARK: Serving

    private func answer(_ request: EmulatorRequest, _ exchange: EmulatorExchange) async throws {
        let gate = state.withLock { state in
            state.requests.append(request)
            return state.faults.first { $0.gate != nil && $0.matches(request) }?.gate
        }
        await gate?.wait()
        let (good, latency) = state.withLock { state -> (EmulatorAnswer, Duration) in
            (state.load.begin(request) ?? respond(to: request, &state), state.load.latency)
        }
        defer { state.withLock { $0.load.end(request) } }
        if latency > .zero { try await Task.sleep(for: latency) }
        let fault = state.withLock { state -> RegistryFault.Kind? in
            let isGood = (200..<300).contains(good.status)
            return state.faults.take { $0.gate == nil && $0.matches(request) && (isGood || !$0.needsGoodAnswer) }
        }
        var answer = good
        switch fault {
        case .reset: try await exchange.reset()
        case .delay(let time): try await Task.sleep(for: time)
        case let fault?: answer.apply(fault, to: request)
        case nil: break
        }
        try await exchange.send(answer)
    }
}
