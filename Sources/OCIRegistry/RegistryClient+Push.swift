import Encoding
import HTTP
import OCI
import Quotation

extension RegistryClient {
    /// Writes a blob; nothing is sent when the repository has it (distribution specification, "POST then PUT").
    public func pushBlob(
        _ content: [UInt8], mediaType: String, to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        let descriptor = Descriptor(of: content, mediaType: mediaType)
        var call = RegistryCall(
            method: .head, purpose: "looking for the blob", reference: reference,
            subject: "\(reference.repository)@\(descriptor.digest)", path: "blobs/\(descriptor.digest)",
            followsRedirects: true, deadline: deadline)
        let head = try await send(call)
        if head.status == 200 { return descriptor }
        guard head.status == 404 else { throw unexpected(head, call) }

        call.purpose = "starting the upload"
        call.actions = .push
        call.method = .post
        call.path = "blobs/uploads/"
        call.body = []
        call.followsRedirects = false
        let session = try await send(call)
        guard session.status == 202 else { throw unexpected(session, call) }
        call.location = try uploadURL(session, descriptor.digest, call)
        call.purpose = "uploading the blob"
        call.method = .put
        call.contentType = MediaType.octetStream
        call.body = content
        // A session that broke off cannot be finished: the next attempt would need a new one.
        call.retry = RetryPolicy.none
        let response = try await send(call)
        guard response.status == 201 else { throw unexpected(response, call) }
        return descriptor
    }

    /// Where the upload goes: the session's `Location`, relative or absolute, with the digest added to its query.
    private func uploadURL(
        _ session: HTTPResponse, _ digest: Digest, _ call: RegistryCall
    ) throws(RegistryError) -> HTTPURL {
        let origin = try origin(call.reference)
        guard let location = session.headers["Location"],
            let url = try? HTTPURL(parsing: session.url).resolving(location)
        else { throw call.error(.malformed, "the registry names no usable location for the upload") }
        guard url.scheme == origin.scheme || url.scheme == .https else {
            throw call.error(
                .malformed,
                "the registry wants the upload in plain HTTP (\(session.sent.shown(url.authority))): check the address that it, or the proxy before it, is configured to give"
            )
        }
        let separator = url.target.contains("?") ? "&" : "?"
        do {
            return try url.with(target: "\(url.target)\(separator)digest=\(PercentEncoding.encode(digest.description))")
        } catch {
            throw call.error(.malformed, "the registry names no usable location for the upload: \(error.problem)")
        }
    }

    /// Writes a manifest, under a tag when one is given, otherwise under its digest only.
    public func pushManifest(
        _ content: [UInt8], mediaType: String, tag: String?, to reference: ImageReference,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        try await put(content, mediaType, tag, reference, deadline).descriptor
    }

    private func put(
        _ content: [UInt8], _ mediaType: String, _ tag: String?, _ reference: ImageReference,
        _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> (descriptor: Descriptor, response: HTTPResponse) {
        let descriptor = Descriptor(of: content, mediaType: mediaType)
        let name = tag ?? descriptor.digest.description
        let call = RegistryCall(
            method: .put, purpose: "writing the manifest", reference: reference,
            subject: "\(reference.repository)\(tag == nil ? "@" : ":")\(name)", path: "manifests/\(name)",
            contentType: mediaType, body: content, actions: .push, deadline: deadline)
        if let tag, !ReferenceGrammar.isTag(tag) { throw call.error(.refused, "this is not a tag") }
        let response = try await send(call)
        guard response.status == 201 else { throw unexpected(response, call) }
        if let stored = try claimedDigest(response, call), !stored.matches(content) {
            throw call.error(.digestMismatch, "the registry stored it as \(response.sent.shown(stored.description))")
        }
        if let tag {
            tags.remove(reference.with(tag: tag))
            if options.cosignSignatures, let subject = Digest(cosignSignatureTag: tag) {
                forgetListings(of: subject, type: MediaType.cosignSignature, reference)
            }
        }
        return (descriptor, response)
    }

    /// Writes a manifest that has a `subject`, and adds it to the referrers tag when the registry does not say that
    /// it did the like (distribution specification, "Pushing Manifests with Subject").
    public func pushReferrer(
        _ content: [UInt8], mediaType: String, subject: Descriptor, artifactType: String,
        annotations: [String: String], to reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        var (descriptor, response) = try await put(content, mediaType, nil, reference, deadline)
        descriptor.artifactType = artifactType
        descriptor.annotations = annotations
        if response.headers["OCI-Subject"]?.trimmedOfSpaces != subject.digest.description {
            let tag = ListingKey(scope: reference.scopeName, subject: subject.digest, artifactType: nil)
            try await referrersTagLocks.withLock(tag) { [descriptor] () async throws(RegistryError) in
                try await addToReferrersTag(descriptor, subject.digest, reference, deadline)
            }
        }
        forgetListings(of: subject.digest, type: artifactType, reference)
        return descriptor
    }

    /// Forgets the listings that a new referrer of this type belongs in.
    private func forgetListings(of subject: Digest, type: String, _ reference: ImageReference) {
        for type in [type, nil] {
            listings.remove(ListingKey(scope: reference.scopeName, subject: subject, artifactType: type))
        }
    }

    /// Reads the list, adds to it, writes it, and looks whether it stayed. Other processes may do the same at this
    /// moment, and most registries have no conditional writes: what is written right after the last look is lost, as
    /// the specification warns ("Referrers Tag Schema"); within this client writers take turns.
    private func addToReferrersTag(
        _ descriptor: Descriptor, _ subject: Digest, _ reference: ImageReference, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) {
        for round in 1...6 {
            var index: Index
            switch try await referrersTag(of: subject, reference, deadline) {
            case .list(let found): index = found
            case .missing: index = Index(manifests: [])
            case .subject:
                // The tag may still be free to be written. If it is not, that shows in the next round.
                guard round == 1 else { throw notListed(subject, reference) }
                index = Index(manifests: [])
            }
            if index.manifests.contains(where: { $0.digest == descriptor.digest }) { return }
            guard round < 6 else { break }
            index.manifests.append(descriptor)
            _ = try await put(index.json.bytes, index.mediaType, subject.referrersTag, reference, deadline)
        }
        throw RegistryError(
            .unavailable, host: reference.endpoint, subject: "\(reference.repository):\(subject.referrersTag)",
            detail: "adding to the referrers tag: someone else changes it all the time; try again")
    }

    private func notListed(_ subject: Digest, _ reference: ImageReference) -> RegistryError {
        RegistryError(
            .refused, host: reference.endpoint, subject: "\(reference.repository):\(subject.referrersTag)",
            detail:
                "adding to the referrers tag: the registry has no Referrers API, and goes on answering this tag with the image itself, so that nobody finds what was written; use a registry that has the API of the distribution specification 1.1, or lets this tag be written"
        )
    }
}
