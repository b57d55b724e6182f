import Foundation
import Notation
import OCI
import StrictJSON
import TestSupport
import Testing

/// What strangers push: each limit has its own error, denies that image, and leaves the others alone.
@Suite struct HostileImageTests {
    enum Push: String, CaseIterable {
        case hugeEnvelope, longChain, hugeCertificate, deepJSON, deepCBOR, manyItems, indexAsSignature, hugeManifest

        /// What the denial says.
        var reason: String {
            switch self {
            case .hugeEnvelope: "an envelope of 11534336 bytes; at most 10485760 are accepted"
            case .longChain: "has 33 certificates; at most 32 are accepted"
            case .hugeCertificate: "a certificate of 70000 bytes; at most 65536 are accepted"
            case .deepJSON: "nested deeper than"
            case .deepCBOR: "nested deeper than 32"
            case .manyItems: "more than 10000 values"
            case .indexAsSignature: "index"
            case .hugeManifest: "bytes; at most 4194304 are accepted"
            }
        }

        func push(_ image: Descriptor, _ app: Repository) async throws {
            let (reference, destination) = (app.reference, app.destination)
            func sign(_ envelope: [UInt8], _ mediaType: String = EnvelopeFormat.jws.mediaType) async throws {
                try await TestSigner.push(envelope, mediaType, for: image, in: reference, at: destination)
            }
            switch self {
            case .hugeEnvelope: try await push(Self.manifest(of: image, envelopeBytes: 11 << 20).json.bytes, image, app)
            case .longChain:
                let good = try Signers.shared.get().other.identity.chain[0].der
                try await sign(try Self.envelope(image, chain: Array(repeating: good, count: 33)))
            case .hugeCertificate:
                try await sign(try Self.envelope(image, chain: [[UInt8](repeating: 0x30, count: 70_000)]))
            case .deepJSON: try await sign(Array((String(repeating: "[", count: 5000)).utf8))
            case .deepCBOR:
                // COSE_Sign1 with an unprotected header 1: [[[…
                let message: [UInt8] = [0xD2, 0x84, 0x41, 0xA0, 0xA1, 0x01] + [UInt8](repeating: 0x81, count: 5000)
                try await sign(message + [0x00], EnvelopeFormat.cose.mediaType)
            case .manyItems:
                try await sign(Array(("[" + String(repeating: "1,", count: 200_000) + "1]").utf8))
            case .indexAsSignature:
                let index =
                    #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","artifactType":"\#(MediaType.notationSignature)","manifests":[],"subject":\#(JSONValue.object(["mediaType": .string(image.mediaType), "digest": .string(image.digest.description), "size": .number(String(image.size))]).text)}"#
                try await push(Array(index.utf8), image, app, mediaType: MediaType.ociIndex)
            case .hugeManifest:
                var text = String(decoding: Self.manifest(of: image, envelopeBytes: 10).json.bytes, as: UTF8.self)
                text += String(repeating: " ", count: 5 << 20)
                try await push(Array(text.utf8), image, app)
            }
        }

        private func push(
            _ content: [UInt8], _ image: Descriptor, _ app: Repository, mediaType: String = MediaType.ociManifest
        ) async throws {
            _ = try await app.destination.pushReferrer(
                content, mediaType: mediaType, subject: image, artifactType: MediaType.notationSignature,
                annotations: [:], to: app.reference, deadline: .now + .seconds(30))
        }

        private static func manifest(of image: Descriptor, envelopeBytes: Int64) -> Manifest {
            let layer = Descriptor(
                mediaType: EnvelopeFormat.jws.mediaType, digest: Digest(of: Array("nobody has it".utf8)),
                size: envelopeBytes)
            let config = Descriptor(of: Array("{}".utf8), mediaType: MediaType.notationSignature)
            return Manifest(config: config, layers: [layer], subject: image, annotations: [:])
        }

        /// A good envelope with another chain.
        private static func envelope(_ image: Descriptor, chain: [[UInt8]]) throws -> [UInt8] {
            let identity = try Signers.shared.get().other.identity
            let good = try EnvelopeSigner(key: identity.key, chain: identity.chain)
                .sign(image, SigningOptions(format: .jws), now: Date())
            var object = try #require(try StrictJSON.parse(good).object)
            var header = try #require(object["header"]?.object)
            header["x5c"] = .array(chain.map { .string(Data($0).base64EncodedString()) })
            object["header"] = .object(header)
            return JSONValue.object(object).bytes
        }
    }

    @Test("cosign CVE-2024-29902, Kyverno CVE-2023-42815, CVE-2023-42816: manifests and content without end")
    func eachLimitHasItsError() async throws {
        try await withRegistry { registry in
            var names: [(Push, String)] = []
            for push in Push.allCases {
                let app = try Repository("\(registry.endpoint)/\(push)".lowercased())
                try await push.push(try await app.push("v1", content: "v1"), app)
                names.append((push, app.name("v1")))
            }
            let good = try Repository("\(registry.endpoint)/good")
            try await good.push("v1", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease()) { service in
                for (push, name) in names {
                    let start = ContinuousClock.now
                    let answer = try await service.verify(name)
                    expectDenied(answer, nil, push.reason)
                    #expect(start.duration(to: .now) < .seconds(60), "\(push)")
                    #expect(answer.text.utf8.count < 20_000, "\(push): the answer does not grow with the input")
                }
                expectAdmitted(try await service.verify(good.name("v1")))
            }
        }
    }

    /// A hostile signature beside a good one takes nothing away.
    @Test func besideAGoodSignature() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let image = try await app.push("v1", content: "v1")
            for push in Push.allCases { try await push.push(image, app) }
            try await Signers.shared.get().release.sign(image, in: app.reference, at: app.destination)
            try await withService(try .trustingRelease()) { expectAdmitted(try await $0.verify(app.name("v1"))) }
        }
    }

    enum Link: String, CaseIterable {
        case elsewhere, circle, malformed

        func header(_ registry: FaultyRegistry, _ image: Descriptor) -> String {
            switch self {
            case .elsewhere: "<http://localhost:\(registry.port)/v2/elsewhere/referrers/x>; rel=\"next\""
            case .circle: "</v2/circle/referrers/\(image.digest)>; rel=\"next\""
            case .malformed: "<http://user:secret@x/>; rel=\"next\""
            }
        }

        var reason: String {
            switch self {
            case .elsewhere: "the link to the next page leads to another host"
            case .circle: "the list has more than 50 pages; remove old referrers"
            case .malformed: "the link to the next page is not a usable URL"
            }
        }
    }

    @Test func pagesLeadNowhere() async throws {
        try await withRegistry { registry in
            try await withService(try .trustingRelease(), remembers: .zero) { service in
                for link in Link.allCases {
                    let app = try Repository("\(registry.endpoint)/\(link.rawValue)")
                    let image = try await app.push("v1", signedBy: try Signers.shared.get().release)
                    registry.inject(
                        .header("Link", link.header(registry, image)), path: "/v2/\(link.rawValue)/referrers/*")
                    registry.forgetRequests()
                    let start = ContinuousClock.now
                    expectDenied(
                        try await service.verify(app.name("v1")), nil, "listing the referrers", link.reason,
                        registry.endpoint)
                    #expect(start.duration(to: .now) < .seconds(60))
                    let pages = registry.requests.count { $0.path.contains("/referrers/") }
                    #expect(pages == (link == .circle ? 50 : 1))
                    registry.clearFaults()
                    expectAdmitted(try await service.verify(app.name("v1")))
                }
            }
        }
    }

    /// As many referrers, pages and signatures as the documentation says, and one more of each.
    @Test("cosign CVE-2023-46737, CVE-2024-29903, Kyverno CVE-2023-42813, CVE-2023-42814: signatures without end")
    func whatIsListedIsBounded() async throws {
        let signers = try Signers.shared.get()
        var paging = FaultyRegistry.Options()
        paging.referrersPageSize = 1
        try await withRegistry { registry in
            try await withRegistry(paging) { paged in
                /// An image with so many bad signatures, and a good one after them.
                func crowd(_ name: String, _ count: Int, at registry: FaultyRegistry) async throws -> String {
                    let app = try Repository("\(registry.endpoint)/\(name)")
                    let image = try await app.push("v1", content: name)
                    for number in 0..<count {
                        registry.putReferrer(
                            of: image, artifactType: MediaType.notationSignature, blob: Array("{}".utf8),
                            mediaType: EnvelopeFormat.jws.mediaType, annotations: ["number": "\(number)"], in: name)
                    }
                    try await signers.other.sign(image, in: app.reference, at: app.destination)
                    return app.name("v1")
                }
                let good = try await crowd("good", 0, at: registry)
                let crowded = try await crowd("crowded", 1000, at: registry)
                let hundred = try await crowd("hundred", 99, at: registry)
                let more = try await crowd("more", 100, at: registry)
                let fiftyPages = try await crowd("pages", 49, at: paged)
                let morePages = try await crowd("more-pages", 50, at: paged)
                var configuration = try ConfigurationText.trustingRelease()
                configuration.verificationTimeout = 120_000
                try await withService(configuration) { service in
                    for (name, words) in [
                        (crowded, ["listing the referrers", "there are more than 1000 referrers; remove old ones"]),
                        (
                            morePages,
                            ["listing the referrers", "the list has more than 50 pages; remove old referrers"]
                        ),
                        (
                            more,
                            [
                                "the image has 101 artifacts to judge; only the first 100 were looked at",
                                "Delete signatures that are no longer of use",
                            ]
                        ),
                    ] {
                        let start = ContinuousClock.now
                        let answer = try await service.verify(name)
                        expectDenied(answer)
                        for word in words { #expect(answer.text.contains(word), "\(answer)") }
                        #expect(start.duration(to: .now) < .seconds(120))
                        expectAdmitted(try await service.verify(good))
                    }
                    expectAdmitted(try await service.verify(hundred))
                    expectAdmitted(try await service.verify(fiftyPages))
                }
            }
        }
    }
}
