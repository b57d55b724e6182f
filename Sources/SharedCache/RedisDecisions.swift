import Crypto
import Encoding
import FoundationEssentials
import Logging
import Redis
import ServiceLifecycle
import ServiceMetrics
import StrictJSON
import Verification

/// Decisions shared through Redis, each with a code (HMAC-SHA256) that only replicas can make: over the key it stands
/// under, the time it ends, and itself. Who can write to Redis can take decisions away, but not make, change, move or
/// prolong one.
package final class RedisDecisions: SharedDecisions, Service {
    /// The shortest key of the codes.
    package static let minimumKeyBytes = 32

    /// What came of a question.
    private enum Outcome: String {
        case hit, miss, expired, invalid, unavailable
    }

    private let client: RedisClient
    private let key: SymmetricKey
    private let maximumLife: Duration
    private let metrics: MetricsRegistry
    private let logger: Logger
    /// How often an invalid value is logged.
    private let warnings = WarningPace(every: .seconds(5))

    /// The first bytes of a value: the shape of the rest.
    private static let mark = Array("CSD1".utf8)
    private static let macBytes = 32
    private static let prefix = "countersign:1:decision:"

    /// - Parameters:
    ///   - key: at least ``minimumKeyBytes`` bytes that all replicas have, and nobody else.
    ///   - maximumLife: how long a decision is shared, at most.
    package init(
        client: RedisClient, key: [UInt8], maximumLife: Duration, metrics: MetricsRegistry, logger: Logger
    ) {
        self.client = client
        self.key = SymmetricKey(data: key)
        self.maximumLife = maximumLife
        self.metrics = metrics
        self.logger = logger
        metrics.collect { [client] metrics in
            metrics.gauge(
                "countersign_shared_cache_connected", [], client.isConnected ? 1 : 0,
                help: "1 when the shared cache is connected; without it each replica finds out for itself.")
        }
    }

    /// Keeps the connection until graceful shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [client] in await client.run() }
    }

    package func decision(for key: SharedDecisionKey) async -> (decision: Decision, life: Duration)? {
        let value: [UInt8]?
        do { value = try await client.get(RedisDecisions.name(key)) } catch {
            count(.unavailable)
            return nil
        }
        guard let value else {
            count(.miss)
            return nil
        }
        guard let (milliseconds, content) = opened(value, key), let json = try? StrictJSON.parse(content),
            let decision = Decision(sharedForm: json), decision.reference.utf8.elementsEqual(key.reference.utf8)
        else {
            count(.invalid)
            warn(key)
            return nil
        }
        let life = Duration.milliseconds(milliseconds - RedisDecisions.now)
        // A replica whose clock runs ahead, or that was told a longer time, does not make ours longer.
        guard life > .zero, life <= maximumLife else {
            count(.expired)
            return nil
        }
        count(.hit)
        return (decision, life)
    }

    package func keep(_ decision: Decision, for key: SharedDecisionKey, life: Duration) {
        let life = min(life, maximumLife)
        guard life > .milliseconds(1), client.isConnected else { return }
        let value = sealed(decision.sharedForm.bytes, key, until: RedisDecisions.now + Int64(life / .milliseconds(1)))
        Task { [client] in try? await client.set(RedisDecisions.name(key), value, life: life) }
    }

    // MARK: Values

    /// The name in Redis: a digest, so that namespaces and images cannot be read from the names, and all are of one
    /// length.
    private static func name(_ key: SharedDecisionKey) -> String {
        prefix + Hex.text(SHA256.hash(data: key.bytes))
    }

    private static var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// What the code is over.
    private static func statement(_ key: SharedDecisionKey, _ expiry: [UInt8], _ content: ArraySlice<UInt8>) -> [UInt8]
    {
        Array("countersign shared decision 1\n".utf8) + key.bytes + expiry + content
    }

    private func sealed(_ content: [UInt8], _ key: SharedDecisionKey, until milliseconds: Int64) -> [UInt8] {
        let expiry = (0..<8).map { UInt8(truncatingIfNeeded: milliseconds >> (56 - 8 * $0)) }
        let code = HMAC<SHA256>.authenticationCode(
            for: RedisDecisions.statement(key, expiry, content[...]), using: self.key)
        return RedisDecisions.mark + Array(code) + expiry + content
    }

    private func opened(
        _ value: [UInt8], _ key: SharedDecisionKey
    ) -> (milliseconds: Int64, content: ArraySlice<UInt8>)? {
        let head = RedisDecisions.mark.count
        let body = head + RedisDecisions.macBytes
        guard value.count > body + 8, value.starts(with: RedisDecisions.mark) else { return nil }
        let expiry = Array(value[body..<(body + 8)])
        let content = value[(body + 8)...]
        guard
            HMAC<SHA256>.isValidAuthenticationCode(
                value[head..<body], authenticating: RedisDecisions.statement(key, expiry, content), using: self.key)
        else { return nil }
        return (expiry.reduce(Int64(0)) { $0 << 8 | Int64($1) }, content)
    }

    // MARK: Telling

    private func count(_ outcome: Outcome) {
        metrics.count(
            "countersign_shared_cache_total", [("result", outcome.rawValue)],
            help: "Questions to the shared cache, by what came of them.")
    }

    private func warn(_ key: SharedDecisionKey) {
        guard warnings.isDue() else { return }
        logger.warning(
            "a value of the shared cache was not made by a replica with this key, and is ignored: somebody else writes to Redis, or --cache-key-file differs between replicas",
            metadata: ["address": "\(client.address)", "image": "\(key.reference)"])
    }
}
