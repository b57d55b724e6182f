import Logging
import NIOCore
import NIOSSL
import Quotation
import Synchronization

/// Talks to one Redis server over one connection, which is kept open and made again when it ends.
///
/// It never makes anybody wait for a server that is down: without a connection every command fails at once, and a
/// command that is not answered in time ends the connection. Reconnecting goes on behind the scenes, with longer and
/// longer waits in between.
package final class RedisClient: Sendable {
    private struct State {
        var connection: RedisConnection?
        /// Why there is none.
        var problem = "not connected yet"
    }

    private let configuration: RedisConfiguration
    private let tls: NIOSSLContext?
    private let logger: Logger
    private let state = Mutex(State())

    /// A client that connects once ``run()`` is called.
    ///
    /// - Throws: `configuration` when the certificate authorities cannot be used.
    package init(_ configuration: RedisConfiguration, logger: Logger) throws(RedisError) {
        self.configuration = configuration
        self.logger = logger
        switch configuration.security {
        case .plain: tls = nil
        case .tls(let authorities):
            var settings = TLSConfiguration.makeClientConfiguration()
            settings.minimumTLSVersion = .tlsv12
            if let authorities { settings.trustRoots = .file(authorities) }
            do { tls = try NIOSSLContext(configuration: settings) } catch {
                throw RedisError(
                    .configuration,
                    "\(authorities ?? "the system's authorities"): no certificates can be read: \(error)")
            }
        }
    }

    /// Whether there is a connection now.
    package var isConnected: Bool { state.withLock { $0.connection != nil } }

    /// `host:port`
    package var address: String {
        "\(configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host):\(configuration.port)"
    }

    /// Keeps a connection until the task is cancelled.
    package func run() async {
        var wait = configuration.backoff.first
        var reported = ""
        while !Task.isCancelled {
            do {
                let connection = try await RedisConnection.open(configuration, tls: tls)
                state.withLock { $0.connection = connection }
                if !reported.isEmpty || wait != configuration.backoff.first {
                    logger.info("Redis is there again", metadata: ["address": "\(address)"])
                } else {
                    logger.info("connected to Redis", metadata: ["address": "\(address)"])
                }
                reported = ""
                wait = configuration.backoff.first
                await withTaskCancellationHandler {
                    _ = try? await connection.channel.closeFuture.get()
                } onCancel: {
                    connection.close()
                }
                lost("the connection has ended")
            } catch {
                lost("\(error)")
            }
            guard !Task.isCancelled else { break }
            let problem = state.withLock { $0.problem }
            if problem != reported {
                logger.warning(
                    "Redis is not to be had: what it would have known is found out anew",
                    metadata: ["address": "\(address)", "reason": "\(problem.prefix(500))"])
                reported = problem
            }
            // A random part, so that replicas do not come back all at once.
            try? await Task.sleep(for: wait * Double.random(in: 0.5...1))
            wait = min(wait * 2, configuration.backoff.longest)
        }
        state.withLock { $0.connection }?.close()
        lost("the client was stopped")
    }

    private func lost(_ reason: String) {
        state.withLock { state in
            state.connection = nil
            state.problem = reason
        }
    }

    /// The value under a key; `nil` when there is none.
    package func get(_ key: String) async throws(RedisError) -> [UInt8]? {
        switch try await send([Array("GET".utf8), Array(key.utf8)]) {
        case .bulk(let bytes): return bytes
        case .null: return nil
        default: throw RedisError(.malformed, "GET was answered with something else than a value")
        }
    }

    /// Puts a value under a key, for so long.
    package func set(_ key: String, _ value: [UInt8], life: Duration) async throws(RedisError) {
        let milliseconds = life.components.seconds * 1000 + life.components.attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0 else { return }
        _ = try await send([
            Array("SET".utf8), Array(key.utf8), value, Array("PX".utf8), Array("\(milliseconds)".utf8),
        ])
    }

    /// Sends a command; an error of the server is thrown.
    package func send(_ command: [[UInt8]]) async throws(RedisError) -> RedisValue {
        let (current, problem) = state.withLock { ($0.connection, $0.problem) }
        guard let current, current.channel.isActive else { throw RedisError(.unavailable, problem) }
        let reply: RedisValue
        do {
            reply = try await current.send(command, deadline: .now() + TimeAmount(configuration.timeout))
        } catch let error as RedisError {
            // No other command waits for this server: the connection is given up, and made again.
            if error.kind == .timeout || error.kind == .malformed {
                state.withLock { state in
                    guard state.connection === current else { return }
                    state.connection = nil
                    state.problem = error.description
                }
                current.close()
            }
            throw error
        } catch { throw RedisError(.unavailable, "\(error)") }
        if case .error(let text) = reply { throw RedisError(.refused, configuration.secrets.quote(text)) }
        return reply
    }
}
