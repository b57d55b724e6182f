import Foundation
import HTTP
import Notation
import OCI
import OCIRegistry
import TestSupport

/// A place to push images to.
struct Repository: Sendable {
    let reference: ImageReference
    let destination: any ArtifactPushing & ReferrerStore

    /// A repository of a registry on loopback.
    init(_ name: String, credentials: any RegistryCredentials = AnonymousCredentials()) throws {
        reference = try ImageReference(parsing: name)
        destination = RegistryClient(
            http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])), credentials: credentials)
    }

    /// A repository anywhere.
    init(_ name: String, destination: any ArtifactPushing & ReferrerStore) throws {
        reference = try ImageReference(parsing: name)
        self.destination = destination
    }

    /// A repository in an image layout, which is made.
    init(_ name: String, layout directory: String) throws {
        reference = try ImageReference(parsing: name)
        destination = try ImageLayout(directory: directory, create: true)
    }

    /// Pushes an image under a tag; each content is another image.
    @discardableResult
    func push(_ tag: String?, content: String) async throws -> Descriptor {
        let deadline = ContinuousClock.now + .seconds(60)
        let config = try await destination.pushBlob(
            Array(#"{"architecture":"amd64","os":"linux","note":"\#(content)"}"#.utf8),
            mediaType: "application/vnd.oci.image.config.v1+json", to: reference, deadline: deadline)
        let manifest = Manifest(config: config, layers: [])
        return try await destination.pushManifest(
            manifest.json.bytes, mediaType: MediaType.ociManifest, tag: tag, to: reference, deadline: deadline)
    }

    /// `registry/repository:tag`
    func name(_ tag: String) -> String { "\(reference.scopeName):\(tag)" }
    /// `registry/repository@digest`
    func name(_ image: Descriptor) -> String { "\(reference.scopeName)@\(image.digest)" }

    /// Pushes an image and signs it.
    @discardableResult
    func push(
        _ tag: String, signedBy signer: TestSigner?, _ format: EnvelopeFormat = .jws, _ way: TestSigner.Way = .good
    ) async throws -> Descriptor {
        let image = try await push(tag, content: tag)
        try await signer?.sign(image, in: reference, at: destination, format, way)
        return image
    }
}
