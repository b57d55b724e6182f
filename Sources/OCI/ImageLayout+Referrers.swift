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
    /// The tag is a name in the layout.
    public var listsCosignSignatures: Bool { true }

    /// Every referrer of the subject: of the manifests in `index.json`, and of those in indexes below it (a referrers
    /// tag is one), the ones whose own `subject` has this digest.
    ///
    /// An entry whose blob is missing or is not what the entry says is passed over: nothing says which image it belongs
    /// to. Where the list of this very image's referrers tag names it, it is a referrer that cannot be read, which
    /// whoever fetches it is told. A file that cannot be read is an error.
    ///
    /// What is named `sha256-<hex>.sig` after the subject is one, too, of type ``MediaType/cosignSignature``, as where
    /// a repository was copied with all its tags.
    public func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        let tag = subject.digest.referrersTag
        var waiting = try index().index.manifests.map { (entry: $0, isClaimed: false) }
        // What the tag claims is looked at first, so that nothing else hides it.
        for (entry, _) in waiting where ImageLayout.names(entry, asTag: tag) {
            waiting.insert(contentsOf: try list(entry, of: subject).map { ($0, true) }, at: 0)
        }
        let named =
            artifactType ?? MediaType.cosignSignature == MediaType.cosignSignature
            ? cosignSignatures(of: subject, among: waiting.map(\.entry)) : [:]
        var seen: Set<Digest> = [subject.digest]
        var referrers = Array(named.values)
        guard referrers.count <= limits.maximumReferrers else { throw tooMany(subject) }
        var next = 0
        while next < waiting.count {
            let isClaimed = waiting[next].isClaimed
            var entry = waiting[next].entry
            next += 1
            guard seen.insert(entry.digest).inserted else { continue }
            guard seen.count <= limits.maximumManifests else {
                throw error(
                    .tooMany, subject.digest.description,
                    "the layout has more than \(limits.maximumManifests) manifests")
            }
            try checkTime(deadline, subject.digest.description)
            if let facts = try facts(of: entry) {
                waiting += facts.children.map { ($0, false) }
                // Its media type and size are for whoever judges it: a signature that states them wrongly is one that
                // fails, not one that is not there.
                guard let claimed = facts.subject, claimed.digest == subject.digest else { continue }
                entry.artifactType = facts.artifactType ?? ""
                entry.annotations = facts.annotations
            } else {
                guard isClaimed else { continue }
                if entry.artifactType == nil { entry.artifactType = artifactType }
            }
            guard artifactType == nil || entry.artifactType == artifactType else { continue }
            guard entry.artifactType != MediaType.cosignSignature || named[entry.digest] == nil else { continue }
            referrers.append(
                Descriptor(
                    mediaType: entry.mediaType, digest: entry.digest, size: entry.size,
                    artifactType: entry.artifactType, annotations: entry.annotations))
            guard referrers.count <= limits.maximumReferrers else { throw tooMany(subject) }
        }
        return referrers
    }

    private func tooMany(_ subject: Descriptor) -> RegistryError {
        error(
            .tooMany, subject.digest.description,
            "there are more than \(limits.maximumReferrers) referrers; remove old ones, or raise the limit")
    }

    /// What has the name of the subject's cosign signatures, by its digest. A name that several have says of each that
    /// it is one.
    private func cosignSignatures(of subject: Descriptor, among entries: [Descriptor]) -> [Digest: Descriptor] {
        guard let tag = subject.digest.cosignSignatureTag else { return [:] }
        var found: [Digest: Descriptor] = [:]
        for entry in entries where ImageLayout.names(entry, asTag: tag) && entry.digest != subject.digest {
            found[entry.digest] = Descriptor(
                mediaType: entry.mediaType, digest: entry.digest, size: entry.size,
                artifactType: MediaType.cosignSignature)
        }
        return found
    }

    /// What the referrers tag of a subject lists; nothing where it names the subject itself.
    private func list(_ entry: Descriptor, of subject: Descriptor) throws(RegistryError) -> [Descriptor] {
        guard entry.digest != subject.digest else { return [] }
        let content = try content(entry.digest, size: entry.size, maximumBytes: limits.maximumManifestBytes)
        do { return try Index(parsing: content, mediaType: entry.mediaType).manifests } catch {
            throw self.error(.malformed, subject.digest.referrersTag, "the list of referrers is wrong: \(error)")
        }
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
