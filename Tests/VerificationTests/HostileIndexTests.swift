import Foundation
import OCI
import TestSupport
import Testing

@testable import ServiceMetrics
@testable import Verification

/// Indexes that try to get a manifest past the policy: each is denied, with its reason.
@Suite struct HostileIndexTests {
    private func denial(
        _ image: PlatformImage, _ tag: String, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for selection in [SubjectSelection.manifest, .either] {
            let decision = try await image.decision(
                ":\(tag)", image.snapshot(selection), sourceLocation: sourceLocation)
            #expect(!decision.isSuccess, sourceLocation: sourceLocation)
            #expect(
                decision.reports.contains { $0.reason.contains(words) && $0.remediation?.isEmpty == false },
                "\(decision.reports.map(\.reason))", sourceLocation: sourceLocation)
        }
    }

    /// Signed images, as an index lists them.
    private func signed(_ count: Int, in image: PlatformImage) async throws -> [Descriptor] {
        var entries: [Descriptor] = []
        for number in 0..<count {
            var entry = try await image.push("platform \(number)")
            try await image.sign(entry)
            entry.platform = Platform(os: "linux", architecture: "a\(number)")
            entries.append(entry)
        }
        return entries
    }

    @Test func thirtyTwoManifestsAreTheMost() async throws {
        let image = try await PlatformImage()
        let entries = try await signed(33, in: image)
        try await image.push(Index(manifests: Array(entries.prefix(32))), tag: "most")
        #expect(try await image.decision(":most", image.snapshot(.manifest)).isSuccess)
        try await image.push(Index(manifests: entries), tag: "more")
        try await denial(image, "more", "more than 32 manifests")
        // Attestations do not count, nor does what is listed again.
        var attestation = image.attestation
        attestation.platform = PlatformImage.unknown
        attestation.annotations = PlatformImage.attestationAnnotations
        let repeated = Array(entries.prefix(32)) + [entries[0], attestation]
        try await image.push(Index(manifests: repeated), tag: "repeated")
        #expect(try await image.decision(":repeated", image.snapshot(.manifest)).isSuccess)
    }

    /// Only both marks together make an attestation: what a node could run is not left out.
    @Test func onlyAttestationsOfBuildKitAreLeftOut() async throws {
        let image = try await PlatformImage()
        let platform = try await signed(1, in: image)[0]
        let marks: [(Platform?, [String: String], isLeftOut: Bool)] = [
            (PlatformImage.unknown, PlatformImage.attestationAnnotations, true),
            (PlatformImage.unknown, [:], false),
            (nil, PlatformImage.attestationAnnotations, false),
            (Platform(os: "linux", architecture: "unknown"), PlatformImage.attestationAnnotations, false),
            (Platform(os: "linux", architecture: "amd64"), PlatformImage.attestationAnnotations, false),
            (PlatformImage.unknown, ["vnd.docker.reference.type": "attestation"], false),
        ]
        for (number, mark) in marks.enumerated() {
            var entry = try await image.push("unsigned")
            (entry.platform, entry.annotations) = (mark.0, mark.1)
            try await image.push(Index(manifests: [platform, entry]), tag: "marked\(number)")
            let decision = try await image.decision(":marked\(number)", image.snapshot(.manifest))
            #expect(decision.isSuccess == mark.isLeftOut, "\(mark)")
        }
        // Listed once as an attestation and once as an image, it is an image.
        var entry = try await image.push("unsigned")
        var disguised = entry
        entry.platform = Platform(os: "linux", architecture: "amd64")
        (disguised.platform, disguised.annotations) = (PlatformImage.unknown, PlatformImage.attestationAnnotations)
        try await image.push(Index(manifests: [platform, disguised, entry]), tag: "twice")
        try await denial(image, "twice", "no signature is associated with")
    }

    @Test func anIndexWithoutImagesIsNoEvidence() async throws {
        let image = try await PlatformImage()
        try await image.push(Index(manifests: []), tag: "empty")
        try await denial(image, "empty", "without a manifest for any platform")
        var attestation = image.attestation
        attestation.platform = PlatformImage.unknown
        attestation.annotations = PlatformImage.attestationAnnotations
        try await image.push(Index(manifests: [attestation]), tag: "attested")
        try await denial(image, "attested", "without a manifest for any platform")
    }

    @Test func nestedIndexesAreRefused() async throws {
        let image = try await PlatformImage(signed: [.amd64, .arm64])
        let platform = try await signed(1, in: image)[0]
        try await image.sign(image.index, "bad")
        try await image.push(Index(manifests: [platform, image.index]), tag: "nested")
        try await denial(image, "nested", "an index that lists another index")
        // Nor under another name: what is listed must be what the index says.
        try await image.sign(image.index)
        let disguised = Descriptor(
            mediaType: MediaType.ociManifest, digest: image.index.digest, size: image.index.size)
        try await image.push(Index(manifests: [platform, disguised]), tag: "disguised")
        try await denial(image, "disguised", "the manifest is wrong")
        let layer = Descriptor(
            mediaType: MediaType.octetStream, digest: platform.digest, size: platform.size)
        try await image.push(Index(manifests: [platform, layer]), tag: "layer")
        try await denial(image, "layer", "no manifest type that is supported")
    }

    @Test func manifestsMustBeWhatTheIndexSays() async throws {
        let image = try await PlatformImage()
        let platforms = try await signed(2, in: image)
        var long = platforms[1]
        long.size += 1
        try await image.push(Index(manifests: [platforms[0], long]), tag: "long")
        try await denial(image, "long", "its descriptor says \(long.size)")
        try await image.push(Index(manifests: platforms + [long]), tag: "both")
        try await denial(image, "both", "twice, with different sizes or media types")
        let missing = ScriptedStore.signature("nowhere")
        try await image.push(Index(manifests: [platforms[0], missing]), tag: "missing")
        try await denial(image, "missing", "no such blob")
        // Bytes that are not those of the digest.
        let path = "\(image.layout.directory)/blobs/sha256/\(platforms[1].digest.hex)"
        try await image.push(Index(manifests: platforms), tag: "changed")
        #expect(try await image.decision(":changed", image.snapshot(.manifest)).isSuccess)
        let content = try await image.layout.manifest(
            platforms[1], in: image.reference, deadline: .now + .seconds(60))
        try Data(content.dropLast() + [0x20]).write(to: URL(filePath: path))
        try await denial(image, "changed", "another digest")
    }

    /// An index that is too large is not read, and counts for nothing.
    @Test func anIndexMustNotBeTooLarge() async throws {
        let image = try await PlatformImage()
        var index = Index(manifests: try await signed(1, in: image))
        index.annotations["filler"] = String(repeating: "x", count: 5 << 20)
        try await image.push(index, tag: "large")
        try await denial(image, "large", "more than the limit")
    }

    /// What a stranger wrote into an index is quoted with care.
    @Test func aPlatformThatIsLongNamesNone() async throws {
        let image = try await PlatformImage()
        var entry = try await image.push("unsigned")
        entry.platform = Platform(os: "linux\n", architecture: String(repeating: "a", count: 1 << 20))
        try await image.push(Index(manifests: [entry]), tag: "long")
        try await denial(image, "long", "a platform that is not named")
        entry.platform = Platform(os: "li\nnux", architecture: "amd64")
        try await image.push(Index(manifests: [entry]), tag: "broken")
        try await denial(image, "broken", "the image's manifest for li\\")
    }
}
