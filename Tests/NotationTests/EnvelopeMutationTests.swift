import Foundation
import Notation
import StrictJSON
import Testing
import TestSupport

@testable import Notation

/// Valid envelopes of the corpus, changed: what was signed is never taken for good after a change, and nothing crashes.
@Suite struct EnvelopeMutationTests {
    static let ids = [
        "cli-jws-p256", "cli-cose-p256", "cli-jws-rsa2048", "cli-cose-rsa2048", "cli-jws-ts", "cli-cose-ts",
    ]

    private let verifier = SignatureVerifier(trustStore: DirectoryTrustStore(directory: "/nonexistent"))

    /// Whether the integrity of an envelope holds, and what it says.
    private func proven(_ bytes: [UInt8], _ mediaType: String) -> SignatureEnvelope? {
        (try? verifier.integrity(bytes, mediaType))?.0
    }

    /// A change passes only when nothing that is signed, and no certificate, is different.
    private func check(
        _ changed: [UInt8], _ original: SignatureEnvelope, _ mediaType: String, _ what: @autoclosure () -> String
    ) {
        guard let envelope = proven(changed, mediaType) else { return }
        #expect(envelope.payload == original.payload, "\(what())")
        #expect(envelope.signature == original.signature, "\(what())")
        #expect(envelope.certificates == original.certificates, "\(what())")
        #expect(envelope.signedParts == original.signedParts, "\(what())")
    }

    @Test(arguments: ids)
    func flippedBytes(_ id: String) throws {
        let (bytes, mediaType, _) = try Corpus.shared.get().envelope(of: id)
        let original = try #require(proven(bytes, mediaType))
        var generator = SeededGenerator(seed: 11)
        for index in bytes.indices where index % 3 == 0 {
            var changed = bytes
            changed[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            check(changed, original, mediaType, "\(id): byte \(index)")
        }
    }

    @Test(arguments: ids)
    func cutAndExtended(_ id: String) throws {
        let (bytes, mediaType, _) = try Corpus.shared.get().envelope(of: id)
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(proven(Array(bytes.prefix(length)), mediaType) == nil, "\(id): first \(length) bytes")
        }
        #expect(proven(Array(bytes.dropLast()), mediaType) == nil)
        #expect(proven(bytes + [0], mediaType) == nil)
        #expect(proven(bytes + bytes, mediaType) == nil)
        #expect(proven([0] + bytes, mediaType) == nil)
    }

    @Test(arguments: ids)
    func bytesInsertedAndRemoved(_ id: String) throws {
        let (bytes, mediaType, _) = try Corpus.shared.get().envelope(of: id)
        let original = try #require(proven(bytes, mediaType))
        var generator = SeededGenerator(seed: 12)
        for _ in 0..<400 {
            var changed = bytes
            let index = Int.random(in: 0..<changed.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: changed.remove(at: index)
            case 1: changed.insert(UInt8.random(in: 0...255, using: &generator), at: index)
            default: changed.insert(contentsOf: changed[index..<min(index + 9, changed.count)], at: index)
            }
            check(changed, original, mediaType, "\(id): at \(index)")
        }
    }

    /// The text of the signature and of the signed parts has one spelling only.
    @Test(arguments: ["cli-jws-p256", "cli-jws-p384", "cli-jws-p521", "cli-jws-rsa3072"])
    func everyCharacterOfSignedTexts(_ id: String) throws {
        let (bytes, mediaType, _) = try Corpus.shared.get().envelope(of: id)
        let object = try #require(try StrictJSON.parse(bytes).object)
        for name in ["payload", "protected", "signature"] {
            let text = Array(try #require(object[name]?.string).utf8)
            for index in text.indices {
                var changed = text
                changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                var envelope = object
                envelope[name] = .string(String(decoding: changed, as: UTF8.self))
                #expect(proven(JSONValue.object(envelope).bytes, mediaType) == nil, "\(name) \(index)")
            }
        }
    }

    @Test func algorithmsAndTypesCannotBeMixed() throws {
        let corpus = try Corpus.shared.get()
        let (jws, _, _) = try corpus.envelope(of: "cli-jws-p256")
        let (cose, _, _) = try corpus.envelope(of: "cli-cose-p256")
        for mediaType in [
            "application/cose", "application/jose+json;", "application/jose+json ", "Application/jose+json", "",
        ] { #expect(proven(jws, mediaType) == nil, "\(mediaType)") }
        #expect(proven(cose, "application/jose+json") == nil)
        #expect(throws: EnvelopeError.self) {
            try SignatureEnvelope(parsing: jws, mediaType: "application/jose+json", maximumBytes: jws.count - 1)
        }
    }
}
