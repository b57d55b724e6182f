import OCI
import StrictJSON

let manifestTargets = [
    FuzzTarget("manifest", maximumLength: 16_384) { bytes in
        for mediaType in MediaType.manifests {
            let manifest: Manifest
            do { manifest = try Manifest(parsing: bytes, mediaType: mediaType) } catch {
                requireReadable(error)
                continue
            }
            requireSane(manifest.layers + [manifest.config, manifest.subject].compactMap(\.self))
            // One content is never two things.
            for other in MediaType.indexes {
                require((try? Index(parsing: bytes, mediaType: other)) == nil, "\(mediaType) and \(other) at once")
            }
            do {
                let again = try Manifest(parsing: manifest.json.bytes, mediaType: mediaType)
                require(again == manifest, "what is written is another manifest")
            } catch { violated("what is written is refused: \(error)") }
        }
    },
    FuzzTarget("index", maximumLength: 16_384) { bytes in
        for mediaType in MediaType.indexes {
            let index: Index
            do { index = try Index(parsing: bytes, mediaType: mediaType) } catch {
                requireReadable(error)
                continue
            }
            requireSane(index.manifests + [index.subject].compactMap(\.self))
            do {
                let again = try Index(parsing: index.json.bytes, mediaType: mediaType)
                require(again == index, "what is written is another index")
            } catch { violated("what is written is refused: \(error)") }
        }
    },
]

private func requireSane(_ descriptors: [Descriptor]) {
    for descriptor in descriptors {
        require(descriptor.size >= 0, "a negative size")
        require(!descriptor.mediaType.isEmpty, "an empty media type")
        require((try? Digest(parsing: descriptor.digest.description)) == descriptor.digest, "a digest with two forms")
    }
}
