import Foundation
import OCI
import StrictJSON
import Testing
import TestSupport

@Suite struct ImageLayoutTests {
    private struct Layout {
        let directory: TemporaryDirectory
        let store: ImageLayout

        init() throws {
            directory = try TemporaryDirectory()
            store = try ImageLayout(directory: directory.path("layout"), create: true)
        }

        func push(_ name: String, tag: String? = nil, subject: Descriptor? = nil) async throws -> Descriptor {
            let reference = try Sample.reference()
            _ = try await store.pushBlob(
                Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: Sample.deadline)
            let manifest = Manifest(
                artifactType: subject == nil ? nil : MediaType.notationSignature, config: Sample.config, layers: [],
                subject: subject, annotations: ["name": name])
            guard let subject else {
                return try await store.pushManifest(
                    manifest.json.bytes, mediaType: MediaType.ociManifest, tag: tag, to: reference,
                    deadline: Sample.deadline)
            }
            return try await store.pushReferrer(
                manifest.json.bytes, mediaType: MediaType.ociManifest, subject: subject,
                artifactType: MediaType.notationSignature, annotations: ["name": name], to: reference,
                deadline: Sample.deadline)
        }

        func referrers(_ subject: Descriptor, _ type: String? = MediaType.notationSignature) async throws
            -> [Descriptor]
        {
            try await store.referrers(
                of: subject, in: Sample.reference(), artifactType: type, deadline: Sample.deadline)
        }

        func resolve(_ text: String) async throws -> Descriptor {
            try await store.resolve(Sample.reference(text), deadline: Sample.deadline)
        }
    }

    @Test func keepsWhatIsPushed() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        let other = try await layout.push("other", tag: "v2")
        let signature = try await layout.push("signature", subject: image)
        _ = try await layout.push("foreign", subject: other)
        #expect(try await layout.resolve("r.example/app:v1") == image)
        #expect(try await layout.resolve("r.example/app@\(image.digest)") == image)
        #expect(try await layout.resolve("r.example/app:v1@\(other.digest)") == other)
        #expect(try await layout.referrers(image) == [signature])
        #expect(try await layout.referrers(image, nil) == [signature])
        #expect(try await layout.referrers(image, "other").isEmpty)
        let content = try await layout.store.manifest(signature, in: Sample.reference(), deadline: Sample.deadline)
        #expect(try Manifest(parsing: content, mediaType: MediaType.ociManifest).subject == image)
        // Another process sees the same.
        let again = try ImageLayout(directory: layout.store.directory + "/")
        #expect(try await again.resolve(Sample.reference(), deadline: Sample.deadline) == image)
        await expectError(.notFound) { try await layout.resolve("r.example/app:v3") }
        await expectError(.notFound) { try await layout.resolve("r.example/app@\(Digest(of: [9]))") }
    }

    @Test func movesATag() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let first = try await layout.push("first", tag: "v1")
        let second = try await layout.push("second", tag: "v1")
        #expect(try await layout.resolve("a.b/c:v1") == second)
        _ = try await layout.push("second", tag: "v2")
        #expect(try await layout.resolve("a.b/c:v1") == second)
        #expect(try await layout.resolve("a.b/c:v2") == second)
        #expect(try await layout.resolve("a.b/c@\(first.digest)") == first)
        _ = try await layout.push("first", tag: "v1")
        #expect(try await layout.resolve("a.b/c:v1") == first)
        #expect(try await layout.resolve("a.b/c:v2") == second)
    }

    @Test func goesByWholeNamesFirst() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        let named = try await layout.push("named")
        var entry = named
        entry.annotations = ["org.opencontainers.image.ref.name": "docker.io/library/nginx:v1"]
        var plain = image
        plain.annotations = ["org.opencontainers.image.ref.name": "v1"]
        layout.directory.write(Index(manifests: [plain, entry]).json.text, to: "layout/index.json")
        #expect(try await layout.resolve("nginx:v1") == named)
        #expect(try await layout.resolve("other:v1") == image)
        entry.annotations = ["org.opencontainers.image.ref.name": "v1"]
        layout.directory.write(Index(manifests: [plain, entry]).json.text, to: "layout/index.json")
        await expectError(.malformed) { try await layout.resolve("nginx:v1") }
    }

    @Test func findsReferrersBelowIndexes() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        let signature = try await layout.push("signature", subject: image)
        // As a tool that copies a repository with its referrers tag leaves it.
        let list = Index(manifests: [signature])
        let descriptor = try await layout.store.pushBlob(
            list.json.bytes, mediaType: MediaType.ociIndex, to: Sample.reference(), deadline: Sample.deadline)
        var tagged = descriptor
        tagged.annotations = ["org.opencontainers.image.ref.name": image.digest.referrersTag]
        layout.directory.write(Index(manifests: [image, tagged]).json.text, to: "layout/index.json")
        #expect(try await layout.referrers(image).map(\.digest) == [signature.digest])
        #expect(try await layout.resolve("a@\(signature.digest)").digest == signature.digest)
    }

    /// What cannot be read harms nobody else. A signature that describes its subject wrongly is one, which fails.
    @Test func believesNoEntryThatLies() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        var otherSize = image
        otherSize.size += 1
        let wrongSize = try await layout.push("wrong size", subject: otherSize)
        var otherType = image
        otherType.mediaType = MediaType.dockerManifest
        let wrongType = try await layout.push("wrong type", subject: otherType)
        let good = try await layout.push("good", subject: image)
        let broken = try await layout.push("broken", subject: image)
        let missing = try await layout.push("missing", subject: image)
        layout.directory.write("tampered", to: "layout/blobs/sha256/\(broken.digest.hex)")
        try FileManager.default.removeItem(atPath: layout.directory.path("layout/blobs/sha256/\(missing.digest.hex)"))
        #expect(try await layout.referrers(image) == [wrongSize, wrongType, good])
    }

    /// What the referrers tag names and cannot be read is not left out.
    @Test func keepsWhatTheTagNamesAndNobodyCanRead() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        let good = try await layout.push("good", subject: image)
        let broken = try await layout.push("broken", subject: image)
        layout.directory.write("tampered", to: "layout/blobs/sha256/\(broken.digest.hex)")
        let unstated = Descriptor(mediaType: broken.mediaType, digest: broken.digest, size: broken.size)
        for entry in [broken, unstated] {
            let list = Index(manifests: [entry, good])
            var tagged = try await layout.store.pushBlob(
                list.json.bytes, mediaType: MediaType.ociIndex, to: Sample.reference(), deadline: Sample.deadline)
            tagged.annotations = ["org.opencontainers.image.ref.name": image.digest.referrersTag]
            layout.directory.write(Index(manifests: [good, image, tagged]).json.text, to: "layout/index.json")
            #expect(try await layout.referrers(image).map(\.digest) == [broken.digest, good.digest])
            #expect(try await layout.referrers(image, nil).first?.artifactType == entry.artifactType)
            layout.directory.write("tampered", to: "layout/blobs/sha256/\(tagged.digest.hex)")
            await expectError(.sizeMismatch) { try await layout.referrers(image) }
        }
    }

    @Test func checksBlobs() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        func read(_ descriptor: Descriptor, limit: Int = 1 << 20) async throws -> [UInt8] {
            try await layout.store.blob(
                descriptor, in: Sample.reference(), maximumBytes: limit, deadline: Sample.deadline)
        }
        _ = try await read(image)
        var wrong = image
        wrong.size += 1
        await expectError(.sizeMismatch) { try await read(wrong) }
        await expectError(.tooLarge) { try await read(image, limit: 3) }
        let file = "layout/blobs/sha256/\(image.digest.hex)"
        layout.directory.write([UInt8](repeating: 0, count: Int(image.size)), to: file)
        await expectError(.digestMismatch) { try await read(image) }
        try FileManager.default.removeItem(atPath: layout.directory.path(file))
        await expectError(.notFound) { try await read(image) }
        mkfifo(layout.directory.path(file), 0o600)
        await #expect(throws: RegistryError.self) { try await read(image) }
        await expectError(.timeout) {
            try await layout.store.resolve(Sample.reference(), deadline: .now - .seconds(1))
        }
    }

    /// Pushing mends what was damaged.
    @Test func replacesADamagedBlob() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        layout.directory.write("x", to: "layout/blobs/sha256/\(image.digest.hex)")
        #expect(try await layout.push("image", tag: "v1") == image)
        _ = try await layout.store.manifest(image, in: Sample.reference(), deadline: Sample.deadline)
    }

    @Test func losesNothingWhenManyWrite() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    // Each as another process would, with nothing but the directory in common.
                    let store = try ImageLayout(directory: layout.store.directory)
                    let manifest = Manifest(
                        artifactType: "t", config: Sample.config, layers: [], subject: image,
                        annotations: ["n": "\(number)"])
                    _ = try await store.pushReferrer(
                        manifest.json.bytes, mediaType: MediaType.ociManifest, subject: image, artifactType: "t",
                        annotations: [:], to: Sample.reference(), deadline: Sample.deadline)
                }
            }
            try await group.waitForAll()
        }
        #expect(try await layout.referrers(image, "t").count == 40)
        let left = try FileManager.default.subpathsOfDirectory(atPath: layout.store.directory)
        #expect(!left.contains { $0.hasSuffix(".tmp") })
    }

    @Test func keepsWhatOthersWroteIntoTheIndex() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let platform =
            #"{"mediaType":"\#(MediaType.ociManifest)","digest":"\#(Digest(of: [1]))","size":1,"platform":{"os":"linux"}}"#
        layout.directory.write(
            #"{"schemaVersion":2,"manifests":[\#(platform)],"annotations":{"a":"b"},"x-vendor":1}"#,
            to: "layout/index.json")
        _ = try await layout.push("image", tag: "v1")
        let json = try StrictJSON.parse(Data(contentsOf: URL(filePath: layout.directory.path("layout/index.json"))))
        #expect(json["x-vendor"]?.integer == 1)
        #expect(json["annotations"]?["a"]?.string == "b")
        #expect(json["manifests"]?.array?.count == 2)
        #expect(json["manifests"]?.array?.first?["platform"]?["os"]?.string == "linux")
    }

    @Test func refusesWhatIsNoLayout() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        await expectError(.notFound) { try ImageLayout(directory: directory.path) }
        directory.write(#"{"imageLayoutVersion":"2.0.0"}"#, to: "oci-layout")
        await expectError(.storage) { try ImageLayout(directory: directory.path) }
        directory.write(#"{"imageLayoutVersion":"1.0.0"}"#, to: "oci-layout")
        let store = try ImageLayout(directory: directory.path)
        await expectError(.notFound) { try await store.resolve(Sample.reference(), deadline: Sample.deadline) }
        for content in [
            "{", "{}",
            #"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../etc/passwd","mediaType":"x","size":1}]}"#,
        ] {
            directory.write(content, to: "index.json")
            await expectError(.malformed) { try await store.resolve(Sample.reference(), deadline: Sample.deadline) }
        }
        await expectError(.refused) {
            try await store.pushManifest(
                Sample.image, mediaType: MediaType.ociManifest, tag: "../x", to: Sample.reference(),
                deadline: Sample.deadline)
        }
    }

    @Test func boundsReferrers() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        for number in 0..<4 { _ = try await layout.push("\(number)", subject: image) }
        var limits = ImageLayout.Limits()
        limits.maximumReferrers = 3
        let store = try ImageLayout(directory: layout.store.directory, limits: limits)
        await expectError(.tooMany) {
            try await store.referrers(
                of: image, in: Sample.reference(), artifactType: nil, deadline: Sample.deadline)
        }
    }

    /// As a tool leaves it that copies a repository with all its tags.
    @Test(arguments: ["", "r.example/app:"])
    func findsCosignSignaturesByTheirName(prefix: String) async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let type = MediaType.cosignSignature
        let image = try await layout.push("image", tag: "v1")
        let other = try await layout.push("other", tag: "v2")
        let notation = try await layout.push("signature", subject: image)
        let written = try await layout.push("cosign's", tag: image.digest.cosignSignatureTag)
        var named = written
        named.annotations = [
            "org.opencontainers.image.ref.name": prefix + (try #require(image.digest.cosignSignatureTag))
        ]
        var own = image
        own.annotations = ["org.opencontainers.image.ref.name": try #require(other.digest.cosignSignatureTag)]
        let missing = Descriptor(
            mediaType: MediaType.ociManifest, digest: Digest(of: [9]), size: 9, annotations: named.annotations)
        func write(_ entries: [Descriptor]) {
            layout.directory.write(Index(manifests: entries).json.text, to: "layout/index.json")
        }
        write([image, other, notation, named])
        let found = Descriptor(
            mediaType: MediaType.ociManifest, digest: written.digest, size: written.size, artifactType: type)
        #expect(try await layout.referrers(image, type) == [found])
        #expect(try await layout.referrers(image) == [notation])
        #expect(try await layout.referrers(image, nil) == [found, notation])
        #expect(try await layout.referrers(other, nil).isEmpty)
        // What cannot be read is one that fails, not one that is not there.
        write([image, missing])
        #expect(try await layout.referrers(image, type).map(\.digest) == [missing.digest])
        // A name says nothing of the image itself, and of another image nothing about this one.
        write([image, other, own])
        #expect(try await layout.referrers(image, type).isEmpty)
        #expect(try await layout.referrers(other, type).map(\.digest) == [image.digest])
        var renamed = image
        renamed.annotations = named.annotations
        write([renamed])
        #expect(try await layout.referrers(image, type).isEmpty)
    }

    /// What has the name and states its subject, as cosign can be told to write it, is one and not two.
    @Test func listsACosignSignatureOnce() async throws {
        let layout = try Layout()
        defer { layout.directory.remove() }
        let image = try await layout.push("image", tag: "v1")
        let manifest = Manifest(
            artifactType: MediaType.cosignSignature, config: Sample.config, layers: [], subject: image
        ).json.bytes
        let pushed = try await layout.store.pushManifest(
            manifest, mediaType: MediaType.ociManifest, tag: image.digest.cosignSignatureTag,
            to: Sample.reference(), deadline: Sample.deadline)
        #expect(try await layout.referrers(image, nil).map(\.digest) == [pushed.digest])
        var limits = ImageLayout.Limits()
        limits.maximumReferrers = 0
        let store = try ImageLayout(directory: layout.store.directory, limits: limits)
        await expectError(.tooMany) {
            try await store.referrers(
                of: image, in: Sample.reference(), artifactType: nil, deadline: Sample.deadline)
        }
    }

    @Test func namesCosignsTags() throws {
        let digest = Digest(of: [1])
        #expect(digest.cosignSignatureTag == "sha256-\(digest.hex).sig")
        #expect(digest.cosignAttestationTag == "sha256-\(digest.hex).att")
        #expect(Digest(cosignSignatureTag: "sha256-\(digest.hex).sig") == digest)
        for other in [
            "", ".sig", "v1.sig", "sha256-\(digest.hex).att", "sha256-\(digest.hex)",
            "sha256-\(digest.hex.dropLast()).sig",
            "sha256-\(digest.hex.uppercased()).sig", "sha1-\(digest.hex).sig",
        ] {
            #expect(Digest(cosignSignatureTag: other) == nil, "\(other)")
        }
    }
}
