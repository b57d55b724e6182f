/// Where images and what refers to them are read from: a registry or an image layout.
///
/// Every call ends by its deadline, with ``RegistryError/Kind/timeout`` if it must.
public protocol ReferrerStore: Sendable {
    /// The name of this store in reports.
    var name: String { get }

    /// How this store speaks to registries; `nil` when it speaks to none.
    var transport: RegistryTransport? { get }

    /// Whether ``referrers(of:in:artifactType:deadline:)`` has what is at the tag `sha256-<hex>.sig` of the subject, where
    /// cosign before version 3 keeps signatures.
    var listsCosignSignatures: Bool { get }

    /// The descriptor of what a reference means. The digest decides when the reference has one.
    func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor

    /// Every referrer of the subject, from all pages; bounded, with ``RegistryError/Kind/tooMany`` beyond that.
    ///
    /// What a referrer says of itself here is the store's claim: a consumer checks ``Manifest/subject`` of what it
    /// fetches.
    ///
    /// - Parameter artifactType: only those of this type; `nil` for all.
    /// - Returns: descriptors with their types: ``Descriptor/artifactType`` is empty where an artifact has none, and
    ///   `nil` where its manifest could not be read, so that it may be of any type.
    func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor]

    /// The content of a manifest, its digest and size checked.
    func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8]

    /// The content of a blob, its digest and size checked.
    func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8]

    /// Forgets what it may keep of a reference and its descriptor, which something speaks against: whoever asks next is
    /// told by the registry itself.
    func forget(_ descriptor: Descriptor, of reference: ImageReference)

    /// What holds up questions about a reference now, in words: a registry that limits requests. `nil` when nothing is
    /// known to; whoever stops waiting for an answer says so with it.
    func degradedReason(for reference: ImageReference) -> String?
}

extension ReferrerStore {
    /// Speaks to no registry.
    public var transport: RegistryTransport? { nil }

    /// Lists no tags.
    public var listsCosignSignatures: Bool { false }

    /// Keeps nothing.
    public func forget(_ descriptor: Descriptor, of reference: ImageReference) {}

    /// Knows of nothing.
    public func degradedReason(for reference: ImageReference) -> String? { nil }
}

/// Where artifacts are written to.
public protocol ArtifactPushing: Sendable {
    /// Writes a blob; nothing is sent when it is there already.
    func pushBlob(
        _ content: [UInt8], mediaType: String, to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor

    /// Writes a manifest, under a tag when one is given, otherwise under its digest only. Of `reference`, only the
    /// registry and the repository count.
    func pushManifest(
        _ content: [UInt8], mediaType: String, tag: String?, to reference: ImageReference,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor

    /// Writes a manifest that has a `subject`, and makes it a referrer of that: where the registry does not do so
    /// itself, by the referrers tag (distribution specification, "Pushing Manifests with Subject").
    func pushReferrer(
        _ content: [UInt8], mediaType: String, subject: Descriptor, artifactType: String,
        annotations: [String: String], to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor
}
