import HTTP
import OCI
import Quotation

extension RegistryClient {
    /// The descriptor of what a reference means.
    ///
    /// A digest reference is asked for too: the registry knows its media type and size. They are what it says they are,
    /// right or wrong, so that answer is kept for ``RegistryOptions/descriptorCacheLifetime`` only; what a tag means
    /// only if ``RegistryOptions/tagCacheLifetime`` says so.
    public func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        // The tag does not count where there is a digest.
        let question = reference.digest.map { reference.with(digest: $0, keepingTag: false) } ?? reference
        let cache = question.digest == nil ? tags : descriptors
        if let known = cache.value(for: question) { return known }
        // What nobody keeps is not asked for longer than somebody waits.
        let isKept = question.digest != nil || options.tagCacheLifetime > .zero
        return try await resolving.value(
            for: question, deadline: deadline, workTime: isKept ? options.sharedFetchTime : .zero,
            timeout: self.waitedTooLong(question, question.pathDescription, "resolving the reference")
        ) { [self] (deadline) async throws(RegistryError) -> Descriptor in
            let descriptor = try await ask(question, deadline)
            if question.digest == nil {
                tags.insert(
                    descriptor, for: question, cost: question.cacheCost + descriptor.cacheCost,
                    expires: .now + options.tagCacheLifetime)
            }
            // Whoever asks for a tag's digest next, as Gatekeeper does with what was mutated, is told without a
            // question.
            let pinned = question.with(digest: descriptor.digest, keepingTag: false)
            descriptors.insert(
                descriptor, for: pinned, cost: pinned.cacheCost + descriptor.cacheCost,
                expires: .now + options.descriptorCacheLifetime)
            noteOpen(question)
            return descriptor
        }
    }

    /// Forgets what is kept of a reference and of its digest.
    public func forget(_ descriptor: Descriptor, of reference: ImageReference) {
        descriptors.remove(reference.with(digest: descriptor.digest, keepingTag: false))
        if reference.digest == nil { tags.remove(reference) }
    }

    /// HEAD, and GET when the registry does not do HEAD or its answer lacks something.
    private func ask(
        _ reference: ImageReference, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        var call = RegistryCall(
            method: .head, purpose: "resolving the reference", reference: reference,
            subject: reference.pathDescription,
            path: "manifests/\(reference.digest?.description ?? reference.tag ?? "latest")",
            accept: MediaType.accepted, maximumBytes: options.maximumManifestBytes, precedence: .beginning,
            followsRedirects: true, deadline: deadline)
        let head = try await send(call)
        switch head.status {
        case 200:
            if let descriptor = try described(by: head, reference, call) { return descriptor }
        case 400, 405, 501: break  // some registries and proxies do not know HEAD
        default: throw unexpected(head, call)
        }
        call.method = .get
        let response = try await send(call)
        guard response.status == 200 else { throw unexpected(response, call) }
        return try received(response, reference, call)
    }

    /// The descriptor of the manifest in an answer, which is kept.
    func received(
        _ response: HTTPResponse, _ reference: ImageReference, _ call: RegistryCall
    ) throws(RegistryError) -> Descriptor {
        let mediaType = try manifestType(of: response, call)
        let digest = reference.digest ?? Digest(of: response.body)
        guard digest.matches(response.body) else {
            throw call.error(.digestMismatch, "the registry answers with content that has another digest")
        }
        // The registry's own digest of a tag may use another algorithm; it must be right in any case.
        if let claimed = try claimedDigest(response, call), !claimed.matches(response.body) {
            throw call.error(
                .digestMismatch,
                "the registry answers with content that is not what its header \(response.sent.shown(claimed.description)) says"
            )
        }
        contents.insert(
            response.body, for: ContentKey(kind: .manifest, scope: reference.scopeName, digest: digest))
        return Descriptor(mediaType: mediaType, digest: digest, size: Int64(response.body.count))
    }

    /// The descriptor that a HEAD answer gives; `nil` when it lacks something that GET will tell.
    private func described(
        by head: HTTPResponse, _ reference: ImageReference, _ call: RegistryCall
    ) throws(RegistryError) -> Descriptor? {
        guard head.headers["Content-Type"] != nil, let text = head.headers["Content-Length"], let size = Int64(text),
            size > 0
        else { return nil }
        let mediaType = try manifestType(of: head, call)
        guard let digest = try claimedDigest(head, call) else {
            // The digest that was asked for is the digest of the answer, or what is fetched later will not match it.
            return reference.digest.map { Descriptor(mediaType: mediaType, digest: $0, size: size) }
        }
        guard let asked = reference.digest else { return Descriptor(mediaType: mediaType, digest: digest, size: size) }
        guard asked.algorithm == digest.algorithm else { return nil }
        guard asked == digest else {
            throw call.error(
                .digestMismatch, "the registry answers with \(head.sent.shown(digest.description)) instead")
        }
        return Descriptor(mediaType: mediaType, digest: asked, size: size)
    }

    /// The digest that an answer says its content has; `nil` when it says none. What is there and is no digest, or says
    /// two things, is an error.
    func claimedDigest(_ response: HTTPResponse, _ call: RegistryCall) throws(RegistryError) -> Digest? {
        let claims = Set(response.headers.all("Docker-Content-Digest").map(\.trimmedOfSpaces))
        guard let claim = claims.first else { return nil }
        guard claims.count == 1 else {
            throw call.error(.malformed, "the registry's header Docker-Content-Digest says several things")
        }
        do { return try Digest(parsing: claim) } catch {
            throw call.error(
                .malformed,
                "the registry's header Docker-Content-Digest is not one: \(response.sent.shown("\(error)"))")
        }
    }

    /// The media type of an answer, which must be a manifest's.
    private func manifestType(of response: HTTPResponse, _ call: RegistryCall) throws(RegistryError) -> String {
        let mediaType = MediaType.bare(response.headers["Content-Type"])
        guard let mediaType, (MediaType.manifests + MediaType.indexes).contains(mediaType) else {
            throw call.error(
                .malformed,
                "the registry answers with \"\(response.sent.quote(mediaType ?? "no media type"))\", which is no manifest type that is supported"
            )
        }
        return mediaType
    }

    /// The content of a manifest, its digest and size checked.
    public func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await content(
            .manifest, descriptor, reference, path: "manifests/\(descriptor.digest)",
            accept: descriptor.mediaType,
            maximumBytes: options.maximumManifestBytes, deadline)
    }

    /// The content of a blob, its digest and size checked.
    public func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        try await content(
            .blob, descriptor, reference, path: "blobs/\(descriptor.digest)", accept: nil, maximumBytes: maximumBytes,
            deadline)
    }

    private func content(
        _ kind: ContentKey.Kind, _ descriptor: Descriptor, _ reference: ImageReference, path: String, accept: String?,
        maximumBytes: Int, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        let what = kind == .manifest ? "manifest" : "blob"
        let call = RegistryCall(
            purpose: "fetching the \(what)", reference: reference,
            subject: "\(reference.repository)@\(descriptor.digest)", path: path, accept: accept,
            // Room for the error document of a refusal or a redirect, too, however small the content is.
            maximumBytes: max(Int(clamping: descriptor.size), 64 * 1024), precedence: .ending, followsRedirects: true,
            deadline: deadline)
        guard descriptor.size <= maximumBytes else {
            throw call.error(
                .tooLarge, "the \(what) has \(descriptor.size) bytes, more than the limit of \(maximumBytes)")
        }
        let key = ContentKey(kind: kind, scope: reference.scopeName, digest: descriptor.digest)
        if let known = contents.value(for: key) {
            guard known.count == descriptor.size else { throw Self.wrongSize(known.count, descriptor, call) }
            return known
        }
        let content = try await fetching.value(
            for: key, deadline: deadline, workTime: options.sharedFetchTime,
            timeout: self.waitedTooLong(reference, call.subject, call.purpose)
        ) { [self] (deadline) async throws(RegistryError) -> [UInt8] in
            if let shared = await sharedContent(descriptor, key) {
                contents.insert(shared, for: key)
                return shared
            }
            var call = call
            call.deadline = deadline
            return try await fetch(call, descriptor, key)
        }
        // Another caller's fetch may have been for a descriptor with another size.
        guard content.count == descriptor.size else { throw Self.wrongSize(content.count, descriptor, call) }
        return content
    }

    private func fetch(
        _ call: RegistryCall, _ descriptor: Descriptor, _ key: ContentKey
    ) async throws(RegistryError) -> [UInt8] {
        let start = ContinuousClock.now
        defer { options.onWork?(.fetch, call.reference.endpoint, start.duration(to: .now)) }
        let response: HTTPResponse
        do { response = try await send(call) } catch {
            guard error.kind == .tooLarge else { throw error }
            throw call.error(
                .sizeMismatch, "the registry sends more than the \(descriptor.size) bytes of the descriptor")
        }
        guard response.status == 200 else { throw unexpected(response, call) }
        guard response.body.count == descriptor.size else {
            throw Self.wrongSize(response.body.count, descriptor, call)
        }
        guard descriptor.digest.matches(response.body) else {
            throw call.error(
                .digestMismatch,
                "the registry sends content with another digest: it, or something on the way to it, is broken or hostile"
            )
        }
        contents.insert(response.body, for: key)
        noteOpen(call.reference)
        options.sharedContent?.keep(response.body, for: key)
        return response.body
    }

    private static func wrongSize(_ size: Int, _ descriptor: Descriptor, _ call: RegistryCall) -> RegistryError {
        call.error(.sizeMismatch, "the content has \(size) bytes, its descriptor says \(descriptor.size)")
    }

    /// What holds up questions about a reference now, in words: a registry that limits requests. `nil` when nothing
    /// does.
    public func degradedReason(for reference: ImageReference) -> String? {
        guard let origin = try? origin(reference) else { return nil }
        return http.limit(of: origin.authority)
    }

    /// The error of a caller whose deadline passes while others may still wait.
    func waitedTooLong(_ reference: ImageReference, _ subject: String, _ purpose: String) -> RegistryError {
        if let degradedReason = degradedReason(for: reference) {
            return RegistryError(
                .throttled, host: reference.endpoint, subject: subject,
                detail: "\(purpose): no answer within the time allowed: \(degradedReason)")
        }
        return RegistryError(
            .timeout, host: reference.endpoint, subject: subject,
            detail: "\(purpose): no answer within the time allowed; check that the registry is reachable from here")
    }
}
