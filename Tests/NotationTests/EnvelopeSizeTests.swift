import Encoding
import Foundation
import Testing

@testable import Notation

@Suite("What an envelope may make the verifier do")
struct EnvelopeSizeTests {
    @Test("CBOR with too many items is refused before it takes memory")
    func items() throws {
        let array: [UInt8] = [0x99, 0x27, 0x0F] + [UInt8](repeating: 1, count: 9_999)
        #expect(try CBORDecoder.decode(array, allowsTags: false).array?.count == 9_999)
        let many: [UInt8] = [0x99, 0x27, 0x10] + [UInt8](repeating: 1, count: 10_000)
        #expect(throws: CBORError(.tooManyItems, offset: 10_002)) { try CBORDecoder.decode(many, allowsTags: false) }
    }

    @Test("A protected header with very many names is refused quickly")
    func names() throws {
        let names = (0..<100_000).map { "a\($0)" }
        let header =
            "{\"crit\":[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "],"
            + names.map { "\"\($0)\":1" }.joined(separator: ",") + "}"
        let text = Base64.encodeURL(Array(header.utf8))
        let envelope =
            "{\"payload\":\"e30\",\"protected\":\"\(text)\",\"header\":{\"x5c\":[\"AA==\"]},\"signature\":\"AA\"}"
        #expect {
            try SignatureEnvelope(parsing: Array(envelope.utf8), mediaType: EnvelopeFormat.jws.mediaType)
        } throws: { "\($0)".contains("more than 10000 values") }
    }

    @Test(
        "A time beyond every calendar is read and printed",
        arguments: [
            CBORValue.integer(.max), .integer(.min), .float(1e300), .float(-1e300),
        ])
    func times(time: CBORValue) throws {
        let map: CBORMap = [
            .integer(1): .integer(-37), .integer(2): .array([.text(NotaryName.signingScheme)]),
            .integer(3): .text(NotaryName.payloadType), .text(NotaryName.signingScheme): .text("notary.x509"),
            .text(NotaryName.signingTime): .tagged(1, time),
        ]
        let header = try COSEProtectedHeader(map)
        #expect(RFC3339.text(header.attributes.signingTime).utf8.count == 20)
    }
}
