import StrictJSON

/// What a manifest says of itself, as far as it makes a referrer.
struct ReferrerFacts: Sendable {
    let subject: Descriptor?
    let artifactType: String?
    let annotations: [String: String]
    /// The manifests that it lists, if it is an index.
    let children: [Descriptor]
}

extension ImageLayout {
    /// Every referrer of the subject: of the manifests in `index.json`, and of those in indexes below it (a referrers
    /// tag is one), the ones whose own `subject` is this content.
    ///
    /// An entry whose blob is missing or is not what the entry says cannot be a referrer that anybody may believe: it
    /// is passed over and does no harm to its neighbours. A file that cannot be read is an error.
    public func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        var waiting = try index().index.manifests
        var seen: Set<Digest> = [subject.digest]
        var referrers: [Descriptor] = []
        var next = 0
        while next < waiting.count {
            let entry = waiting[next]
            next += 1
            guard seen.insert(entry.digest).inserted else { continue }
            guard seen.count <= limits.maximumManifests else {
                throw error(
                    .tooMany, subject.digest.description,
                    "the layout has more than \(limits.maximumManifests) manifests")
            }
            try checkTime(deadline, subject.digest.description)
            guard let facts = try facts(of: entry) else { continue }
            waiting += facts.children
            // Media type and size count too, as for the reference implementation: a subject is a whole descriptor.
            guard let claimed = facts.subject, claimed.digest == subject.digest, claimed.size == subject.size,
                claimed.mediaType == subject.mediaType, artifactType == nil || facts.artifactType == artifactType
            else { continue }
            referrers.append(
                Descriptor(
                    mediaType: entry.mediaType, digest: entry.digest, size: entry.size,
                    artifactType: facts.artifactType, annotations: facts.annotations))
            guard referrers.count <= limits.maximumReferrers else {
                throw error(
                    .tooMany, subject.digest.description,
                    "there are more than \(limits.maximumReferrers) referrers; remove old ones, or raise the limit")
            }
        }
        return referrers
    }

    /// What a listed manifest says; `nil` when there is nothing there that can be believed.
    private func facts(of entry: Descriptor) throws(RegistryError) -> ReferrerFacts? {
        let isIndex = MediaType.indexes.contains(entry.mediaType)
        guard isIndex || MediaType.manifests.contains(entry.mediaType) else { return nil }
        if let known = referrerFacts.value(for: entry.digest) { return known }
        let content: [UInt8]
        do {
            content = try self.content(entry.digest, size: entry.size, maximumBytes: limits.maximumManifestBytes)
        } catch {
            switch error.kind {
            case .notFound, .digestMismatch, .sizeMismatch, .tooLarge: return nil
            default: throw error
            }
        }
        let facts: ReferrerFacts
        if isIndex {
            guard let index = try? Index(parsing: content, mediaType: entry.mediaType) else { return nil }
            facts = ReferrerFacts(
                subject: index.subject, artifactType: index.artifactType, annotations: index.annotations,
                children: index.manifests)
        } else {
            guard let manifest = try? Manifest(parsing: content, mediaType: entry.mediaType) else { return nil }
            facts = ReferrerFacts(
                subject: manifest.subject, artifactType: manifest.effectiveArtifactType,
                annotations: manifest.annotations, children: [])
        }
        referrerFacts.insert(facts, for: entry.digest)
        return facts
    }
}
