import OCI

/// Some content, its descriptor, and a reference to it.
package enum Sample {
    package static let deadline = ContinuousClock.now + .seconds(600)
    package static let config = Descriptor(of: Array("{}".utf8), mediaType: MediaType.emptyJSON)
    package static let image = Manifest(config: config, layers: [], annotations: ["name": "image"]).json.bytes
    package static let subject = Descriptor(of: image, mediaType: MediaType.ociManifest)

    package static func reference(_ text: String = "r.example/app:v1") throws -> ImageReference {
        try ImageReference(parsing: text)
    }

    package static func referrer(_ number: Int, type: String? = MediaType.notationSignature) -> Descriptor {
        Descriptor(
            of: Array("referrer \(number)".utf8), mediaType: MediaType.ociManifest, artifactType: type,
            annotations: ["number": "\(number)"])
    }
}
