import Foundation
import HTTP
import OCI
import StrictJSON
import TestSupport
import Testing

/// The container image that `scripts/image` makes: pushed to a registry, signed and verified by the command that is in
/// it.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
struct ContainerImageTests {
    /// The layout that the script makes of the built command.
    private struct Layout {
        let directory: String
        let manifest: Descriptor

        init(_ directory: String) async throws {
            self.directory = directory
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let made = try run(
                "python3", root.appending(path: "scripts/image").path(), "--binary", Command.path, "--output",
                directory, "--no-compression", environment: ["SOURCE_DATE_EPOCH": "1700000000"])
            #expect(made.status == 0, "\(made.output)")
            let index = try StrictJSON.parse(Array(Data(contentsOf: URL(filePath: directory + "/index.json"))))
            let digest = try #require(index["manifests"]?.array?.first?["digest"]?.string)
            #expect(made.output.contains(digest))
            let content = try Self.blob(try Digest(parsing: digest), in: directory)
            manifest = Descriptor(of: content, mediaType: MediaType.ociManifest)
        }

        static func blob(_ digest: Digest, in directory: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(filePath: "\(directory)/blobs/sha256/\(digest.hex)")))
        }

        func blob(_ descriptor: Descriptor) throws -> [UInt8] { try Self.blob(descriptor.digest, in: directory) }

        func parsed() throws -> Manifest {
            try Manifest(parsing: try blob(manifest), mediaType: MediaType.ociManifest)
        }

        /// Pushes all of it under a tag.
        func push(_ tag: String, to app: Repository) async throws {
            let parsed = try parsed()
            let deadline = ContinuousClock.now + .seconds(120)
            for part in [try #require(parsed.config)] + parsed.layers {
                _ = try await app.destination.pushBlob(
                    try blob(part), mediaType: part.mediaType, to: app.reference, deadline: deadline)
            }
            let pushed = try await app.destination.pushManifest(
                try blob(manifest), mediaType: MediaType.ociManifest, tag: tag, to: app.reference, deadline: deadline)
            #expect(pushed.digest == manifest.digest)
        }

        /// The same image with one byte of the command changed, and its descriptor.
        func pushTampered(_ tag: String, to app: Repository) async throws -> Descriptor {
            var parsed = try parsed()
            let deadline = ContinuousClock.now + .seconds(120)
            var command = try blob(try #require(parsed.layers.last))
            command[command.count / 2] ^= 1
            let layer = try await app.destination.pushBlob(
                command, mediaType: parsed.layers[1].mediaType, to: app.reference, deadline: deadline)
            parsed = Manifest(config: try #require(parsed.config), layers: [parsed.layers[0], layer])
            return try await app.destination.pushManifest(
                parsed.json.bytes, mediaType: MediaType.ociManifest, tag: tag, to: app.reference, deadline: deadline)
        }
    }

    @Test func pushedSignedVerifiedAndServed() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let layout = try await Layout(files.path("image"))
        let again = try await Layout(files.path("again"))
        #expect(layout.manifest.digest == again.manifest.digest, "the same command gives the same image")

        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let app = try Repository("\(registry.host)/countersign")
        try await layout.push("v1", to: app)
        let (name, tls) = (app.name("v1"), try ServingFiles(in: files.directory))
        let process = try await ServeProcess(config: files.path("config.json"), tls: tls, ["--cache-ttl", "0s"])
        func ask(_ key: String) async throws -> Answer {
            Answer(
                try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                asked: [key])
        }
        expectDenied(try await ask(name), nil, "no signature")
        let signed = try await Command.run(["sign", name] + files.identity("release"))
        #expect(signed.status == 0, "\(signed)")
        let verified = try await Command.run(["verify", name] + files.trust)
        #expect(verified.status == 0, "\(verified)")
        expectAdmitted(try await ask(name))
        try await runsFromItsOwnLayers(layout, files, name)

        // One byte of the command is another one: under another tag, with the signature of the good one, under its tag.
        let tampered = try await layout.pushTampered("tampered", to: app)
        expectDenied(try await ask(app.name("tampered")), nil, "no signature")
        let signatures = try await app.destination.referrers(
            of: layout.manifest, in: app.reference, artifactType: MediaType.notationSignature,
            deadline: .now + .seconds(60))
        let signature = try await app.destination.manifest(
            try #require(signatures.first), in: app.reference, deadline: .now + .seconds(60))
        let envelope = try #require(
            try Manifest(parsing: signature, mediaType: MediaType.ociManifest).layers.first)
        try await TestSigner.push(
            try await app.destination.blob(
                envelope, in: app.reference, maximumBytes: 1 << 20, deadline: .now + .seconds(60)),
            envelope.mediaType, for: tampered, in: app.reference, at: app.destination)
        expectDenied(try await ask(app.name("tampered")), nil, layout.manifest.digest.description)
        _ = try await app.destination.pushManifest(
            try await app.destination.manifest(tampered, in: app.reference, deadline: .now + .seconds(60)),
            mediaType: MediaType.ociManifest, tag: "v1", to: app.reference, deadline: .now + .seconds(60))
        expectDenied(try await ask(name), nil, layout.manifest.digest.description)
        let refused = try await Command.run(["verify", name] + files.trust)
        #expect(refused.status == 1, "\(refused)")
        // The digest that was signed is as good as ever.
        expectAdmitted(try await ask(app.name(layout.manifest)))
    }

    /// The command of the image verifies the image, with nothing but what its layers hold, as its user.
    private func runsFromItsOwnLayers(_ layout: Layout, _ files: CommandFiles, _ name: String) async throws {
        let root = files.path("root")
        try FileManager.default.createDirectory(atPath: root + "/proc", withIntermediateDirectories: true)
        for layer in try layout.parsed().layers {
            let unpacked = try run(
                "tar", "-xf", "\(layout.directory)/blobs/sha256/\(layer.digest.hex)", "-C", root, "--no-same-owner")
            #expect(unpacked.status == 0, "\(unpacked.output)")
        }
        for directory in ["policy.json", "truststore"] {
            try FileManager.default.copyItem(atPath: files.path(directory), toPath: "\(root)/\(directory)")
        }
        // A container has /proc; Swift finds a program's arguments there.
        let isRoot = geteuid() == 0
        let user = isRoot ? ["--userspec=65532:65532"] : []
        let isolated =
            ["unshare", "--mount", "--pid", "--fork"] + (isRoot ? [] : ["--map-root-user"]) + [
                "sh", "-c", #"mount -t proc proc "$0/proc" && exec "$@""#, root,
            ]
        // Not every machine lets its tests make namespaces.
        guard try run(isolated + ["true"]).status == 0 else { return }
        let verified = try run(
            isolated + ["chroot"] + user + [
                root, "/countersign", "verify", name, "--trust-policy", "/policy.json", "--trust-store", "/truststore",
            ])
        #expect(verified.status == 0, "\(verified.output)")
        #expect(verified.output.contains(layout.manifest.digest.description), "\(verified.output)")
    }
}

/// Runs a program to its end: its status, and what it wrote.
private func run(_ arguments: String..., environment: [String: String] = [:]) throws -> (status: Int32, output: String)
{
    try run(arguments, environment: environment)
}

private func run(_ arguments: [String], environment: [String: String] = [:]) throws -> (status: Int32, output: String) {
    let scratch = try TemporaryDirectory()
    defer { scratch.remove() }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.environment = Command.environment(home: scratch.path).merging(environment) { $1 }
    process.environment?["PATH", default: ""] += ":/usr/sbin:/sbin"
    let output = try FileHandle(forWritingTo: URL(filePath: scratch.write([], to: "output")))
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, try String(contentsOfFile: scratch.path("output"), encoding: .utf8))
}
