import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import Notation
import OCI
import StrictJSON
import Synchronization

/// A registry with a Referrers API (distribution specification 1.1) whose images and signatures come into being when
/// they are asked for: any number of images, each with its own digest and its own valid signature, and what is kept of
/// them is bounded. It counts what it is asked.
final class GeneratedRegistry: Sendable {
    /// An answer.
    struct Answer {
        var status = HTTPResponseStatus.ok
        var type = "application/json"
        var digest: String?
        var isFiltered = false
        var body: [UInt8]

        static let none = Answer(status: .notFound, body: Array(#"{"errors":[{"code":"NOT_FOUND"}]}"#.utf8))
    }

    private struct Signature {
        let listing: [UInt8]
        let manifest: (digest: String, content: [UInt8])
        let envelope: (digest: String, content: [UInt8])
    }

    private struct State {
        /// The numbers of the images that were asked for, by digest.
        var numbers: [String: Int] = [:]
        /// By the image's digest; the oldest go first.
        var signatures: [String: Signature] = [:]
        var order: [String] = []
        var oldest = 0
        /// The image's digest by that of its signature manifest or envelope.
        var owners: [String: String] = [:]
    }

    /// How many signatures are kept: many more than are asked for at once.
    private static let kept = 2000

    private let signer: EnvelopeSigner
    private let thumbprints: String
    private let state = Mutex(State())
    private let asked = Atomic<Int>(0)
    private let listener = Mutex<(any Channel)?>(nil)
    private let port = Atomic<Int>(0)

    /// `127.0.0.1:port`
    var host: String { "127.0.0.1:\(port.load(ordering: .relaxed))" }
    /// How many requests there were.
    var requests: Int { asked.load(ordering: .relaxed) }

    /// Starts it on a free port of loopback.
    init(signer: EnvelopeSigner, group: MultiThreadedEventLoopGroup) async throws {
        self.signer = signer
        thumbprints = JSONValue.array(signer.chain.map { .string($0.sha256Hex) }).text
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(GeneratedRegistryHandler(self))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port.store(channel.localAddress?.port ?? 0, ordering: .relaxed)
        listener.withLock { $0 = channel }
    }

    func stop() async { try? await listener.withLock { $0 }?.close() }

    /// References of images, each another one; spread over repositories as in a large cluster.
    func images(_ range: Range<Int>) -> [String] {
        range.map { "\(host)/team-\($0 % 500)/app:v\($0)" }
    }

    // MARK: Answers

    func answer(_ method: HTTPMethod, _ uri: String) throws -> Answer {
        asked.add(1, ordering: .relaxed)
        // /v2/REPOSITORY/KIND/NAME
        let parts = uri.prefix { $0 != "?" }.split(separator: "/")
        guard parts.count >= 4, parts[0] == "v2", method == .GET || method == .HEAD else { return .none }
        let name = String(parts[parts.count - 1])
        switch parts[parts.count - 2] {
        case "manifests": return manifest(name)
        case "referrers": return try referrers(name)
        case "blobs":
            return content(name) { $0.envelope }.map {
                Answer(type: MediaType.octetStream, digest: name, body: $0)
            } ?? .none
        default: return .none
        }
    }

    private func manifest(_ name: String) -> Answer {
        if let content = content(name, \.manifest) {
            return Answer(type: MediaType.ociManifest, digest: name, body: content)
        }
        let number = name.hasPrefix("v") ? Int(name.dropFirst()) : state.withLock { $0.numbers[name] }
        guard let number else { return .none }
        let content = Self.image(number)
        let digest = Digest(of: content).description
        state.withLock { $0.numbers[digest] = number }
        return Answer(type: MediaType.ociManifest, digest: digest, body: content)
    }

    private func content(_ digest: String, _ part: (Signature) -> (digest: String, content: [UInt8])) -> [UInt8]? {
        state.withLock { state in
            guard let owner = state.owners[digest], let signature = state.signatures[owner] else { return nil }
            let found = part(signature)
            return found.digest == digest ? found.content : nil
        }
    }

    private func referrers(_ digest: String) throws -> Answer {
        let (known, number) = state.withLock { ($0.signatures[digest]?.listing, $0.numbers[digest]) }
        if let known { return Answer(type: MediaType.ociIndex, isFiltered: true, body: known) }
        guard let number else { return .none }
        let signature = try sign(Descriptor(of: Self.image(number), mediaType: MediaType.ociManifest))
        state.withLock { state in
            guard state.signatures.updateValue(signature, forKey: digest) == nil else { return }
            state.owners[signature.manifest.digest] = digest
            state.owners[signature.envelope.digest] = digest
            if state.order.count < Self.kept { return state.order.append(digest) }
            let old = state.order[state.oldest]
            state.order[state.oldest] = digest
            state.oldest = (state.oldest + 1) % Self.kept
            guard let gone = state.signatures.removeValue(forKey: old) else { return }
            state.owners[gone.manifest.digest] = nil
            state.owners[gone.envelope.digest] = nil
        }
        return Answer(type: MediaType.ociIndex, isFiltered: true, body: signature.listing)
    }

    private func sign(_ image: Descriptor) throws -> Signature {
        let envelope = try signer.sign(image, SigningOptions(format: .jws), now: Date())
        let layer = Descriptor(of: envelope, mediaType: EnvelopeFormat.jws.mediaType)
        // In the shape that notation 1.3 writes.
        let annotations = ["io.cncf.notary.x509chain.thumbprint#S256": thumbprints]
        let manifest = Manifest(
            config: Descriptor(of: Array("{}".utf8), mediaType: MediaType.notationSignature), layers: [layer],
            subject: image, annotations: annotations
        ).json.bytes
        let entry = Descriptor(
            of: manifest, mediaType: MediaType.ociManifest, artifactType: MediaType.notationSignature,
            annotations: annotations)
        let listing: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": [entry.json],
        ]
        return Signature(
            listing: listing.bytes, manifest: (entry.digest.description, manifest),
            envelope: (layer.digest.description, envelope))
    }

    /// The manifest of an image: the same bytes each time.
    private static func image(_ number: Int) -> [UInt8] {
        func blob(_ kind: String, _ mediaType: String, size: Int64) -> Descriptor {
            Descriptor(mediaType: mediaType, digest: Digest(of: Array("\(kind) \(number)".utf8)), size: size)
        }
        return Manifest(
            config: blob("config", "application/vnd.oci.image.config.v1+json", size: 1469),
            layers: (0..<3).map {
                blob("layer \($0)", "application/vnd.oci.image.layer.v1.tar+gzip", size: 2_811_478)
            }
        ).json.bytes
    }
}

/// One connection to a ``GeneratedRegistry``.
private final class GeneratedRegistryHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let registry: GeneratedRegistry
    private var head: HTTPRequestHead?

    init(_ registry: GeneratedRegistry) { self.registry = registry }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            let answer: GeneratedRegistry.Answer
            do { answer = try registry.answer(head.method, head.uri) } catch {
                note("the registry cannot sign: \(error)")
                return context.close(promise: nil)
            }
            var headers = HTTPHeaders([
                ("Content-Type", answer.type), ("Content-Length", "\(answer.body.count)"),
            ])
            if let digest = answer.digest { headers.add(name: "Docker-Content-Digest", value: digest) }
            if answer.isFiltered { headers.add(name: "OCI-Filters-Applied", value: "artifactType") }
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers))),
                promise: nil)
            if head.method != .HEAD {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
