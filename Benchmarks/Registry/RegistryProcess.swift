import FoundationEssentials
import Glibc
import HTTP
import Notation
import OCI
import OCIRegistry

/// Debian's `docker-registry` as a process of its own: 2.8, without a Referrers API, so that signatures are found by
/// the referrers tag. What it was asked is counted in its access log.
struct RegistryProcess: Sendable {
    static let program = "/usr/bin/docker-registry"
    /// Whether the program is installed.
    static var isInstalled: Bool { access(program, X_OK) == 0 }

    /// `127.0.0.1:port`
    let host: String
    private let process: ServerProcess
    private let log: String

    /// Starts it with its content in a new directory.
    init(directory: String) async throws {
        let port = try ServerLauncher.freePort()
        let config = directory + "/registry.yml"
        try ServingFiles.write(
            """
            version: 0.1
            log:
              level: error
              accesslog:
                disabled: false
            storage:
              filesystem:
                rootdirectory: \(directory)/registry
            http:
              addr: 127.0.0.1:\(port)
              secret: benchmark

            """, to: config)
        log = directory + "/registry.log"
        host = "127.0.0.1:\(port)"
        process = try ServerProcess(Self.program, ["serve", config], log: log)
        let deadline = ContinuousClock.now + .seconds(15)
        while !ServerLauncher.isListening(port: port) {
            guard ContinuousClock.now < deadline else {
                await process.stop()
                throw BenchmarkError("docker-registry does not start: \(textFile(log).suffix(1000))")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    func stop() async { await process.stop() }

    /// How many requests there were.
    var requests: Int {
        textFile(log).split(separator: "\n").count { $0.contains(#""GET /v2/"#) || $0.contains(#""HEAD /v2/"#) }
    }

    /// Pushes images and signs them; gives their references.
    func push(_ count: Int, signer: EnvelopeSigner) async throws -> [String] {
        let client = RegistryClient(
            http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])))
        let signer = ImageSigner(signer: signer, destination: client)
        let repository = "\(host)/shop/web"
        let reference = try ImageReference(parsing: repository)
        var references: [String] = []
        for number in 0..<count {
            let deadline = ContinuousClock.now + .seconds(20)
            let config = try await client.pushBlob(
                Array(#"{"architecture":"amd64","os":"linux","number":\#(number)}"#.utf8),
                mediaType: "application/vnd.oci.image.config.v1+json", to: reference, deadline: deadline)
            let image = try await client.pushManifest(
                Manifest(config: config, layers: []).json.bytes, mediaType: MediaType.ociManifest, tag: "v\(number)",
                to: reference, deadline: deadline)
            _ = try await signer.sign(image, in: reference, now: Date(), deadline: deadline)
            references.append("\(repository):v\(number)")
        }
        return references
    }
}
