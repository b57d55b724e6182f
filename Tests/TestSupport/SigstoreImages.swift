import Foundation
import OCI
import StrictJSON

/// Images in a layout, signed as cosign signs, and the Sigstore instance that they were signed with: what
/// `Tests/SigstoreInstance/make.py DIRECTORY images` makes.
package struct SigstoreImages: Sendable {
    /// Who must have signed.
    package struct Policy: Sendable {
        package let name: String
        /// The path of a public key.
        package let key: String?
        package let identity: String?
        package let issuer: String?
        package let isLogged: Bool
        package let annotations: [String: String]
    }

    /// An image.
    package struct Image: Sendable {
        package let name: String
        package let digest: Digest
        /// What is special about it.
        package let why: String
        /// How many signatures it has in layers, and how many bundles.
        package let layers: Int
        package let bundles: Int
        /// The policies that it satisfies; every other one must refuse it.
        package let verifiedBy: Set<String>
    }

    /// Why nothing was made.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// The repository that the images are said to be of.
    package let repository: String
    /// The image layout's directory.
    package let layout: String
    /// The path of the trusted root.
    package let trustedRoot: String
    package let policies: [Policy]
    package let images: [Image]
    private let directory: URL

    /// All of it: below `.build`, made anew only when the scripts have changed.
    package static let made: Result<SigstoreImages, any Error> = Result { try SigstoreImages() }

    /// The path of a file: `images/keys/cosign.pub`.
    package func path(_ name: String) -> String { directory.appending(path: name).path() }

    /// An image.
    package func image(_ name: String) -> Image? { images.first { $0.name == name } }

    private init() throws {
        let directory = try Self.make()
        self.directory = directory
        let json = try StrictJSON.parse(Array(try Data(contentsOf: directory.appending(path: "images.json"))))
        func text(_ value: JSONValue, _ name: String) throws -> String {
            guard let text = value[name]?.string else { throw Fault(description: "images.json: \(name) is missing") }
            return text
        }
        func path(_ name: String) -> String { directory.appending(path: name).path() }
        repository = try text(json, "repository")
        layout = path(try text(json, "layout"))
        trustedRoot = path(try text(json, "trustedRoot"))
        policies = (json["policies"]?.object?.members ?? []).map { name, policy in
            Policy(
                name: name, key: policy["key"]?.string.map(path), identity: policy["identity"]?.string,
                issuer: policy["issuer"]?.string, isLogged: policy["tLogVerify"]?.bool ?? true,
                annotations: Dictionary(
                    uniqueKeysWithValues: (policy["annotations"]?.object?.members ?? []).map {
                        ($0.name, $0.value.string ?? "")
                    }))
        }
        images = try (json["images"]?.array ?? []).map { image in
            Image(
                name: try text(image, "name"), digest: try Digest(parsing: text(image, "digest")),
                why: try text(image, "why"), layers: Int(image["legacy"]?.integer ?? 0),
                bundles: Int(image["bundles"]?.integer ?? 0), verifiedBy: Set(image["verifiedBy"]?.strings ?? []))
        }
    }

    private static func make() throws -> URL {
        let scripts = UnpackedArchive.package.appending(path: "Tests/SigstoreInstance")
        let sources = try FileManager.default.contentsOfDirectory(atPath: scripts.path())
            .filter { $0.hasSuffix(".py") }.sorted()
        let content = try sources.flatMap { Array(try Data(contentsOf: scripts.appending(path: $0))) }
        let builds = UnpackedArchive.package.appending(path: ".build")
        let directory = builds.appending(path: "sigstore-images-\(Digest(of: content).hex.prefix(16))")
        guard !FileManager.default.fileExists(atPath: directory.path()) else { return directory }
        // Made beside its place and moved there, so that no other run sees half of it.
        let fresh = builds.appending(path: "sigstore-images-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: fresh, withIntermediateDirectories: true)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", scripts.appending(path: "make.py").path(), fresh.path(), "images"]
        process.environment = ["PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Fault(description: "make.py of Tests/SigstoreInstance failed; its output says why")
        }
        do { try FileManager.default.moveItem(at: fresh, to: directory) } catch {
            try? FileManager.default.removeItem(at: fresh)
        }
        return directory
    }

    // MARK: Copies

    /// Pushes an image with all that cosign stored about it, as it stored it, under its name as its tag.
    ///
    /// - Parameter reference: the repository.
    package func copy(
        _ name: String, to destination: any ArtifactPushing, _ reference: ImageReference
    ) async throws {
        let source = try ImageLayout(directory: layout)
        let deadline = ContinuousClock.now + .seconds(60)
        let own = try ImageReference(parsing: "\(repository):\(name)")
        let image = try await source.resolve(own, deadline: deadline)
        func push(_ descriptor: Descriptor, tag: String?) async throws {
            let content = try await source.manifest(descriptor, in: own, deadline: deadline)
            if let index = try? Index(parsing: content, mediaType: descriptor.mediaType) {
                for listed in index.manifests { try await push(listed, tag: nil) }
                _ = try await destination.pushManifest(
                    content, mediaType: descriptor.mediaType, tag: tag, to: reference, deadline: deadline)
                return
            }
            let manifest = try Manifest(parsing: content, mediaType: descriptor.mediaType)
            for blob in [manifest.config].compactMap({ $0 }) + manifest.layers {
                _ = try await destination.pushBlob(
                    source.blob(blob, in: own, maximumBytes: 1 << 20, deadline: deadline), mediaType: blob.mediaType,
                    to: reference, deadline: deadline)
            }
            if tag == nil, let subject = manifest.subject {
                _ = try await destination.pushReferrer(
                    content, mediaType: descriptor.mediaType, subject: subject,
                    artifactType: manifest.effectiveArtifactType ?? "", annotations: manifest.annotations,
                    to: reference, deadline: deadline)
            } else {
                _ = try await destination.pushManifest(
                    content, mediaType: descriptor.mediaType, tag: tag, to: reference, deadline: deadline)
            }
        }
        try await push(image, tag: name)
        for referrer in try await source.referrers(of: image, in: own, artifactType: nil, deadline: deadline) {
            let isTagged = referrer.artifactType == MediaType.cosignSignature
            try await push(referrer, tag: isTagged ? image.digest.cosignSignatureTag : nil)
        }
    }
}
