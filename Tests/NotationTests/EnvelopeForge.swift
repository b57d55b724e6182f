import Encoding
import Foundation
import OCI
import PKI
import StrictJSON
import TestSupport

@testable import Notation

/// Makes envelopes of any content with a right signature: what a signer could do that does not keep the rules.
struct EnvelopeForge {
    let fixture: SigningFixture
    let time = RFC3339.text(SigningFixture.now)

    init() throws { fixture = try SigningFixture() }

    static let scheme = NotaryName.signingScheme

    /// The members of a good protected header in JWS.
    var jwsHeader: JSONObject {
        [
            "alg": "ES256", "crit": [.string(Self.scheme)], "cty": .string(NotaryName.payloadType),
            NotaryName.signingScheme: "notary.x509", NotaryName.signingTime: .string(time),
        ]
    }

    /// A JWS envelope with a changed header, payload, or envelope.
    func jws(
        header: (inout JSONObject) -> Void = { _ in }, text: String? = nil, payload: [UInt8]? = nil,
        unprotected: (inout JSONObject) -> Void = { _ in }, envelope: (inout JSONObject) -> Void = { _ in }
    ) throws -> [UInt8] {
        var members = jwsHeader
        header(&members)
        let protectedText = Base64.encodeURL(text.map { Array($0.utf8) } ?? JSONValue.object(members).bytes)
        let payloadText = Base64.encodeURL(
            payload ?? SignaturePayload(targetArtifact: SigningFixture.image).json(.jws).bytes)
        let signature = try fixture.identity.key.envelopeSignature(
            over: Array("\(protectedText).\(payloadText)".utf8), hash: .sha256)
        var outer: JSONObject = ["x5c": .array(fixture.identity.chain.map { .string(Base64.encode($0.der)) })]
        unprotected(&outer)
        var all: JSONObject = [
            "payload": .string(payloadText), "protected": .string(protectedText), "header": .object(outer),
            "signature": .string(Base64.encodeURL(signature)),
        ]
        envelope(&all)
        return JSONValue.object(all).bytes
    }

    /// A COSE envelope with changed headers, or a changed message.
    func cose(
        header: (inout [(CBORValue, CBORValue)]) -> Void = { _ in },
        unprotected: (inout [(CBORValue, CBORValue)]) -> Void = { _ in }, payload: [UInt8]? = nil
    ) throws -> [UInt8] {
        func map(_ entries: [(CBORValue, CBORValue)]) -> CBORValue {
            var map = CBORMap()
            for (key, value) in entries { map.append(key, value) }
            return .map(map)
        }
        var members: [(CBORValue, CBORValue)] = [
            (1, -7), (2, [.text(Self.scheme)]), (3, .text(NotaryName.payloadType)),
            (.text(Self.scheme), "notary.x509"),
            (.text(NotaryName.signingTime), .tagged(1, .integer(Int64(SigningFixture.now.timeIntervalSince1970)))),
        ]
        header(&members)
        let protectedBytes = CBOREncoder.encode(map(members))
        let payload = payload ?? SignaturePayload(targetArtifact: SigningFixture.image).json(.cose).bytes
        let signature = try fixture.identity.key.envelopeSignature(
            over: Array(COSEParser.signedParts(protected: protectedBytes, payload: payload).joined()), hash: .sha256)
        var outer: [(CBORValue, CBORValue)] = [(33, .array(fixture.identity.chain.map { .bytes($0.der) }))]
        unprotected(&outer)
        return CBOREncoder.encode(
            .tagged(18, .array([.bytes(protectedBytes), map(outer), .bytes(payload), .bytes(signature)])))
    }

    /// Why an envelope is refused at the level audit, which only enforces what is always enforced; `nil` when it
    /// passes.
    func refusal(_ envelope: [UInt8], _ format: EnvelopeFormat) async throws -> String? {
        try await fixture.verify(
            envelope, format: format, statement: try fixture.statement(VerificationLevel(.audit))
        ).refusal?.description
    }
}
