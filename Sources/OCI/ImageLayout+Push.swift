import Files
import Quotation
import StrictJSON

extension ImageLayout {
    /// Writes a blob; nothing is written when the layout has it, whole.
    public func pushBlob(
        _ content: [UInt8], mediaType: String, to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        let descriptor = Descriptor(of: content, mediaType: mediaType)
        try checkTime(deadline, descriptor.digest.description)
        if (try? self.content(descriptor.digest, size: descriptor.size, maximumBytes: content.count)) != nil {
            return descriptor
        }
        do throws(FileAccess.Fault) {
            try FileAccess.makeDirectory("\(directory)/blobs/\(descriptor.digest.algorithm.rawValue)")
            try FileAccess.write(content, to: path(of: descriptor.digest))
        } catch { throw self.error(error, descriptor.digest.description) }
        return descriptor
    }

    /// Writes a manifest and lists it in `index.json`, under a tag when one is given. A manifest that had this tag
    /// before stays listed without it.
    public func pushManifest(
        _ content: [UInt8], mediaType: String, tag: String?, to reference: ImageReference,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        if let tag, !ReferenceGrammar.isTag(tag) { throw error(.refused, tag.quoted, "this is not a tag") }
        let descriptor = try await pushBlob(content, mediaType: mediaType, to: reference, deadline: deadline)
        try await list(descriptor, tag, deadline)
        return descriptor
    }

    /// Writes a manifest that has a `subject`. It needs no referrers tag: a layout's manifests are all listed, and
    /// what each refers to is read from itself.
    public func pushReferrer(
        _ content: [UInt8], mediaType: String, subject: Descriptor, artifactType: String,
        annotations: [String: String], to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        var descriptor = try await pushBlob(content, mediaType: mediaType, to: reference, deadline: deadline)
        descriptor.artifactType = artifactType
        descriptor.annotations = annotations
        try await list(descriptor, nil, deadline)
        return descriptor
    }

    /// Adds an entry to `index.json` under the layout's lock. What others wrote there stays as it is.
    private func list(
        _ descriptor: Descriptor, _ tag: String?, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) {
        let lock = try await self.lock(deadline)
        defer { FileAccess.unlock(lock) }
        var (_, json) = try index()
        guard var object = json.object else { throw error(.malformed, "index.json", "it is not a JSON object") }
        let name = "org.opencontainers.image.ref.name"
        var entries = object["manifests"]?.array ?? []
        if let tag {
            entries = entries.map { entry in
                guard entry["annotations"]?[name]?.string == tag else { return entry }
                return ImageLayout.entry(entry, settingName: nil)
            }
        }
        let text = descriptor.digest.description
        let listed = entries.firstIndex { entry in
            // An entry that has another tag stays: a manifest may have several, each in an entry of its own.
            entry["digest"]?.string == text && (tag == nil || entry["annotations"]?[name] == nil)
        }
        if let listed {
            if let tag { entries[listed] = ImageLayout.entry(entries[listed], settingName: tag) }
        } else {
            entries.append(tag.map { ImageLayout.entry(descriptor.json, settingName: $0) } ?? descriptor.json)
        }
        object["manifests"] = .array(ImageLayout.withoutRepetitions(entries))
        json = .object(object)
        do { try FileAccess.write(json.bytes, to: "\(directory)/index.json") } catch {
            throw self.error(error, "index.json")
        }
    }

    private static func entry(_ entry: JSONValue, settingName tag: String?) -> JSONValue {
        guard var object = entry.object else { return entry }
        var annotations = object["annotations"]?.object ?? JSONObject()
        annotations["org.opencontainers.image.ref.name"] = tag.map(JSONValue.string)
        object["annotations"] = annotations.isEmpty ? nil : .object(annotations)
        return .object(object)
    }

    /// Taking a tag away can leave two entries that say the same.
    private static func withoutRepetitions(_ entries: [JSONValue]) -> [JSONValue] {
        var seen: Set<JSONValue> = []
        return entries.filter { seen.insert($0).inserted }
    }

    /// The lock is a file beside the index, not the index itself, which every write replaces.
    private func lock(_ deadline: ContinuousClock.Instant) async throws(RegistryError) -> Int32 {
        while true {
            try checkTime(deadline, "index.json")
            do {
                if let lock = try FileAccess.tryLock("\(directory)/.index.json.lock") { return lock }
            } catch { throw self.error(error, "index.json") }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
