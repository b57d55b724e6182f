import Foundation
import Testing

@testable import Notation

@Suite struct COSEEnvelopeTests {
    typealias Headers = [(CBORValue, CBORValue)]
    let forge: EnvelopeForge

    init() throws { forge = try EnvelopeForge() }

    private func refusal(_ envelope: [UInt8]) async throws -> String? { try await forge.refusal(envelope, .cose) }

    private func set(_ headers: inout Headers, _ label: CBORValue, _ value: CBORValue?) {
        headers.removeAll { $0.0 == label }
        if let value { headers.append((label, value)) }
    }

    @Test func good() async throws {
        #expect(try await refusal(forge.cose()) == nil)
        #expect(try await refusal(forge.cose(header: { $0.append((-70_000, "x")) })) == nil)
        #expect(try await refusal(forge.cose(unprotected: { $0.append(("x", ["y"])) })) == nil)
        // Wider than in JWS, as in the reference verifier.
        let scheme = CBORValue.text(EnvelopeForge.scheme)
        #expect(try await refusal(forge.cose(header: { set(&$0, 2, .array([scheme, scheme])) })) == nil)
        #expect(try await refusal(forge.cose(header: { set(&$0, 2, .array([1, scheme])) })) == nil)
    }

    @Test func criticalHeaders() async throws {
        let scheme = CBORValue.text(EnvelopeForge.scheme)
        #expect(try await refusal(forge.cose(header: { set(&$0, 2, nil) }))?.contains("not marked critical") == true)
        #expect(try await refusal(forge.cose(header: { set(&$0, 2, []) })) != nil)
        #expect(try await refusal(forge.cose(header: { set(&$0, 2, .array([scheme, "absent"])) })) != nil)
        #expect(
            try await refusal(
                forge.cose(header: {
                    set(&$0, 2, .array([scheme, "x"]))
                    $0.append(("x", 1))
                }))?.contains("not known here") == true)
        #expect(
            try await refusal(
                forge.cose(header: {
                    set(&$0, 2, .array([scheme, 4]))
                    $0.append((4, .bytes([1])))
                }))?.contains("not known here") == true)
        #expect(
            try await refusal(forge.cose(header: { $0.append((.text(NotaryName.verificationPlugin), "p")) }))?
                .contains("\"p\"") == true)
        #expect(
            try await refusal(forge.cose(header: { $0.append((.text(NotaryName.expiry), .tagged(1, 4_000_000_000))) }))?
                .contains("not marked critical") == true)
        #expect(try await refusal(forge.cose(unprotected: { $0.append((2, [1])) })) != nil)
    }

    @Test func algorithms() async throws {
        for label: CBORValue in [-257, -35, -37, "ES256", -8, 5, .null] {
            #expect(try await refusal(forge.cose(header: { set(&$0, 1, label) })) != nil)
        }
        #expect(try await refusal(forge.cose(header: { set(&$0, 1, nil) })) != nil)
        #expect(try await refusal(forge.cose(header: { set(&$0, 3, "application/json") })) != nil)
        #expect(try await refusal(forge.cose(header: { set(&$0, 3, 50) })) != nil)
    }

    @Test func times() async throws {
        let name = CBORValue.text(NotaryName.signingTime)
        for value: CBORValue in [
            .integer(1_700_000_000), .tagged(0, "2026-06-01T12:00:00Z"), .tagged(1, .float(.nan)), .null,
            .tagged(1, .float(.infinity)), "2026-06-01T12:00:00Z", .tagged(2, .bytes([1])),
        ] { #expect(try await refusal(forge.cose(header: { set(&$0, name, value) })) != nil, "\(value)") }
        for value: CBORValue in [.tagged(1, .float(1_700_000_000.5)), .tagged(1, -5)] {
            #expect(try await refusal(forge.cose(header: { set(&$0, name, value) })) == nil, "\(value)")
        }
    }

    @Test func unprotectedHeaders() async throws {
        let leaf = CBORValue.bytes(forge.fixture.identity.certificate.der)
        #expect(try await refusal(forge.cose(unprotected: { set(&$0, 33, nil) })) != nil)
        #expect(try await refusal(forge.cose(unprotected: { set(&$0, 33, leaf) })) != nil)
        #expect(try await refusal(forge.cose(unprotected: { set(&$0, 33, [1]) })) != nil)
        #expect(try await refusal(forge.cose(unprotected: { $0.append(("x", .tagged(1, 0))) })) != nil)
        #expect(try await refusal(forge.cose(unprotected: { $0 += [(5, .bytes([1])), (6, .bytes([1]))] })) != nil)
        #expect(try await refusal(forge.cose(unprotected: { $0.append((5, "x")) })) != nil)
        #expect(
            try await refusal(
                forge.cose(header: { $0.append((5, .bytes([1]))) }, unprotected: { $0.append((6, .bytes([1]))) }))
                != nil)
    }

    @Test func messages() async throws {
        let good = try forge.cose()
        #expect(try await refusal(Array(good.dropFirst())) != nil)
        #expect(try await refusal([0xD8, 18] + good.dropFirst()) != nil)
        #expect(try await refusal([0xD8, 61] + good) != nil)
        #expect(try await refusal([0xD2, 0x98, 0x04] + good.dropFirst(2)) != nil)
        #expect(try await refusal([0xD2, 0x9F] + good.dropFirst(2) + [0xFF]) != nil)
        #expect(try await refusal(good + [0]) != nil)
        #expect(try await refusal(forge.cose(payload: [])) != nil)
    }
}
