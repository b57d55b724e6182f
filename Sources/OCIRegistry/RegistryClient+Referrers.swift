import Encoding
import HTTP
import OCI
import Quotation

extension RegistryClient {
    /// Every referrer of the subject, from all pages (distribution specification, "Listing Referrers").
    ///
    /// Where the registry has no Referrers API, which it says with 404 and nothing else, the referrers tag is read
    /// ("Unavailable Referrers API"). Any other fault is an error: it must never read as "no signatures".
    ///
    /// With ``RegistryOptions/cosignSignatures`` the manifest at the tag `sha256-<hex>.sig` is a referrer, too, of type
    /// ``MediaType/cosignSignature``.
    public func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        let key = ListingKey(scope: reference.scopeName, subject: subject.digest, artifactType: artifactType)
        if let known = listings.value(for: key) { return known }
        // What nobody keeps is not asked for longer than somebody waits.
        return try await listing.value(
            for: key, deadline: deadline,
            workTime: options.referrersCacheLifetime > .zero ? options.sharedFetchTime : .zero,
            timeout: self.waitedTooLong(
                reference, "\(reference.repository)@\(subject.digest)", "listing the referrers")
        ) { [self] (deadline) async throws(RegistryError) -> [Descriptor] in
            // Both at once: whoever waits for an answer waits for the longer of the two.
            async let signatures = cosignSignatures(of: subject.digest, reference, artifactType, deadline)
            var referrers = try await list(subject.digest, reference, artifactType, deadline)
            if let signatures = try await signatures.get() {
                referrers = try adding(signatures, to: referrers, listingCall(subject.digest, reference, deadline))
            }
            // A 404 of both ways lists nothing, and says nothing of who may read.
            if !referrers.isEmpty { noteOpen(reference) }
            listings.insert(
                referrers, for: key, cost: referrers.reduce(512 + key.scope.utf8.count) { $0 + $1.cacheCost },
                expires: .now + options.referrersCacheLifetime)
            return referrers
        }
    }

    private func list(
        _ subject: Digest, _ reference: ImageReference, _ artifactType: String?, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        var isLost = false
        if missingReferrersAPI.value(for: reference.scopeName) == nil {
            if let referrers = try await askAPI(subject, reference, artifactType, deadline) {
                noteReferrersAPI(of: reference)
                return referrers
            }
            isLost = knownReferrersAPI.value(for: reference.scopeName) != nil
            if !isLost { noteMissingReferrersAPI(of: reference) }
        }
        var collection = ReferrerCollection(artifactType: artifactType)
        if case .list(let index) = try await referrersTag(of: subject, reference, deadline) {
            collection.add(index.manifests, isFiltered: false)
        }
        guard collection.typedCount <= options.maximumReferrers else {
            throw tooMany(listingCall(subject, reference, deadline))
        }
        let referrers = try await typed(collection, listingCall(subject, reference, deadline))
        // A registry that has the API answers 200 for a subject without referrers, too ("Listing Referrers"). One that
        // fails over, or stands behind a proxy that does, must not have signed images taken for unsigned ones.
        guard !isLost || !referrers.isEmpty else {
            throw listingCall(subject, reference, deadline).error(
                .unavailable,
                "the registry answers 404 on its Referrers API, which it had minutes ago, and there is no referrers tag with signatures: whether the image has any is not known; ask again in a moment"
            )
        }
        return referrers
    }

    private func noteReferrersAPI(of reference: ImageReference) {
        for name in [reference.scopeName, reference.endpoint] {
            knownReferrersAPI.insert(
                true, for: name, cost: name.utf8.count + 160, expires: .now + options.knownReferrersAPILifetime)
        }
    }

    /// Where other repositories have the API it may well be back soon.
    private func noteMissingReferrersAPI(of reference: ImageReference) {
        let isDoubtful = knownReferrersAPI.value(for: reference.endpoint) != nil
        missingReferrersAPI.insert(
            true, for: reference.scopeName, cost: reference.scopeName.utf8.count + 160,
            expires: .now
                + (isDoubtful
                    ? min(options.doubtfulReferrersAPILifetime, options.missingReferrersAPILifetime)
                    : options.missingReferrersAPILifetime))
    }

    func listingCall(
        _ subject: Digest, _ reference: ImageReference, _ deadline: ContinuousClock.Instant
    ) -> RegistryCall {
        RegistryCall(
            purpose: "listing the referrers", reference: reference, subject: "\(reference.repository)@\(subject)",
            path: "referrers/\(subject)", accept: MediaType.ociIndex, maximumBytes: options.maximumManifestBytes,
            precedence: .continuing, isAboutSignatures: true, followsRedirects: true, deadline: deadline)
    }

    func tooMany(_ call: RegistryCall) -> RegistryError {
        call.error(
            .tooMany,
            "there are more than \(options.maximumReferrers) referrers; remove old ones, or raise the limit")
    }

    /// All pages of the Referrers API; `nil` when the registry does not have it.
    private func askAPI(
        _ subject: Digest, _ reference: ImageReference, _ artifactType: String?, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor]? {
        var call = listingCall(subject, reference, deadline)
        if let artifactType { call.path += "?artifactType=\(PercentEncoding.encode(artifactType))" }
        var collection = ReferrerCollection(artifactType: artifactType)
        for page in 1... {
            guard page <= options.maximumReferrerPages else {
                throw call.error(
                    .tooMany,
                    "the list has more than \(options.maximumReferrerPages) pages; remove old referrers, or raise the limit"
                )
            }
            let response = try await send(call)
            // Only the first page's 404 means that there is no such API.
            if response.status == 404, page == 1 { return nil }
            guard response.status == 200 else { throw unexpected(response, call) }
            collection.add(try index(in: response, call).manifests, isFiltered: Self.isFiltered(response))
            guard collection.typedCount <= options.maximumReferrers else { throw tooMany(call) }
            guard let next = try nextLink(response, call) else { break }
            call.location = try nextPage(next, after: response, call)
        }
        return try await typed(collection, call)
    }

    /// What an answer says of a next page. One that cannot be read is an error: there may be more.
    private func nextLink(_ response: HTTPResponse, _ call: RegistryCall) throws(RegistryError) -> String? {
        do { return try LinkHeader.next(response.headers.all("Link")) } catch {
            throw call.error(
                .malformed,
                "whether the list has another page cannot be told, so that a part of it may be missing: \(error)")
        }
    }

    /// The URL of the next page, which must be on the registry's own origin: it gets the caller's credentials.
    private func nextPage(
        _ link: String, after response: HTTPResponse, _ call: RegistryCall
    ) throws(RegistryError) -> HTTPURL {
        let origin = try origin(call.reference)
        guard let page = try? HTTPURL(parsing: response.url).resolving(link) else {
            throw call.error(.malformed, "the link to the next page is not a usable URL")
        }
        guard page.hasSameOrigin(as: origin) else {
            throw call.error(
                .malformed, "the link to the next page leads to another host, \(response.sent.shown(page.authority))")
        }
        return page
    }

    /// The index in an answer; anything else is an error.
    private func index(in response: HTTPResponse, _ call: RegistryCall) throws(RegistryError) -> Index {
        let mediaType = MediaType.bare(response.headers["Content-Type"]) ?? "no media type"
        guard MediaType.indexes.contains(mediaType) else {
            throw call.error(
                .malformed, "the registry answers with \"\(response.sent.quote(mediaType))\" instead of an index")
        }
        do { return try Index(parsing: response.body, mediaType: mediaType) } catch {
            throw call.error(
                .malformed,
                "the registry answers with an index that is wrong: \(response.sent.shown(error.description))")
        }
    }

    private static func isFiltered(_ response: HTTPResponse) -> Bool {
        response.headers.all("OCI-Filters-Applied").contains { field in
            field.split(separator: ",").contains { $0.trimmedOfSpaces.lowercased() == "artifacttype" }
        }
    }

    /// What the referrers tag of a subject means.
    enum ReferrersTag {
        /// There is no such tag.
        case missing
        /// The registry answers with the subject itself: it takes the tag for the digest that is in it. Nothing is
        /// listed.
        case subject
        case list(Index)
    }

    /// Reads the referrers tag of a subject.
    func referrersTag(
        of subject: Digest, _ reference: ImageReference, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> ReferrersTag {
        let tag = subject.referrersTag
        let call = RegistryCall(
            purpose: "reading the referrers tag", reference: reference, subject: "\(reference.repository):\(tag)",
            path: "manifests/\(tag)", accept: MediaType.accepted, maximumBytes: options.maximumManifestBytes,
            isAboutSignatures: true, followsRedirects: true, deadline: deadline)
        let response = try await send(call)
        if response.status == 404 { return .missing }
        guard response.status == 200 else { throw unexpected(response, call) }
        // Whatever it says that this is: an image index would else be read as a list of referrers.
        if subject.matches(response.body) { return .subject }
        return .list(try index(in: response, call))
    }
}
