import Foundation
import KeyManagement
import PKI
import TestSupport
import Testing

@Suite struct TrustedCertificatesTests {
    private func inline(_ name: String) throws -> InlineCertificates {
        try InlineCertificates(
            name: name, contentType: "certificate", value: CertificateAuthority(name: name).certificate.pem, now: Date()
        )
    }

    private func reason(_ trusted: TrustedCertificates, _ name: String) -> String {
        do { return "found \(try trusted.certificates(named: name).certificates.count)" } catch { return "\(error)" }
    }

    @Test func lookupsFailClosedAndNameTheProvider() throws {
        let files = try FileCertificates(name: "files", paths: ["/nowhere/at-all"])
        files.load()
        let trusted = TrustedCertificates([try inline("a"), files])
        #expect(reason(trusted, "a") == "found 1")
        #expect(reason(trusted, "b") == "there is no key management provider \"b\"; there are: \"a\", \"files\"")
        #expect(reason(trusted, "files").contains("\"files\" has no certificates: /nowhere/at-all does not exist"))
        #expect(reason(TrustedCertificates(), "a") == "there is no key management provider \"a\"")
        #expect(trusted.missing.count == 1)
        #expect(trusted.missing.first?.hasPrefix("files: ") == true)
    }

    @Test func theGenerationGrowsWithEveryChangeAndOnlyThen() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let files = try FileCertificates(name: "files", paths: [directory.path])
        let trusted = TrustedCertificates([files, try inline("a")])
        var last = trusted.generation
        func grew() -> Bool {
            defer { last = trusted.generation }
            return trusted.generation > last
        }
        #expect(!grew())
        directory.write(try CertificateAuthority(name: "x").certificate.pem, to: "x.pem")
        files.load()
        #expect(grew())
        files.load()
        #expect(!grew())
        try FileManager.default.removeItem(atPath: directory.path("x.pem"))
        files.load()
        #expect(grew())
        trusted.add(try inline("b"))
        #expect(grew())
        trusted.remove(named: "b")
        #expect(grew())
        trusted.remove(named: "b")
        #expect(!grew())
    }
}
