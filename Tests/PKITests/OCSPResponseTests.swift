import Foundation
import PKI
import TestSupport
import Testing

@Suite struct OCSPResponseTests {
    private let now = Date()
    private let root: CertificateAuthority
    private let leaf: Certificate

    init() throws {
        root = try CertificateAuthority(name: "root")
        leaf = try root.issue(.codeSigning("leaf")).certificate
    }

    private func responder(
        _ name: String = "responder", purposes: [String] = [ExtendedKeyUsage.ocspSigning],
        usages: Set<KeyUsage.Usage> = [.digitalSignature], notAfter: Date = Date(timeIntervalSinceNow: 86_400),
        of authority: CertificateAuthority? = nil
    ) throws -> Identity {
        try (authority ?? root).issue(
            CertificateTemplate(
                subject: CertificateTemplate.name(name), extensions: [.keyUsage(usages), .extendedKeyUsage(purposes)],
                notAfter: notAfter))
    }

    private func answer(_ der: [UInt8]) throws -> OCSPResponse.Single {
        try OCSPResponse(der: der).verify(for: leaf, issuer: root.certificate, at: now)
    }

    private func reason(_ der: [UInt8]) -> String {
        do { return "accepted \(try answer(der).status)" } catch { return "\(error)" }
    }

    /// `openssl ocsp` as responder reads our request, and we read its response.
    @Test(arguments: ["V", "R", ""], [[String](), ["-resp_no_certs"], ["-resp_key_id"]])
    func requestAndResponseAgreeWithOpenSSL(state: String, options: [String]) throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(root.certificate.pem, to: "root.pem")
        directory.write(try root.identity.keyPEM, to: "root.key")
        let revoked = state == "R" ? "260102030405Z,superseded" : ""
        let line = "\(state)\t491231235959Z\t\(revoked)\t\(leaf.serialNumberHex.uppercased())\tunknown\t/CN=leaf\n"
        directory.write(state.isEmpty ? "" : line, to: "index.txt")
        directory.write(try OCSPRequest(for: leaf, issuer: root.certificate).der, to: "request")
        try OpenSSLCommand.run(
            [
                "ocsp", "-index", "index.txt", "-CA", "root.pem", "-rsigner", "root.pem", "-rkey", "root.key", "-reqin",
                "request", "-respout", "response", "-ndays", "1",
            ] + options, in: directory.path)
        let der = Array(try Data(contentsOf: URL(filePath: directory.path("response"))))
        let single = try answer(der)
        switch state {
        case "V": #expect(single.status == .good)
        case "R":
            #expect(
                single.status
                    == .revoked(Date(timeIntervalSince1970: 1_767_323_045), reason: .superseded))
        default: #expect(single.status == .unknown)
        }
        #expect(single.nextUpdate != nil)
        #expect(single.thisUpdate <= now.addingTimeInterval(5))
    }

    @Test func openSSLAcceptsWhatTheTemplateMakes() throws {
        let delegate = try responder()
        var template = OCSPResponseTemplate(.good)
        template.certificates = [delegate.certificate]
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(root.certificate.pem, to: "root.pem")
        directory.write(leaf.pem, to: "leaf.pem")
        directory.write(try template.sign(leaf, issuer: root.certificate, by: delegate), to: "response")
        let text = try OpenSSLCommand.run(
            "ocsp", "-respin", "response", "-issuer", "root.pem", "-cert", "leaf.pem", "-CAfile", "root.pem",
            "-no_nonce",
            in: directory.path)
        #expect(String(decoding: text, as: UTF8.self).contains("leaf.pem: good"))
    }

    @Test(arguments: [HashAlgorithm.sha1, .sha256, .sha384, .sha512], [false, true])
    func aDelegatedResponderIsAccepted(hash: HashAlgorithm, byKey: Bool) throws {
        let delegate = try responder()
        var template = OCSPResponseTemplate(.good)
        template.hash = hash
        template.namesResponderByKey = byKey
        template.certificates = [root.certificate, delegate.certificate]
        #expect(try answer(template.sign(leaf, issuer: root.certificate, by: delegate)).status == .good)
    }

    @Test func aResponderThatMayNotAnswerIsRefused() throws {
        func attempt(_ delegate: Identity, with certificates: [Certificate]? = nil) throws -> String {
            var template = OCSPResponseTemplate(.good)
            template.certificates = certificates ?? [delegate.certificate]
            return reason(try template.sign(leaf, issuer: root.certificate, by: delegate))
        }
        #expect(try attempt(responder(purposes: [ExtendedKeyUsage.serverAuth])).contains("lacks OCSPSigning"))
        #expect(try attempt(responder(purposes: [ExtendedKeyUsage.any])).contains("lacks OCSPSigning"))
        #expect(try attempt(responder(usages: [.keyEncipherment])).contains("lacks digitalSignature"))
        #expect(try attempt(responder(notAfter: now.addingTimeInterval(-60))).contains("not now"))
        let stranger = try CertificateAuthority(name: "root")
        #expect(try attempt(responder(of: stranger)).contains("was not issued by"))
        #expect(try attempt(stranger.identity).contains("is not by the issuer"))
        #expect(try attempt(responder(), with: []).contains("neither by the issuer"))
        // The leaf itself is issued by the right authority, but not for this.
        let signer = try root.issue(.codeSigning("leaf"))
        #expect(try attempt(signer).contains("lacks OCSPSigning"))
    }

    @Test func anAnswerForAnotherCertificateIsNone() throws {
        let other = try root.issue(.codeSigning("other")).certificate
        let der = try OCSPResponseTemplate(.good).sign(other, issuer: root.certificate, by: root.identity)
        #expect(reason(der).contains("has no answer for the certificate \"CN=leaf"))
        // The same serial number of another issuer, signed by the right one.
        let twin = try CertificateAuthority(name: "twin")
        var template = CertificateTemplate.codeSigning("leaf")
        template.serialNumber = leaf.serialNumber
        let twinLeaf = try twin.issue(template).certificate
        let confused = try OCSPResponseTemplate(.good).sign(twinLeaf, issuer: twin.certificate, by: root.identity)
        #expect(reason(confused).contains("has no answer"))
    }

    @Test func criticalExtensionsThatAreNotUnderstoodSpoilTheAnswer() throws {
        var template = OCSPResponseTemplate(.good)
        template.extensions = [TestExtension(oid: "1.2.3", isCritical: true, value: [5, 0])]
        #expect(try reason(template.sign(leaf, issuer: root.certificate, by: root.identity)).contains("1.2.3"))
        let since = Date(timeIntervalSince1970: 1_780_000_000)
        template.extensions = [
            TestExtension(
                oid: CertificateExtension.Identifier.invalidityDate, isCritical: false,
                value: DERWriter.generalizedTime(since))
        ]
        #expect(try answer(template.sign(leaf, issuer: root.certificate, by: root.identity)).invalidityDate == since)
    }

    @Test func refusalsOfTheResponderAreErrors() throws {
        let tryLater = DERWriter.sequence([DERWriter.element(DER.enumerated, [3])])
        let error = #expect(throws: PKIError.self) { try OCSPResponse(der: tryLater) }
        #expect(error?.kind == .missing)
        #expect(error?.description == "the OCSP responder gave no answer: tryLater")
        #expect(throws: PKIError.self) { try OCSPResponse(der: Array("<html>".utf8)) }
        #expect(throws: PKIError.self) { try OCSPResponse(der: []) }
    }

    @Test func damagedResponsesNeverCrashAndAreNeverAccepted() throws {
        let der = try OCSPResponseTemplate(.revoked(now, reason: .keyCompromise)).sign(
            leaf, issuer: root.certificate, by: root.identity)
        _ = try answer(der)
        var random = SeededGenerator(seed: 9)
        for position in der.indices {
            var damaged = der
            damaged[position] ^= UInt8.random(in: 1...255, using: &random)
            #expect(throws: PKIError.self, "byte \(position)") { try answer(damaged) }
        }
        for length in 0..<der.count { #expect(throws: PKIError.self) { try answer(Array(der.prefix(length))) } }
    }
}
