import OCI
import StrictJSON
import TestSupport
import Testing

/// `policy.plugin.signedBy` against Debian's registry as a process: an image for two platforms with attestations, as
/// BuildKit pushes it, signed by Notation in one way and another.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
struct SignedByServiceTests {
    /// An image under a tag, and what of it is signed by whom.
    private struct Case {
        let tag: String
        var index: TestSigner?
        var amd64: TestSigner?
        var arm64: TestSigner?
        /// Whether it is admitted by its tag or its digest, by setting: absent, manifest, index, either.
        let whole: [Bool]
        /// The same of the manifest for amd64, by its digest alone.
        let manifest: [Bool]
        /// And by tag and digest.
        let tagged: [Bool]
    }

    private static let settings: [String?] = [nil, "manifest", "index", "either"]

    private static func cases() throws -> [Case] {
        let signers = try Signers.shared.get()
        let (good, bad) = (signers.release, signers.stranger)
        let none = [false, false, false, false]
        let own = [true, true, false, true]
        let viaIndex = [false, false, true, true]
        return [
            Case(tag: "unsigned", whole: none, manifest: none, tagged: none),
            Case(tag: "index", index: good, whole: [true, false, true, true], manifest: none, tagged: viaIndex),
            Case(
                tag: "manifests", amd64: good, arm64: good, whole: [false, true, false, true], manifest: own,
                tagged: own
            ),
            Case(tag: "one", amd64: good, whole: none, manifest: own, tagged: own),
            Case(
                tag: "all", index: good, amd64: good, arm64: good, whole: [true, true, true, true], manifest: own,
                tagged: [true, true, true, true]),
            Case(tag: "strange-index", index: bad, whole: none, manifest: none, tagged: none),
            Case(
                tag: "strange-manifest", index: good, amd64: good, arm64: bad, whole: [true, false, true, true],
                manifest: own, tagged: [true, true, true, true]),
        ]
    }

    /// Pushes an image for two platforms with an attestation manifest, which nobody signs.
    private func push(_ tag: String, to shop: Repository) async throws -> (index: Descriptor, manifests: [Descriptor]) {
        var entries: [Descriptor] = []
        for (part, platform) in [
            ("amd64", Platform(os: "linux", architecture: "amd64")),
            ("arm64", Platform(os: "linux", architecture: "arm64", variant: "v8")),
            ("attestation", Platform(os: "unknown", architecture: "unknown")),
        ] {
            var entry = try await shop.push(nil, content: "\(tag) \(part)")
            entry.platform = platform
            entries.append(entry)
        }
        entries[2].annotations = [
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": entries[0].digest.description,
        ]
        let index = try await shop.destination.pushManifest(
            Index(manifests: entries).json.bytes, mediaType: MediaType.ociIndex, tag: tag, to: shop.reference,
            deadline: .now + .seconds(60))
        return (index, entries.prefix(2).map { Descriptor(mediaType: $0.mediaType, digest: $0.digest, size: $0.size) })
    }

    private func configuration(_ setting: String?) throws -> ConfigurationText {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.signedBy = setting
        return configuration
    }

    @Test func eachSettingAdmitsWhatItSays() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let shop = try Repository("\(registry.host)/shop")
        let cases = try Self.cases()
        var pushed: [String: (index: Descriptor, manifests: [Descriptor])] = [:]
        for image in cases {
            let parts = try await push(image.tag, to: shop)
            pushed[image.tag] = parts
            for (part, signer) in zip([parts.index] + parts.manifests, [image.index, image.amd64, image.arm64]) {
                try await signer?.sign(part, in: shop.reference, at: shop.destination)
            }
        }
        for (number, setting) in Self.settings.enumerated() {
            try await withService(try configuration(setting)) { service in
                for image in cases {
                    let parts = try #require(pushed[image.tag])
                    let index = parts.index.digest
                    let amd64 = parts.manifests[0]
                    for (name, isAdmitted) in [
                        (shop.name(image.tag), image.whole[number]), (shop.name(parts.index), image.whole[number]),
                        ("\(shop.name(image.tag))@\(index)", image.whole[number]),
                        (shop.name(amd64), image.manifest[number]),
                        ("\(shop.name(image.tag))@\(amd64.digest)", image.tagged[number]),
                    ] {
                        let answer = try await service.verify(name)
                        if isAdmitted { expectAdmitted(answer) } else { expectDenied(answer) }
                        #expect(
                            answer.reports().allSatisfy { $0["extensions"]?["subjectDigest"]?.string != nil },
                            "\(setting ?? "absent"): \(answer)")
                    }
                    // What is put in the place of a tag is the digest that it means, whatever must be signed.
                    let mutated = try await service.mutate(shop.name(image.tag))
                    #expect(mutated.value()?.string == shop.name(parts.index), "\(mutated)")
                }
            }
        }
        // Whoever is denied is told which platform it is about.
        try await withService(try configuration("manifest")) { service in
            let answer = try await service.verify(shop.name("one"))
            let arm64 = try #require(pushed["one"]?.manifests[1])
            expectDenied(answer, nil, "no signature is associated with", "linux/arm64/v8", arm64.digest.description)
            expectDenied(
                try await service.verify(shop.name("strange-manifest")), nil, "trust", "linux/arm64/v8")
        }
    }

    /// An image without an index: judged by its own signature, where its tag shows that it has none.
    @Test func anImageForOnePlatform() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let shop = try Repository("\(registry.host)/shop")
        let signed = try await shop.push("signed", signedBy: try Signers.shared.get().release)
        try await shop.push("unsigned", signedBy: nil)
        for setting in Self.settings {
            try await withService(try configuration(setting)) { service in
                expectAdmitted(try await service.verify(shop.name("signed")))
                expectAdmitted(try await service.verify("\(shop.name("signed"))@\(signed.digest)"))
                expectDenied(try await service.verify(shop.name("unsigned")), nil, "no signature")
                let alone = try await service.verify(shop.name(signed))
                if setting == "index" {
                    expectDenied(alone, nil, "by its digest alone")
                } else {
                    expectAdmitted(alone)
                }
                // The tag of another image says nothing of this one.
                let elsewhere = try await service.verify("\(shop.name("unsigned"))@\(signed.digest)")
                if setting == "index" {
                    expectDenied(elsewhere, nil, "is no index that lists")
                } else {
                    expectAdmitted(elsewhere)
                }
            }
        }
    }

    /// A registry that serves an index, or a manifest of it, in another way than its digest and size say.
    @Test(arguments: [
        (RegistryFault.Kind.wrongContent, "another digest"), (.oversized(by: 1 << 20), "more than the"),
        (.truncatedJSON, "its descriptor says"), (.status(404), "no such content"),
    ])
    func contentThatIsNotWhatItShouldBeIsDenied(_ fault: RegistryFault.Kind, _ words: String) async throws {
        let signer = try Signers.shared.get().release
        try await withRegistry { registry in
            let shop = try Repository("\(registry.endpoint)/shop")
            let image = try await push("v1", to: shop)
            for manifest in image.manifests {
                try await signer.sign(manifest, in: shop.reference, at: shop.destination)
            }
            for broken in [image.index, image.manifests[1]] {
                registry.inject(fault, method: "GET", path: "*/manifests/\(broken.digest)")
                try await withService(try configuration("manifest")) { service in
                    expectDenied(try await service.verify(shop.name("v1")), nil, words)
                }
                registry.clearFaults()
            }
            try await withService(try configuration("manifest")) { service in
                expectAdmitted(try await service.verify(shop.name("v1")))
            }
        }
    }

    /// A registry that fails over while a platform's signatures are listed hides them: that is no verdict.
    @Test func aFaultOfOnePlatformIsNoVerdict() async throws {
        let signer = try Signers.shared.get().release
        try await withRegistry { registry in
            let shop = try Repository("\(registry.endpoint)/shop")
            let image = try await push("v1", to: shop)
            for manifest in image.manifests {
                try await signer.sign(manifest, in: shop.reference, at: shop.destination)
            }
            var configuration = try configuration("manifest")
            configuration.verificationTimeout = 2000
            try await withService(configuration) { service in
                registry.inject(.status(503), path: "*/referrers/\(image.manifests[1].digest)")
                expectFault(try await service.verify(shop.name("v1")), nil, "listing signatures", registry.endpoint)
                registry.clearFaults()
                expectAdmitted(try await service.verify(shop.name("v1")) { $0.admits() })
            }
        }
    }
}
