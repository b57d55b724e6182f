import Foundation
import PKI
import TestSupport
import Testing

@Suite struct PEMTests {
    private let certificate: Certificate

    init() throws { certificate = try CertificateAuthority(name: "pem").certificate }

    private func reason(_ text: String) -> String {
        do { return "accepted \(try Certificate.parsePEM(Array(text.utf8)).count)" } catch { return "\(error)" }
    }

    @Test func textAroundBlocksAndOtherLineEndsAreFine() throws {
        let text = "subject=whatever\n\(certificate.pem)some: text\n\(certificate.pem.replacing("\n", with: "\r\n"))"
        #expect(try Certificate.parsePEM(Array(text.utf8)) == [certificate, certificate])
        let indented = certificate.pem.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
        #expect(try Certificate.parsePEM(Array(indented.utf8)) == [certificate])
    }

    @Test func concatenatedDERIsReadToo() throws {
        #expect(try Certificate.parsePEMOrDER(certificate.der + certificate.der) == [certificate, certificate])
        #expect(try Certificate.parsePEMOrDER(certificate.der) == [certificate])
        #expect(throws: PKIError.self) { try Certificate.parsePEMOrDER(certificate.der + [0]) }
        #expect(throws: PKIError.self) { try Certificate.parsePEMOrDER([]) }
    }

    @Test func whatIsBrokenIsNeverSkipped() throws {
        let pem = certificate.pem
        #expect(reason("") == "there is no PEM block; expected BEGIN CERTIFICATE")
        #expect(reason(String(pem.dropLast(30))).contains("has no END line"))
        #expect(reason(pem + pem.replacing("MII", with: "M!I")).contains("is not Base64"))
        #expect(reason(pem + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").contains("is empty"))
        #expect(reason("-----END CERTIFICATE-----\n").contains("did not begin"))
        #expect(reason(pem.replacing("-----END CERTIFICATE-----", with: "-----END KEY-----")).contains("ends as KEY"))
        #expect(reason("-----BEGIN CERTIFICATE-----\n" + pem).contains("has no END line"))
        #expect(reason(pem + pem.replacing("CERTIFICATE", with: "PUBLIC KEY")).contains("block 2 is \"PUBLIC KEY\""))
        #expect(reason(String(repeating: " ", count: 1 << 20) + pem).contains("at most 1048576"))
    }

    @Test func base64OfEveryLengthComesBack() throws {
        for length in 1...70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let blocks = try PEM.parse(Array(PEM(label: "X", der: bytes).text.utf8))
            #expect(blocks.map(\.der) == [bytes])
            #expect(PEM(label: "X", der: bytes).text.contains(Data(bytes).base64EncodedString().prefix(64)))
        }
    }

    @Test func trustStoreFilesOfTheCorpusAreReadAsTheReferenceReadsThem() throws {
        // A private or public key next to the certificate makes the file unusable.
        let key = try TestKeys.key(.ec(.p256)).pkcs8PEM()
        #expect(throws: PKIError.self) { try Certificate.parsePEM(Array((certificate.pem + key).utf8)) }
        #expect(throws: PKIError.self) { try Certificate.parsePEMOrDER(Array("just a text\n".utf8)) }
    }
}
