import OCI

/// Which digests of an image must be signed (`policy.plugin.signedBy`). Without it that is the one that was asked for.
///
/// An image for several platforms is an index with a manifest for each of them; nodes run a manifest.
package enum SubjectSelection: String, Sendable, CaseIterable {
    /// Each platform's manifest must be signed. A signature of the index does not suffice.
    case manifest
    /// The index must be signed. What is asked for by tag and digest may be a manifest of the tag's index. An image
    /// that has no index is judged by its own signature.
    case index
    /// Whatever of these is signed suffices.
    case either

    /// How many manifests an index may have for platforms.
    static let maximumManifests = 32
}

/// A digest that is judged: the image that was asked for, or what stands for it.
struct Subject: Sendable {
    /// How it belongs to the image that was asked for.
    enum Role: Sendable {
        /// It is the image.
        case image
        /// It is a manifest of the image, which is an index.
        case manifest(Platform?)
        /// It is the index that the image's tag means, which lists the image.
        case index(tag: String)
    }

    let descriptor: Descriptor
    let role: Role

    /// What reports say of a subject whose digest is not the one that was asked for.
    var note: String? {
        switch role {
        case .image: nil
        case .manifest(let platform):
            "the image's manifest for \(platform.map { $0.description.quoted } ?? "a platform that is not named")"
        case .index(let tag): "the index that the tag \(tag.quoted) means"
        }
    }
}

/// Why the digests that must be signed cannot be found: what the registry has is not what the policy asks for.
struct SubjectRefusal: Error {
    let reason: String
    let remediation: String
}

extension Index {
    /// The manifests for platforms, each once.
    ///
    /// What BuildKit adds to an index to attach attestations is no image: a platform that no node has, and an
    /// annotation that says what it is. Anything else must be signed, or it could be run unsigned.
    func platformManifests() throws(SubjectRefusal) -> [Subject] {
        var subjects: [Subject] = []
        var known: [Digest: Descriptor] = [:]
        for entry in manifests {
            guard !MediaType.indexes.contains(entry.mediaType) else {
                throw SubjectRefusal(
                    reason: "the image is an index that lists another index, \(entry.digest)",
                    remediation: "Push an index that lists the platforms' manifests themselves")
            }
            guard !entry.isAttestationOfBuildKit else { continue }
            guard MediaType.manifests.contains(entry.mediaType) else {
                throw SubjectRefusal(
                    reason: "the image's index lists \(entry.digest) as \"\(entry.mediaType.quotedMediaType)\", "
                        + "which is no manifest type that is supported",
                    remediation: "Push an index that lists the platforms' manifests alone")
            }
            let descriptor = Descriptor(mediaType: entry.mediaType, digest: entry.digest, size: entry.size)
            if let former = known.updateValue(descriptor, forKey: entry.digest) {
                guard former == descriptor else {
                    throw SubjectRefusal(
                        reason: "the image's index lists \(entry.digest) twice, with different sizes or media types",
                        remediation: "Push an index that describes each manifest in one way")
                }
                continue
            }
            guard subjects.count < SubjectSelection.maximumManifests else {
                throw SubjectRefusal(
                    reason: "the image's index has more than \(SubjectSelection.maximumManifests) manifests for "
                        + "platforms; each must be signed, and no more are looked at",
                    remediation: "Push an index with fewer platforms, or set signedBy to index")
            }
            subjects.append(Subject(descriptor: descriptor, role: .manifest(entry.platform)))
        }
        guard !subjects.isEmpty else {
            throw SubjectRefusal(
                reason: "the image is an index without a manifest for any platform",
                remediation: "Push an index that lists the platforms' manifests")
        }
        return subjects
    }
}

extension Descriptor {
    fileprivate var isAttestationOfBuildKit: Bool {
        platform?.os == "unknown" && platform?.architecture == "unknown"
            && annotations["vnd.docker.reference.type"] == "attestation-manifest"
    }
}
