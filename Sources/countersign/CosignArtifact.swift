import OCI
import Quotation
import Sigstore

/// What cosign stored about an image: a manifest whose layers are signatures, or one with a bundle. It is read, and not
/// judged: nothing that it says is verified.
struct CosignArtifact {
    /// A layer of the manifest: a signature of cosign before version 3, or a bundle.
    struct Part {
        enum Form: String {
            case layer, bundle
        }

        let form: Form
        /// The layer; nil for a bundle from a file.
        let descriptor: Descriptor?
        /// What is in it, or why it cannot be read.
        let content: Result<Bundle, Unreadable>
    }

    /// Why something cannot be read.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// The manifest.
    let manifest: Descriptor
    /// The tag that it was found at, where it does not say itself what it belongs to.
    var tag: String?
    /// Its layers.
    var parts: [Part] = []
    /// Layers beyond the limit, which were not read.
    var unread = 0
    /// What is wrong with the manifest.
    var problem: String?

    /// Whether a referrer is of one of cosign's forms.
    static func isPossible(_ referrer: Descriptor) -> Bool {
        guard let type = referrer.artifactType else { return false }
        return type == CosignMediaType.signatureArtifact || CosignMediaType.bundles.contains(type)
    }

    private init(_ manifest: Descriptor) { self.manifest = manifest }

    /// Reads what a manifest has. Trouble with what it holds is a part of what is shown, trouble with the store is not.
    ///
    /// - Parameters:
    ///   - manifest: a referrer that ``isPossible(_:)``.
    ///   - subject: what it is a referrer of.
    ///   - maximum: how many layers are read.
    static func read(
        _ manifest: Descriptor, of subject: Descriptor, in reference: ImageReference, from source: any ReferrerStore,
        maximum: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> CosignArtifact {
        var artifact = CosignArtifact(manifest)
        let content: [UInt8]
        do { content = try await source.manifest(manifest, in: reference, deadline: deadline) } catch {
            guard !error.isTransient else { throw error }
            artifact.problem = error.description
            return artifact
        }
        let parsed: Manifest
        do { parsed = try Manifest(parsing: content, mediaType: manifest.mediaType) } catch {
            artifact.problem = "the manifest is broken: \(error)"
            return artifact
        }
        let isBundle = CosignMediaType.bundles.contains(manifest.artifactType ?? "")
        if let stated = parsed.subject {
            if stated.digest != subject.digest {
                artifact.problem = "the manifest is about another artifact, \(stated.digest)"
            }
        } else if isBundle {
            artifact.problem = "the manifest names no subject: it is about no image"
        } else {
            artifact.tag = subject.digest.cosignSignatureTag
        }
        if parsed.layers.isEmpty { artifact.problem = artifact.problem ?? "the manifest has no layers" }
        for layer in parsed.layers.prefix(maximum) {
            artifact.parts.append(
                try await read(layer, isBundle ? .bundle : .layer, in: reference, from: source, deadline: deadline))
        }
        artifact.unread = parsed.layers.count - artifact.parts.count
        return artifact
    }

    private static func read(
        _ layer: Descriptor, _ form: Part.Form, in reference: ImageReference, from source: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Part {
        func unreadable(_ reason: String) -> Part {
            Part(form: form, descriptor: layer, content: .failure(Unreadable(description: reason)))
        }
        let isExpected =
            switch form {
            case .layer: layer.mediaType == CosignMediaType.simpleSigning
            case .bundle: CosignMediaType.bundles.contains(layer.mediaType)
            }
        guard isExpected else {
            return unreadable(
                "the layer is of the type \"\(layer.mediaType.quotedMediaType)\", which is none of a "
                    + (form == .layer ? "cosign signature" : "bundle"))
        }
        let bytes: [UInt8]
        do throws(RegistryError) {
            bytes = try await source.blob(
                layer, in: reference,
                maximumBytes: form == .layer ? SigstoreLimits.payloadBytes : SigstoreLimits.bundleBytes,
                deadline: deadline)
        } catch {
            guard !error.isTransient else { throw error }
            return unreadable(error.description)
        }
        return Part(form: form, descriptor: layer, bytes: bytes)
    }
}

extension CosignArtifact.Part {
    /// Reads the content of a layer, or of a file with a bundle.
    init(form: Form, descriptor: Descriptor?, bytes: [UInt8]) {
        self.form = form
        self.descriptor = descriptor
        do throws(BundleError) {
            content = .success(
                form == .layer
                    ? try Bundle(layer: bytes, annotations: descriptor?.annotations ?? [:])
                    : try Bundle(parsing: bytes))
        } catch { content = .failure(CosignArtifact.Unreadable(description: error.description)) }
    }
}

/// What is signed, for telling signatures of images from everything else.
enum StatedKind: String {
    /// An image, and nothing but that it is signed.
    case signature
    /// Somebody says something about an artifact.
    case attestation
    /// An artifact itself, and no image: nothing names one.
    case artifact
    /// Something that is not known.
    case other

    init(_ bundle: Bundle) {
        switch bundle.content {
        case .simpleSigning: self = .signature
        case .message: self = .artifact
        case .envelope:
            switch bundle.statedPredicateType {
            case nil: self = .other
            case CosignMediaType.signaturePredicate?: self = .signature
            case _?: self = .attestation
            }
        }
    }
}
