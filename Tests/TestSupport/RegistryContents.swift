import Foundation
import OCI
import StrictJSON

/// What a ``FaultyRegistry`` holds.
struct RegistryContents {
    struct StoredManifest {
        let mediaType: String
        let content: [UInt8]
        let digest: Digest
        /// The digest this manifest is a referrer of, and how it is listed there.
        let subject: String?
        let listing: JSONValue
    }

    struct Repository {
        var blobs: [String: [UInt8]] = [:]
        /// In the order in which they came: that is the order in which referrers are listed.
        var manifests: [StoredManifest] = []
        var tags: [String: String] = [:]
        var uploads: [String: [UInt8]] = [:]
    }

    var repositories: [String: Repository] = [:]

    func manifest(_ reference: String, in repository: String) -> StoredManifest? {
        guard let contents = repositories[repository] else { return nil }
        guard let digest = try? Digest(parsing: contents.tags[reference] ?? reference) else { return nil }
        return contents.manifests.first { $0.digest == digest }
    }

    mutating func store(manifest content: [UInt8], mediaType: String, tag: String?, in repository: String)
        -> StoredManifest
    {
        let json = try? StrictJSON.parse(content)
        let artifactType = json?["artifactType"]?.string ?? json?["config"]?["mediaType"]?.string
        var descriptor = Descriptor(of: content, mediaType: mediaType)
        descriptor.artifactType = artifactType
        for (name, value) in json?["annotations"]?.object?.members ?? [] { descriptor.annotations[name] = value.string }
        let stored = StoredManifest(
            mediaType: mediaType, content: content, digest: descriptor.digest,
            subject: json?["subject"]?["digest"]?.string, listing: descriptor.json)
        let known = manifest(stored.digest.description, in: repository) != nil
        if !known { repositories[repository, default: Repository()].manifests.append(stored) }
        if let tag { repositories[repository, default: Repository()].tags[tag] = stored.digest.description }
        return stored
    }

    func referrers(of digest: String, in repository: String, artifactType: String?) -> [JSONValue] {
        (repositories[repository]?.manifests ?? [])
            .filter { $0.subject == digest }
            .map(\.listing)
            .filter { artifactType == nil || $0["artifactType"]?.string == artifactType }
    }
}
