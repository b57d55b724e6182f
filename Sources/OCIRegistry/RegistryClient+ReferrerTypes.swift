import Concurrency
import OCI

/// Referrers of one type, each once, as they come in.
struct ReferrerCollection {
    let artifactType: String?
    /// Those of the type, and those that come without one.
    private(set) var referrers: [Descriptor] = []
    /// How many of them come without a type, and the bytes of their manifests.
    private(set) var untyped: (count: Int, bytes: Int64) = (0, 0)
    private var seen: Set<Digest> = []

    init(artifactType: String?) { self.artifactType = artifactType }

    /// How many have the type.
    var typedCount: Int { referrers.count - untyped.count }

    /// - Parameter isFiltered: whether the registry says that it filtered. Then an entry that states no type is
    ///   believed to have the right one; one that states another type is left out all the same.
    mutating func add(_ descriptors: [Descriptor], isFiltered: Bool) {
        for var descriptor in descriptors {
            if descriptor.artifactType?.isEmpty ?? true { descriptor.artifactType = isFiltered ? artifactType : nil }
            if let artifactType, let stated = descriptor.artifactType, stated != artifactType { continue }
            guard seen.insert(descriptor.digest).inserted else { continue }
            referrers.append(descriptor)
            if descriptor.artifactType == nil {
                untyped.count += 1
                untyped.bytes = untyped.bytes.addingReportingOverflow(descriptor.size).partialValue
                if untyped.bytes < 0 { untyped.bytes = .max }
            }
        }
    }
}

extension RegistryClient {
    /// How many manifests are fetched side by side to learn their types.
    private static let simultaneousTypes = 8

    /// What was collected, with the types that manifests state where the list does not: "artifactType … MUST be set to
    /// the config descriptor's mediaType" where the manifest has none itself (distribution specification, "Listing
    /// Referrers"), and lists by the referrers tag, or from registries of before, may lack it.
    ///
    /// An entry whose manifest cannot be read counts as one of the type that is asked for: whoever fetches it then is
    /// told why it cannot be judged, and it is not left out as if it were something else.
    func typed(
        _ collection: ReferrerCollection, _ call: RegistryCall
    ) async throws(RegistryError) -> [Descriptor] {
        guard collection.untyped.count > 0 else { return collection.referrers }
        guard collection.untyped.count <= options.maximumUntypedReferrers,
            collection.untyped.bytes <= Int64(options.maximumUntypedBytes)
        else {
            throw call.error(
                .tooMany,
                "the registry lists more than \(options.maximumUntypedReferrers) referrers without artifactType, or such with manifests of more than \(options.maximumUntypedBytes) bytes, and each must be looked at; remove old ones, or use a registry that states the type"
            )
        }
        let waiting = collection.referrers.indices.filter { collection.referrers[$0].artifactType == nil }
        let types = await waiting.concurrentMap(atMost: Self.simultaneousTypes) { [self] index in
            await statedType(of: collection.referrers[index], call.reference, call.deadline)
        }
        let found = Dictionary(uniqueKeysWithValues: zip(waiting, types))
        return collection.referrers.enumerated().compactMap { index, entry in
            var entry = entry
            if let type = found[index] { entry.artifactType = type ?? collection.artifactType }
            guard let wanted = collection.artifactType else { return entry }
            return entry.artifactType == wanted ? entry : nil
        }
    }

    /// The artifact type that a manifest states, empty when it states none; `nil` when it cannot be read.
    private func statedType(
        of entry: Descriptor, _ reference: ImageReference, _ deadline: ContinuousClock.Instant
    ) async -> String? {
        let isIndex = MediaType.indexes.contains(entry.mediaType)
        guard isIndex || MediaType.manifests.contains(entry.mediaType) else { return "" }
        guard let content = try? await manifest(entry, in: reference, deadline: deadline) else { return nil }
        if isIndex {
            return (try? Index(parsing: content, mediaType: entry.mediaType)).map { $0.artifactType ?? "" }
        }
        return (try? Manifest(parsing: content, mediaType: entry.mediaType)).map { $0.effectiveArtifactType ?? "" }
    }
}
