import HTTP
import OCI

extension RegistryClient {
    /// Whether the tag is asked for (``RegistryOptions/cosignSignatures``).
    public var listsCosignSignatures: Bool { options.cosignSignatures }

    /// The manifest at the tag `sha256-<hex>.sig` of a subject, as a referrer; `nil` where there is none, or where no
    /// referrer of its type is asked for.
    ///
    /// Only a 404 means that there is none. Any other fault is an error, as in the listing itself: it must never read
    /// as "no signatures". An index counts, as whatever has a manifest's media type does: whoever judges it says that
    /// it is no signature. The manifest is kept, so that fetching it by its digest costs nothing.
    ///
    /// - Returns: not the result but a `Result`, for whoever asks for more at the same time: `async let` would lose
    ///   the error's type.
    func cosignSignatures(
        of subject: Digest, _ reference: ImageReference, _ artifactType: String?, _ deadline: ContinuousClock.Instant
    ) async -> Result<Descriptor?, RegistryError> {
        guard options.cosignSignatures, artifactType ?? MediaType.cosignSignature == MediaType.cosignSignature,
            let tag = subject.cosignSignatureTag
        else { return .success(nil) }
        do throws(RegistryError) {
            let call = RegistryCall(
                purpose: "looking for cosign's signatures", reference: reference,
                subject: "\(reference.repository):\(tag)", path: "manifests/\(tag)", accept: MediaType.accepted,
                maximumBytes: options.maximumManifestBytes, precedence: .continuing, isAboutSignatures: true,
                followsRedirects: true, deadline: deadline)
            let response = try await send(call)
            if response.status == 404 { return .success(nil) }
            guard response.status == 200 else { throw unexpected(response, call) }
            // The registry takes the tag for the digest that is in it: nothing is there.
            if subject.matches(response.body) { return .success(nil) }
            var descriptor = try received(response, reference.with(tag: tag), call)
            descriptor.artifactType = MediaType.cosignSignature
            return .success(descriptor)
        } catch { return .failure(error) }
    }

    /// Referrers and one more, unless it is among them: cosign can be told to write the same manifest as a referrer.
    func adding(
        _ signatures: Descriptor, to referrers: [Descriptor], _ call: RegistryCall
    ) throws(RegistryError) -> [Descriptor] {
        let isListed = referrers.contains {
            $0.digest == signatures.digest && $0.artifactType == signatures.artifactType
        }
        guard !isListed else { return referrers }
        guard referrers.count < options.maximumReferrers else { throw tooMany(call) }
        return referrers + [signatures]
    }
}
