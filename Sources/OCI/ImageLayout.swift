import Concurrency
import Files
import StrictJSON

/// An OCI image layout: a directory that holds what a registry's repository would (image specification, "Image
/// Layout Specification"). For air-gapped use, demonstrations and tests.
///
/// A tag means the manifest of `index.json` whose annotation `org.opencontainers.image.ref.name` is the whole
/// reference or, when no such entry exists, the tag alone. The layout is one repository to whoever reads it: of a
/// reference's registry and repository nothing else counts, and what a verdict is about is the digest.
///
/// Files are read when asked for. Every blob is checked against its digest and size, so that a layout need not be
/// trusted; blobs' paths are made from digests alone, so that none leads outside the directory.
public final class ImageLayout: ReferrerStore, ArtifactPushing {
    /// The limits of an ``ImageLayout``.
    public struct Limits: Sendable {
        /// The largest manifest or index, `index.json` included.
        public var maximumManifestBytes = 4 << 20
        /// The most manifests that are looked at for the referrers of one subject.
        public var maximumManifests = 100_000
        /// The most referrers of the wanted type that one subject may have.
        public var maximumReferrers = 1000

        /// The defaults.
        public init() {}
    }

    /// The name of this store in reports.
    public let name: String
    /// The layout's directory, without a slash at its end.
    public let directory: String
    let limits: Limits
    /// What a manifest says it refers to, by its digest: it cannot change.
    let referrerFacts = BoundedCache<Digest, ReferrerFacts>(maximumCost: 16 * 1024)

    /// Opens a layout.
    ///
    /// - Parameters:
    ///   - create: make an empty layout when the directory has none.
    /// - Throws: ``RegistryError`` when this is no layout of version 1.
    public init(
        directory: String, name: String = "oci-layout", create: Bool = false, limits: Limits = Limits()
    ) throws(RegistryError) {
        var path = directory[...]
        while path.utf8.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        self.directory = String(path)
        self.name = name
        self.limits = limits
        let marker = "\(path)/oci-layout"
        do throws(FileAccess.Fault) {
            if create, try FileAccess.version(marker) == nil {
                try FileAccess.makeDirectory("\(path)/blobs/sha256")
                if try FileAccess.version("\(path)/index.json") == nil {
                    try FileAccess.write(Index(manifests: []).json.bytes, to: "\(path)/index.json")
                }
                try FileAccess.write(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), to: marker)
            }
            let content = try FileAccess.read(marker, maximumBytes: 4096)
            guard let version = (try? StrictJSON.parse(content))?["imageLayoutVersion"]?.string,
                version.hasPrefix("1.")
            else {
                throw FileAccess.Fault(marker, problem: "does not say imageLayoutVersion 1.0.0")
            }
        } catch {
            throw RegistryError(
                error.isMissing ? .notFound : .storage, host: self.directory,
                detail: "this is not an OCI image layout: \(error)", isConfiguration: error.isLasting)
        }
    }

    func error(_ kind: RegistryError.Kind, _ subject: String, _ detail: String) -> RegistryError {
        RegistryError(kind, host: directory, subject: subject, detail: detail)
    }

    /// A file that cannot be read or written.
    func error(_ fault: FileAccess.Fault, _ subject: String) -> RegistryError {
        RegistryError(
            .storage, host: directory, subject: subject, detail: fault.description, isConfiguration: fault.isLasting)
    }

    /// The content of `index.json` as it stands.
    func index() throws(RegistryError) -> (index: Index, json: JSONValue) {
        let path = "\(directory)/index.json"
        let content: [UInt8]
        do { content = try FileAccess.read(path, maximumBytes: limits.maximumManifestBytes) } catch {
            throw error.isMissing ? self.error(.notFound, "index.json", "\(error)") : self.error(error, "index.json")
        }
        do {
            let index = try Index(parsing: content)
            return (index, (try? StrictJSON.parse(content)) ?? .null)
        } catch { throw self.error(.malformed, "index.json", "\(error)") }
    }

    /// The descriptor of what a reference means.
    public func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        try checkTime(deadline, reference.pathDescription)
        let manifests = try index().index.manifests
        if let digest = reference.digest {
            if let entry = manifests.first(where: { $0.digest == digest }) { return plain(entry) }
            return try unlisted(digest, reference)
        }
        let wanted = reference.description
        var found = manifests.filter { entry in
            ImageLayout.names(entry).contains { name in
                name == wanted
                    || (name.contains("/")
                        && (try? ImageReference(parsing: name, over: reference.transport)) == reference)
            }
        }
        if found.isEmpty, let tag = reference.tag { found = manifests.filter { ImageLayout.names($0).contains(tag) } }
        guard let first = found.first else {
            throw error(
                .notFound, reference.pathDescription,
                "no manifest in index.json has this name or the tag \"\(reference.tag ?? "")\" in its annotation org.opencontainers.image.ref.name"
            )
        }
        guard found.allSatisfy({ $0.digest == first.digest }) else {
            throw error(
                .malformed, reference.pathDescription,
                "several manifests in index.json have this name; name one by its digest")
        }
        return plain(first)
    }

    /// The names that an entry goes by; containerd and Docker write the whole one into an annotation of their own.
    static func names(_ entry: Descriptor) -> [String] {
        ["org.opencontainers.image.ref.name", "io.containerd.image.name"].compactMap { entry.annotations[$0] }
    }

    /// Whether an entry goes by a tag, alone or at the end of a whole name.
    static func names(_ entry: Descriptor, asTag tag: String) -> Bool {
        names(entry).contains { $0 == tag || $0.hasSuffix(":\(tag)") }
    }

    /// A descriptor without what the index adds to it.
    private func plain(_ entry: Descriptor) -> Descriptor {
        Descriptor(mediaType: entry.mediaType, digest: entry.digest, size: entry.size)
    }

    /// A manifest that is below another one, or in no index at all: its own `mediaType` says what it is.
    private func unlisted(_ digest: Digest, _ reference: ImageReference) throws(RegistryError) -> Descriptor {
        let content = try content(digest, size: nil, maximumBytes: limits.maximumManifestBytes)
        guard let mediaType = (try? StrictJSON.parse(content))?["mediaType"]?.string,
            (MediaType.manifests + MediaType.indexes).contains(mediaType)
        else {
            throw error(
                .malformed, reference.pathDescription,
                "index.json does not list it, and it does not say which manifest type it has")
        }
        return Descriptor(mediaType: mediaType, digest: digest, size: Int64(content.count))
    }

    /// The content of a manifest, its digest and size checked.
    public func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try checkTime(deadline, descriptor.digest.description)
        return try content(descriptor.digest, size: descriptor.size, maximumBytes: limits.maximumManifestBytes)
    }

    /// The content of a blob, its digest and size checked.
    public func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try checkTime(deadline, descriptor.digest.description)
        return try content(descriptor.digest, size: descriptor.size, maximumBytes: maximumBytes)
    }

    func checkTime(_ deadline: ContinuousClock.Instant, _ subject: String) throws(RegistryError) {
        if Task.isCancelled { throw error(.cancelled, subject, "the caller gave up waiting") }
        if .now >= deadline { throw error(.timeout, subject, "no time is left to read it") }
    }

    /// A ``Digest`` has nothing but an algorithm's name and hexadecimal characters.
    func path(of digest: Digest) -> String { "\(directory)/blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    /// A blob, checked.
    func content(_ digest: Digest, size: Int64?, maximumBytes: Int) throws(RegistryError) -> [UInt8] {
        let subject = digest.description
        if let size, size > maximumBytes {
            throw error(.tooLarge, subject, "it has \(size) bytes, more than the limit of \(maximumBytes)")
        }
        let content: [UInt8]
        do { content = try FileAccess.read(path(of: digest), maximumBytes: maximumBytes) } catch {
            if error.isMissing { throw self.error(.notFound, subject, "the layout has no such blob") }
            throw error.code == 0 ? self.error(.tooLarge, subject, "\(error)") : self.error(error, subject)
        }
        if let size, content.count != size {
            throw error(.sizeMismatch, subject, "the content has \(content.count) bytes, its descriptor says \(size)")
        }
        guard digest.matches(content) else {
            throw error(
                .digestMismatch, subject, "the file's content has another digest: it is broken or was tampered with")
        }
        return content
    }
}
