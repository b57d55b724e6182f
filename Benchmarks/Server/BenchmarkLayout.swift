import OCI
import StrictJSON

/// An OCI image layout with small images in it.
struct BenchmarkLayout: Sendable {
    let directory: String

    /// Adds images; gives their tags.
    func addImages(_ count: Int) throws -> [String] {
        try ServingFiles.makeDirectory(directory + "/blobs/sha256")
        try ServingFiles.write(#"{"imageLayoutVersion":"1.0.0"}"#, to: directory + "/oci-layout")
        var manifests: [JSONValue] = []
        var tags: [String] = []
        for number in 0..<count {
            let config = try put(
                [
                    "architecture": "amd64", "os": "linux", "config": ["Labels": ["image": .string("\(number)")]],
                    "rootfs": ["type": "layers", "diff_ids": []],
                ], "application/vnd.oci.image.config.v1+json")
            var manifest = try put(
                [
                    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": .object(config), "layers": [],
                ], "application/vnd.oci.image.manifest.v1+json")
            let tag = "v\(number)"
            manifest["annotations"] = ["org.opencontainers.image.ref.name": .string(tag)]
            manifests.append(.object(manifest))
            tags.append(tag)
        }
        let index: JSONValue = [
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": .array(manifests),
        ]
        try ServingFiles.write(index.bytes, to: directory + "/index.json")
        return tags
    }

    private func put(_ content: JSONValue, _ mediaType: String) throws -> JSONObject {
        let bytes = content.bytes
        let digest = Digest(of: bytes)
        try ServingFiles.write(bytes, to: directory + "/blobs/sha256/" + digest.hex)
        return [
            "mediaType": .string(mediaType), "digest": .string("\(digest)"), "size": .number("\(bytes.count)"),
        ]
    }
}
