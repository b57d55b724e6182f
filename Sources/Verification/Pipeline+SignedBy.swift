import OCI
import Quotation

/// Which digests of an image are judged, by the policy's `signedBy`.
extension Pipeline {
    /// The judgement on an image: on it, on each manifest of it, or on the index that lists it.
    func judgement(
        on image: Descriptor, by selection: SubjectSelection?, _ look: Look
    ) async -> Judgement {
        var budget = snapshot.maximumArtifacts
        let isIndex = MediaType.indexes.contains(image.mediaType)
        switch (selection, isIndex) {
        case (nil, _), (.manifest, false), (.index, true):
            return await judgement(on: [Subject(descriptor: image, role: .image)], look, budget: &budget)
        case (.manifest, true):
            return await manifestsJudgement(of: image, look, budget: &budget)
        case (.index, false):
            return await indexJudgement(on: image, look, budget: &budget, isJudged: false)
        case (.either, _):
            let own = await judgement(on: [Subject(descriptor: image, role: .image)], look, budget: &budget)
            guard own.verdict != .success else { return own }
            let other =
                isIndex
                ? await manifestsJudgement(of: image, look, budget: &budget)
                : await indexJudgement(on: image, look, budget: &budget, isJudged: true)
            return .any([own, other])
        }
    }

    // MARK: Manifests of an index

    private func manifestsJudgement(of image: Descriptor, _ look: Look, budget: inout Int) async -> Judgement {
        let subjects: [Subject]
        onStage(.resolve)
        do throws(RegistryError) {
            let index = try await index(image, look)
            do { subjects = try index.platformManifests() } catch {
                return refused(error, look.reference, image.digest)
            }
        } catch { return failed(look.reference, digest: image.digest, stage: .resolve, error) }
        return await judgement(on: subjects, look, budget: &budget)
    }

    /// Fetches a manifest that an index lists: it must be there, and be what the index says.
    func check(_ descriptor: Descriptor, _ look: Look) async throws(RegistryError) {
        let content = try await look.store.manifest(descriptor, in: look.reference, deadline: look.deadline)
        do { _ = try Manifest(parsing: content, mediaType: descriptor.mediaType) } catch {
            throw malformed(descriptor, look, "the manifest is wrong: \(error)")
        }
    }

    private func index(_ descriptor: Descriptor, _ look: Look) async throws(RegistryError) -> Index {
        let content = try await look.store.manifest(descriptor, in: look.reference, deadline: look.deadline)
        do { return try Index(parsing: content, mediaType: descriptor.mediaType) } catch {
            throw malformed(descriptor, look, "the index is wrong: \(error)")
        }
    }

    private func malformed(_ descriptor: Descriptor, _ look: Look, _ detail: String) -> RegistryError {
        RegistryError(
            .malformed, host: look.reference.endpoint, subject: "\(look.reference.repository)@\(descriptor.digest)",
            detail: detail)
    }

    // MARK: The index of a manifest

    /// What stands for a manifest where its index must be signed.
    private enum Standing {
        /// Its index, by the image's tag.
        case index(Descriptor, tag: String)
        /// Itself: the tag means it, and no index.
        case itself
        case nothing(SubjectRefusal)
    }

    /// The judgement on a manifest by its index. A manifest does not say whether an index lists it, so that only the
    /// image's tag can tell.
    ///
    /// - Parameter isJudged: whether it has been judged by itself already, and was not satisfied.
    private func indexJudgement(
        on image: Descriptor, _ look: Look, budget: inout Int, isJudged: Bool
    ) async -> Judgement {
        let subject: Subject
        onStage(.resolve)
        do throws(RegistryError) {
            switch try await standing(for: image, look, isJudged: isJudged) {
            case .itself where isJudged: return Judgement(verdict: .failure)
            case .itself: subject = Subject(descriptor: image, role: .image)
            case .index(let index, let tag): subject = Subject(descriptor: index, role: .index(tag: tag))
            case .nothing(let refusal): return refused(refusal, look.reference, image.digest)
            }
        } catch { return failed(look.reference, digest: image.digest, stage: .resolve, error) }
        var judgement = await judgement(on: [subject], look, budget: &budget)
        judgement.restsOnTag = true
        return judgement
    }

    private func standing(
        for image: Descriptor, _ look: Look, isJudged: Bool
    ) async throws(RegistryError) -> Standing {
        let reference = look.reference
        guard let tag = reference.tag else {
            return .nothing(
                SubjectRefusal(
                    reason: "\"\(reference)\" is a manifest that was asked for by its digest alone: which index lists "
                        + "it is not known, so that no signature of an index counts for it",
                    remediation: "Name the image by tag and digest (name:tag@sha256:…), or "
                        + (isJudged ? "sign the manifest" : "set signedBy to either")))
        }
        // The tag has just been resolved, and means the manifest.
        guard reference.digest != nil else { return .itself }
        let tagged = try await look.store.resolve(reference.with(tag: tag), deadline: look.deadline)
        guard tagged.digest != image.digest else { return .itself }
        let isListed =
            MediaType.indexes.contains(tagged.mediaType)
            ? try await index(tagged, look).manifests.contains {
                $0.digest == image.digest && $0.mediaType == image.mediaType && $0.size == image.size
            } : false
        guard isListed else {
            return .nothing(
                SubjectRefusal(
                    reason: "the tag \(tag.quoted) means \(tagged.digest) now, which is no index that lists "
                        + "\(image.digest), so that no signature of an index counts for it",
                    remediation: "Use the digest of an image that is in the tag's index, or the tag alone"))
        }
        return .index(tagged, tag: tag)
    }

    private func refused(
        _ refusal: SubjectRefusal, _ reference: ImageReference, _ digest: Digest
    ) -> Judgement {
        var report = VerifierReport(
            subject: reference.description, isSuccess: false, message: "failed to verify artifact: \(reference)",
            errorReason: refusal.reason, remediation: refusal.remediation,
            extensions: ["subjectDigest": .string(digest.description)])
        report.failureClass = .policy
        return Judgement(verdict: .failure, reports: [report])
    }
}
