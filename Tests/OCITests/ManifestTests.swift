import OCI
import Testing

@Suite struct ManifestTests {
    static let hex = String(repeating: "0a", count: 32)
    static let descriptor = #"{"mediaType":"application/x","digest":"sha256:\#(hex)","size":3}"#

    @Test func readsAnImageManifest() throws {
        let text = """
            {"schemaVersion":2,"mediaType":"\(MediaType.ociManifest)","artifactType":"a/b",
             "config":\(Self.descriptor),"layers":[\(Self.descriptor)],"subject":\(Self.descriptor),
             "annotations":{"k":"v"},"unknown":[1]}
            """
        let manifest = try Manifest(parsing: Array(text.utf8), mediaType: MediaType.ociManifest)
        #expect(manifest.artifactType == "a/b")
        #expect(manifest.config?.size == 3)
        #expect(manifest.layers.count == 1)
        #expect(manifest.subject?.digest.hex == Self.hex)
        #expect(manifest.annotations == ["k": "v"])
        #expect(try Manifest(parsing: manifest.json.bytes, mediaType: MediaType.ociManifest) == manifest)
    }

    @Test func readsDockerAndArtifactManifests() throws {
        let docker =
            #"{"schemaVersion":2,"mediaType":"\#(MediaType.dockerManifest)","config":\#(Self.descriptor),"layers":[]}"#
        #expect(try Manifest(parsing: Array(docker.utf8), mediaType: MediaType.dockerManifest).layers.isEmpty)
        let artifact =
            #"{"mediaType":"\#(MediaType.artifactManifest)","artifactType":"t","blobs":[\#(Self.descriptor)]}"#
        let manifest = try Manifest(parsing: Array(artifact.utf8), mediaType: MediaType.artifactManifest)
        #expect(manifest.layers.count == 1)
        #expect(manifest.effectiveArtifactType == "t")
        #expect(try Manifest(parsing: manifest.json.bytes, mediaType: MediaType.artifactManifest) == manifest)
    }

    @Test func takesTheConfigurationsTypeForTheArtifacts() throws {
        let text = #"{"schemaVersion":2,"config":\#(Self.descriptor),"layers":[]}"#
        let manifest = try Manifest(parsing: Array(text.utf8), mediaType: MediaType.ociManifest)
        #expect(manifest.artifactType == nil)
        #expect(manifest.effectiveArtifactType == "application/x")
    }

    @Test(arguments: [
        "", "[]", "{", #"{"schemaVersion":1}"#, #"{"schemaVersion":2,"layers":[]}"#,
        #"{"schemaVersion":2,"config":\#(descriptor)}"#,
        #"{"schemaVersion":2,"config":\#(descriptor),"layers":{}}"#,
        #"{"schemaVersion":2,"config":\#(descriptor),"layers":null}"#,
        #"{"schemaVersion":2,"config":\#(descriptor),"layers":[1]}"#,
        #"{"schemaVersion":2,"config":\#(descriptor),"layers":[],"layers":[]}"#,
        #"{"schemaVersion":2,"config":\#(descriptor),"layers":[],"manifests":[]}"#,
        #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":\#(descriptor),"layers":[]}"#,
        #"{"schemaVersion":2,"mediaType":7,"config":\#(descriptor),"layers":[]}"#,
        #"{"schemaVersion":2,"artifactType":7,"config":\#(descriptor),"layers":[]}"#,
        #"{"schemaVersion":2,"annotations":{"a":1},"config":\#(descriptor),"layers":[]}"#,
        #"{"schemaVersion":2,"subject":{"digest":"x"},"config":\#(descriptor),"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:00","size":1},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:\#(hex)","size":-1},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:\#(hex)","size":1.5},"layers":[]}"#,
    ])
    func refusesWhatIsNoManifest(text: String) {
        #expect(throws: ManifestError.self) {
            try Manifest(parsing: Array(text.utf8), mediaType: MediaType.ociManifest)
        }
    }

    @Test func refusesOtherTypes() {
        let text = #"{"schemaVersion":2,"config":\#(Self.descriptor),"layers":[]}"#
        for type in [MediaType.ociIndex, "application/vnd.docker.distribution.manifest.v1+json", "text/html", ""] {
            #expect(throws: ManifestError.self) { try Manifest(parsing: Array(text.utf8), mediaType: type) }
        }
        // Docker's types must say so inside as well.
        #expect(throws: ManifestError.self) {
            try Manifest(parsing: Array(text.utf8), mediaType: MediaType.dockerManifest)
        }
    }

    @Test func readsPlatforms() throws {
        func platform(_ member: String) throws -> Platform? {
            let entry = #"{"mediaType":"application/x","digest":"sha256:\#(Self.hex)","size":3\#(member)}"#
            let index = try Index(parsing: Array(#"{"schemaVersion":2,"manifests":[\#(entry)]}"#.utf8))
            #expect(try Index(parsing: index.json.bytes) == index)
            return index.manifests.first?.platform
        }
        #expect(
            try platform(#","platform":{"os":"linux","architecture":"arm64","variant":"v8","os.version":"1"}"#)
                == Platform(os: "linux", architecture: "arm64", variant: "v8"))
        #expect(try platform(#","platform":{"os":"linux","architecture":"amd64"}"#)?.description == "linux/amd64")
        // What names no platform is read as before: an index with it is no worse for that.
        let long = String(repeating: "x", count: 65)
        for member in [
            "", #","platform":null"#, #","platform":"linux/amd64""#, #","platform":{"os":"linux"}"#,
            #","platform":{"os":1,"architecture":"amd64"}"#, #","platform":{"os":"linux","architecture":"\#(long)"}"#,
        ] {
            #expect(try platform(member) == nil, "\(member)")
        }
    }

    @Test func readsAnIndex() throws {
        let text = #"{"schemaVersion":2,"manifests":[\#(Self.descriptor)],"subject":\#(Self.descriptor)}"#
        let index = try Index(parsing: Array(text.utf8))
        #expect(index.manifests.count == 1)
        #expect(try Index(parsing: index.json.bytes) == index)
    }

    @Test(arguments: [
        "{}", #"{"schemaVersion":2}"#, #"{"schemaVersion":2,"manifests":null}"#,
        #"{"schemaVersion":2,"manifests":[],"layers":[]}"#, #"{"manifests":[]}"#,
        #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
    ])
    func refusesWhatIsNoIndex(text: String) {
        #expect(throws: ManifestError.self) { try Index(parsing: Array(text.utf8)) }
    }
}
