import Foundation
import OCI
import StrictJSON

/// Putting things into a ``FaultyRegistry`` without asking it.
extension FaultyRegistry {
    /// Stores a blob.
    @discardableResult
    package func putBlob(_ content: [UInt8], mediaType: String = MediaType.octetStream, in repository: String)
        -> Descriptor
    {
        let descriptor = Descriptor(of: content, mediaType: mediaType)
        state.withLock {
            $0.contents.repositories[repository, default: .init()].blobs[descriptor.digest.description] = content
        }
        return descriptor
    }

    /// Stores a manifest as it is, right or wrong.
    @discardableResult
    package func putManifest(
        _ content: [UInt8], mediaType: String = MediaType.ociManifest, tag: String? = nil, in repository: String
    ) -> Descriptor {
        let stored = state.withLock {
            $0.contents.store(manifest: content, mediaType: mediaType, tag: tag, in: repository)
        }
        return Descriptor(mediaType: mediaType, digest: stored.digest, size: Int64(content.count))
    }

    /// Stores an image with one layer of the given content.
    @discardableResult
    package func putImage(_ repository: String, tag: String? = nil, content: String = "a layer") -> Descriptor {
        let configuration = putBlob(
            Array(#"{"architecture":"amd64","os":"linux"}"#.utf8),
            mediaType: "application/vnd.oci.image.config.v1+json",
            in: repository)
        let layer = putBlob(
            Array(content.utf8), mediaType: "application/vnd.oci.image.layer.v1.tar", in: repository)
        let manifest: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.ociManifest), "config": configuration.json,
            "layers": .array([layer.json]),
        ]
        return putManifest(manifest.bytes, tag: tag, in: repository)
    }

    /// Stores an artifact with one blob that refers to a subject, laid out as notation does it: an empty
    /// configuration whose media type is the artifact's type.
    @discardableResult
    package func putReferrer(
        of subject: Descriptor, artifactType: String, blob: [UInt8], mediaType: String,
        annotations: [String: String] = [:], in repository: String
    ) -> Descriptor {
        let configuration = putBlob(Array("{}".utf8), mediaType: artifactType, in: repository)
        let content = putBlob(blob, mediaType: mediaType, in: repository)
        var manifest: JSONObject = [
            "schemaVersion": 2, "mediaType": .string(MediaType.ociManifest), "config": configuration.json,
            "layers": .array([content.json]), "subject": subject.json,
        ]
        if !annotations.isEmpty {
            var members = JSONObject()
            for name in annotations.keys.sorted() { members[name] = annotations[name].map(JSONValue.string) }
            manifest["annotations"] = .object(members)
        }
        return putManifest(JSONValue.object(manifest).bytes, in: repository)
    }

    /// Stores everything of an OCI image layout; tags are the index's `org.opencontainers.image.ref.name`.
    package func load(layout directory: String, into repository: String) throws {
        let root = URL(filePath: directory)
        for algorithm in try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "blobs").path) {
            let folder = root.appending(path: "blobs/\(algorithm)")
            for hex in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                let content = [UInt8](try Data(contentsOf: folder.appending(path: hex)))
                state.withLock {
                    $0.contents.repositories[repository, default: .init()].blobs["\(algorithm):\(hex)"] = content
                }
            }
        }
        let index = try StrictJSON.parse([UInt8](try Data(contentsOf: root.appending(path: "index.json"))))
        try load(manifestsOf: index, of: root, into: repository)
    }

    private func load(manifestsOf index: JSONValue, of root: URL, into repository: String) throws {
        for entry in index["manifests"]?.array ?? [] {
            let descriptor = try Descriptor(json: entry)
            let path = "blobs/\(descriptor.digest.algorithm.rawValue)/\(descriptor.digest.hex)"
            let content = [UInt8](try Data(contentsOf: root.appending(path: path)))
            putManifest(
                content, mediaType: descriptor.mediaType,
                tag: descriptor.annotations["org.opencontainers.image.ref.name"], in: repository)
            if MediaType.indexes.contains(descriptor.mediaType) {
                try load(manifestsOf: try StrictJSON.parse(content), of: root, into: repository)
            }
        }
    }

    /// Forgets the referrers of a subject, as if they had been deleted.
    package func removeReferrers(of subject: Digest, in repository: String) {
        state.withLock {
            $0.contents.repositories[repository]?.manifests.removeAll { $0.subject == subject.description }
        }
    }

    /// What is stored under a tag or digest, as it was put or pushed.
    package func storedManifest(_ reference: String, in repository: String) -> [UInt8]? {
        state.withLock { $0.contents.manifest(reference, in: repository)?.content }
    }

    /// A blob as it was put or pushed.
    package func storedBlob(_ digest: Digest, in repository: String) -> [UInt8]? {
        state.withLock { $0.contents.repositories[repository]?.blobs[digest.description] }
    }
}
