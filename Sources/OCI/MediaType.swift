/// The media types that this module knows, as in the specifications that define them.
public enum MediaType {
    /// OCI image manifest.
    public static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    /// OCI image index, also the shape of a referrers response.
    public static let ociIndex = "application/vnd.oci.image.index.v1+json"
    /// Docker image manifest, version 2 schema 2.
    public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    /// Docker manifest list.
    public static let dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
    /// OCI artifact manifest: in release candidates of the image specification 1.1 only, but in registries still.
    public static let artifactManifest = "application/vnd.oci.artifact.manifest.v1+json"
    /// The empty JSON object that artifacts have as their configuration (image specification, "Guidance for an empty
    /// descriptor").
    public static let emptyJSON = "application/vnd.oci.empty.v1+json"
    /// A Notary Project signature envelope in JWS.
    public static let notationJWS = "application/jose+json"
    /// A Notary Project signature envelope in COSE_Sign1.
    public static let notationCOSE = "application/cose"
    /// The artifact type (and configuration media type) of Notary Project signatures.
    public static let notationSignature = "application/vnd.cncf.notary.signature"
    /// The artifact type of cosign's signature manifests: what a referrer states that cosign writes with
    /// `--registry-referrers-mode=oci-1-1`, and what the manifest behind ``Digest/cosignSignatureTag`` counts as.
    public static let cosignSignature = "application/vnd.dev.cosign.artifact.sig.v1+json"
    /// Any bytes.
    public static let octetStream = "application/octet-stream"

    /// The manifest types that have layers or blobs.
    public static let manifests = [ociManifest, dockerManifest, artifactManifest]
    /// The manifest types that list other manifests.
    public static let indexes = [ociIndex, dockerManifestList]
    /// What a request for any manifest accepts.
    public static let accepted = (manifests + indexes).joined(separator: ", ")

    /// A `Content-Type` without its parameters, in lower case: media types are compared without regard to case
    /// (RFC 9110, section 8.3.1). `nil` when nothing is left.
    package static func bare(_ contentType: String?) -> String? {
        guard let contentType else { return nil }
        let end = contentType.utf8.firstIndex(of: UInt8(ascii: ";")) ?? contentType.endIndex
        let trimmed = contentType[..<end].trimmedOfSpaces
        guard !trimmed.isEmpty else { return nil }
        return trimmed.utf8.contains { (0x41...0x5A).contains($0) || $0 >= 0x80 } ? trimmed.lowercased() : trimmed
    }
}

extension StringProtocol {
    /// This text without spaces and tabs at its ends: FoundationEssentials has no `trimmingCharacters`.
    package var trimmedOfSpaces: String {
        var rest = Substring(self).utf8
        while let first = rest.first, first == 0x20 || first == 0x09 { rest = rest.dropFirst() }
        while let last = rest.last, last == 0x20 || last == 0x09 { rest = rest.dropLast() }
        return String(Substring(rest))
    }
}
