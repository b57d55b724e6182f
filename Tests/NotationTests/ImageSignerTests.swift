import Encoding
import Foundation
import OCI
import PKI
import StrictJSON
import Testing
import TestSupport

@testable import Notation

/// What is written has the shape that the reference implementation writes, which the corpus shows.
@Suite struct ImageSignerTests {
    /// The shape of a value: names and kinds, without values that differ from signature to signature.
    private func shape(_ value: JSONValue) -> String {
        switch value {
        case .object(let object):
            "{" + object.members.map { "\($0.name):\(shape($0.value))" }.joined(separator: ",") + "}"
        case .array(let elements): "[" + (elements.first.map(shape) ?? "") + "]"
        default: value.kind
        }
    }

    @Test func manifestAsNotationWritesIt() async throws {
        let corpus = try Corpus.shared.get()
        let entry = try #require(corpus.cases.first { $0.id == "cli-jws-p256" })
        let theirs = try StrictJSON.parse(try corpus.blob(entry.signatures[0]["manifest"]))
        let store = MemoryStore()
        let fixture = try SigningFixture()
        let reference = try ImageReference(parsing: "registry.example/app@\(SigningFixture.image.digest)")
        let signed = try await ImageSigner(signer: fixture.signer, destination: store).sign(
            SigningFixture.image, in: reference, now: SigningFixture.now, deadline: .now + .seconds(5))
        let ours = try StrictJSON.parse(try await store.manifest(signed.manifest, in: reference, deadline: .now))
        #expect(shape(ours) == shape(theirs))
        #expect(ours["config"] == theirs["config"])
        #expect(ours["layers"]?.array?.first?["mediaType"] == theirs["layers"]?.array?.first?["mediaType"])
        let thumbprints = fixture.signer.chain.map { "\"\($0.sha256Hex)\"" }.joined(separator: ",")
        #expect(ours["annotations"]?["io.cncf.notary.x509chain.thumbprint#S256"]?.string == "[\(thumbprints)]")
        #expect(ours["annotations"]?["org.opencontainers.image.created"]?.string == RFC3339.text(SigningFixture.now))
    }

    @Test func jwsAsNotationWritesIt() throws {
        let corpus = try Corpus.shared.get()
        let (bytes, _, _) = try corpus.envelope(of: "cli-jws-metadata")
        let theirs = try StrictJSON.parse(bytes)
        let options = SigningOptions(userMetadata: ["env": "prod", "build": "42"], signingAgent: "x")
        let ours = try StrictJSON.parse(try SigningFixture().sign(options))
        #expect(shape(ours) == shape(theirs))
        for part in ["protected", "payload"] {
            func decoded(_ value: JSONValue) throws -> JSONValue {
                try StrictJSON.parse(try #require(Base64.decodeURL(value[part]?.string ?? "")))
            }
            #expect(try shape(decoded(ours)) == shape(decoded(theirs)))
        }
    }

    @Test func coseAsNotationWritesIt() throws {
        let corpus = try Corpus.shared.get()
        let (theirs, _, _) = try corpus.envelope(of: "cli-cose-metadata")
        let options = SigningOptions(
            format: .cose, userMetadata: ["env": "prod", "build": "42"], signingAgent: "x")
        let ours = try SigningFixture().sign(options)
        func labels(_ bytes: [UInt8]) throws -> [String] {
            guard case .tagged(18, .array(let items)) = try CBORDecoder.decode(bytes, allowsTags: true),
                case .map(let protected) = try CBORDecoder.decode(items[0].bytes ?? [], allowsTags: true),
                case .map(let unprotected) = items[1]
            else { return [] }
            return (protected.entries + unprotected.entries).map { "\($0.key)" }
                + [shape(try StrictJSON.parse(items[2].bytes ?? []))]
        }
        #expect(try labels(ours) == labels(theirs))
        #expect(try labels(ours).count == 8)
    }

    /// The encoder reproduces envelopes of the reference implementation byte for byte.
    @Test(arguments: [
        "cli-cose-p256", "cli-cose-metadata", "cli-cose-expiry-future", "cli-cose-rsa2048", "cli-cose-ts",
    ])
    func encoderAgreesWithTheReference(_ id: String) throws {
        let (bytes, _, _) = try Corpus.shared.get().envelope(of: id)
        let value = try CBORDecoder.decode(bytes, allowsTags: true)
        #expect(CBOREncoder.encode(value) == bytes)
        guard case .tagged(18, .array(let items)) = value, let protected = items[0].bytes else {
            Issue.record("not COSE_Sign1")
            return
        }
        #expect(CBOREncoder.encode(try CBORDecoder.decode(protected, allowsTags: true)) == protected)
    }
}
