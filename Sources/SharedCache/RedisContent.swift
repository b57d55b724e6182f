import ConfigurationModel
import Crypto
import Encoding
import Logging
import OCI
import OCIRegistry
import Redis
import ServiceMetrics
import StrictJSON
import Synchronization

/// Manifests and signature envelopes shared through Redis.
///
/// They need no code that proves where they come from: a name is made of the digest, and what does not have that digest
/// is ignored. The name also has the store in it: whose it is (the cluster's or a namespace's) and how it gets into
/// registries. So what one namespace may read never comes from what another one has read.
package final class RedisContent: Sendable {
    /// What came of a question.
    private enum Outcome: String {
        case hit, miss, invalid, unavailable
    }

    /// The longest content that is shared: a reply must come in the time that a question may take. Envelopes and their
    /// manifests have a few kilobytes.
    package static let maximumBytes = 256 << 10
    /// How long content is shared; whoever fetches it meanwhile prolongs it.
    static let life = Duration.seconds(3600)
    /// How many contents may be on their way to Redis at once; further ones are not shared.
    private static let maximumKeeping = 64
    /// The beginning of all names.
    package static let prefix = "countersign:1:content:"

    private let client: RedisClient
    private let key: SymmetricKey
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let keeping = Atomic<Int>(0)
    /// How often invalid content is logged.
    private let warnings = WarningPace(every: .seconds(5))

    /// - Parameter key: what replicas have and nobody else: names cannot be guessed from images.
    package init(client: RedisClient, key: [UInt8], metrics: MetricsRegistry, logger: Logger) {
        self.client = client
        self.key = SymmetricKey(data: key)
        self.metrics = metrics
        self.logger = logger
    }

    /// The content of one store: no other one sees it, but the same store of other replicas.
    package func content(of store: ServiceConfiguration.StorePlugin) -> any SharedContent {
        StoreContent(shared: self, store: RedisContent.bytes(of: store))
    }

    /// Whose a store is and all that it is told, its credentials' source among it.
    static func bytes(of store: ServiceConfiguration.StorePlugin) -> [UInt8] {
        parts([
            Array((store.namespace.map { "+\($0)" } ?? "-").utf8), Array(store.name.utf8), Array(store.type.name.utf8),
            JSONValue.object(store.parameters).bytes,
        ])
    }

    /// The name in Redis.
    static func name(_ content: ContentKey, in store: [UInt8], key: SymmetricKey) -> String {
        let statement = parts([
            Array("countersign shared content 1".utf8), store, Array(content.kind.rawValue.utf8),
            Array(content.scope.utf8), Array(content.digest.description.utf8),
        ])
        return prefix + Hex.text(HMAC<SHA256>.authenticationCode(for: statement, using: key))
    }

    /// Parts, each with its length in front.
    private static func parts(_ parts: [[UInt8]]) -> [UInt8] {
        parts.reduce(into: []) { $0 += Array("\($1.count):".utf8) + $1 }
    }

    fileprivate func content(for content: ContentKey, in store: [UInt8]) async -> [UInt8]? {
        let name = RedisContent.name(content, in: store, key: key)
        let reply: RedisValue
        do {
            // Never more than may be used, whatever is there.
            reply = try await client.send(
                ["GETRANGE", name, "0", "\(RedisContent.maximumBytes)"].map { Array($0.utf8) })
        } catch {
            count(.unavailable)
            return nil
        }
        // What is not there is empty.
        guard case .bulk(let bytes) = reply, !bytes.isEmpty else {
            count(.miss)
            return nil
        }
        guard bytes.count <= RedisContent.maximumBytes, content.digest.matches(bytes) else {
            count(.invalid)
            warn(content)
            return nil
        }
        count(.hit)
        return bytes
    }

    fileprivate func keep(_ bytes: [UInt8], for content: ContentKey, in store: [UInt8]) {
        guard !bytes.isEmpty, bytes.count <= RedisContent.maximumBytes, client.isConnected else { return }
        guard keeping.add(1, ordering: .relaxed).newValue <= RedisContent.maximumKeeping else {
            keeping.subtract(1, ordering: .relaxed)
            return
        }
        Task { [self] in
            defer { keeping.subtract(1, ordering: .relaxed) }
            try? await client.set(
                RedisContent.name(content, in: store, key: key), bytes, life: RedisContent.life)
        }
    }

    // MARK: Telling

    private func count(_ outcome: Outcome) {
        metrics.count(
            "countersign_shared_content_total", [("result", outcome.rawValue)],
            help: "Questions to the shared cache for manifests and envelopes, by what came of them.")
    }

    private func warn(_ content: ContentKey) {
        guard warnings.isDue() else { return }
        logger.warning(
            "content of the shared cache is not what its digest says, and is ignored: somebody else writes to Redis",
            metadata: [
                "address": "\(client.address)", "content": "\(content.scope)@\(content.digest)",
            ])
    }
}

/// One store's part of the content in Redis.
private struct StoreContent: SharedContent {
    let shared: RedisContent
    let store: [UInt8]

    func content(for key: ContentKey) async -> [UInt8]? { await shared.content(for: key, in: store) }

    func keep(_ content: [UInt8], for key: ContentKey) { shared.keep(content, for: key, in: store) }
}
