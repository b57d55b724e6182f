import Encoding
import Foundation
import PKI
import TestSupport
import Testing

@Suite struct CertificateTests {
    /// The certificates of the corpus and what an independent reader says of them.
    static func corpus() throws -> [(certificate: Certificate, expected: [String: Any])] {
        let certificates = try Certificate.parsePEM(Fixture.bytes("certificates/corpus.pem"))
        let json = try JSONSerialization.jsonObject(with: Data(Fixture.bytes("certificates/corpus.json")))
        let expected = try #require(json as? [[String: Any]])
        try #require(expected.count == certificates.count)
        return Array(zip(certificates, expected))
    }

    @Test func fieldsAgreeWithAnIndependentReader() throws {
        let corpus = try CertificateTests.corpus()
        #expect(corpus.count > 150)
        for (certificate, expected) in corpus {
            let name: Comment = "\(certificate)"
            #expect(certificate.sha256Hex == expected["sha256"] as? String, name)
            #expect(certificate.version == expected["version"] as? Int, name)
            if let serial = expected["serial"] as? String {
                let stripped = certificate.serialNumberHex.drop { $0 == "0" }
                #expect(stripped == serial.drop { $0 == "0" }, name)
            }
            #expect(UTC.text(certificate.notBefore) == expected["notBefore"] as? String, name)
            #expect(UTC.text(certificate.notAfter) == expected["notAfter"] as? String, name)
            #expect(certificate.signatureAlgorithm.oid == expected["signatureOID"] as? String, name)
            #expect(certificate.signatureAlgorithm.hash?.rawValue == expected["hash"] as? String, name)
            let key = (expected["key"] as? String)?.replacing("EC secp224r1", with: "EC on curve 1.3.132.0.33")
            // The reader does not tell a key for RSASSA-PSS only from other RSA keys; the reference does not take one.
            let isForPSSOnly = certificate.publicKey.kind == .other("RSA restricted to RSASSA-PSS")
            #expect(isForPSSOnly ? key == "RSA-2048" : certificate.publicKey.description == key, name)
            let attributes = expected["subjectAttributes"] as? [[String]]
            #expect(certificate.subject.attributes.map { [$0.oid, $0.value] } == attributes, name)
            let extensions = (expected["extensions"] as? [[Any]]) ?? []
            #expect(certificate.extensions.map(\.oid) == extensions.compactMap { $0[0] as? String }, name)
            #expect(
                certificate.criticalExtensions
                    == extensions.filter { $0[1] as? Bool == true }.compactMap { $0[0] as? String }, name)
            let constraints = expected["bc"] as? [Any]
            #expect(certificate.basicConstraints?.isCA == constraints?[0] as? Bool, name)
            #expect(certificate.basicConstraints?.pathLength == constraints?[1] as? Int, name)
            #expect(certificate.basicConstraints?.isCritical == constraints?[2] as? Bool, name)
            let usage = expected["ku"] as? [Any]
            #expect(certificate.keyUsage.map { $0.usages.map(\.rawValue).sorted() } == usage?[0] as? [Int], name)
            #expect(certificate.keyUsage?.isCritical == usage?[1] as? Bool, name)
            let purposes = expected["eku"] as? [Any]
            #expect(certificate.extendedKeyUsage?.purposes == purposes?[0] as? [String], name)
            #expect(certificate.extendedKeyUsage?.isCritical == purposes?[1] as? Bool, name)
            #expect(certificate.ocspURLs == expected["ocsp"] as? [String] ?? [], name)
            #expect(certificate.crlDistributionPoints == expected["cdp"] as? [[String]] ?? [], name)
            #expect(certificate.subjectKeyIdentifier.map(Hex.text) == expected["ski"] as? String, name)
            #expect(certificate.authorityKeyIdentifier.map(Hex.text) == expected["aki"] as? String, name)
        }
    }

    @Test func everySelfIssuedRootOfTheCorpusSignedItself() throws {
        let roots = try CertificateTests.corpus().map(\.certificate).filter { $0.isSelfIssued && $0.isCA }
        #expect(roots.count > 10)
        for root in roots { #expect(root.isSelfSigned, "\(root)") }
    }

    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 2048), SignatureAlgorithm.Scheme.rsaPKCS1(.sha256)),
        (.rsa(bits: 2048), .rsaPKCS1(.sha1)),
        (.rsa(bits: 2048), .rsaPKCS1(.sha512)),
        (.rsa(bits: 2048), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)),
        (.rsa(bits: 3072), .rsaPSS(hash: .sha384, mgf1Hash: .sha1, saltLength: 20)), (.ec(.p256), .ecdsa(.sha256)),
        (.ec(.p384), .ecdsa(.sha384)), (.ec(.p521), .ecdsa(.sha512)), (.other("Ed25519"), .ed25519),
    ])
    func signaturesOfEveryAlgorithmAreChecked(kind: PublicKey.Kind, scheme: SignatureAlgorithm.Scheme) throws {
        var template = CertificateTemplate.authority("root")
        template.scheme = scheme
        let root = try CertificateAuthority(template, key: kind)
        #expect(root.certificate.signatureAlgorithm.scheme == scheme)
        #expect(root.certificate.isSelfSigned)
        #expect(root.certificate.publicKey.kind == kind)
        // OpenSSL's own chain check agrees.
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.write(root.certificate.pem, to: "root.pem")
        if scheme != .rsaPKCS1(.sha1) {
            try OpenSSLCommand.run("verify", "-check_ss_sig", "-trusted", file, file)
        }
        let other = try CertificateAuthority(template, key: kind)
        #expect(!root.certificate.isSigned(by: other.certificate))
    }

    @Test func aChangedBitOfTheSignedPartBreaksTheSignature() throws {
        let root = try CertificateAuthority(name: "root")
        let leaf = try root.issue(.codeSigning("leaf")).certificate
        #expect(leaf.isSigned(by: root.certificate))
        var der = leaf.der
        // The last byte of the subject's common name.
        let position = try #require(der.indices.last { der[$0...].starts(with: Array("leaf".utf8)) })
        der[position] ^= 1
        #expect(try !Certificate(der: der).isSigned(by: root.certificate))
    }

    @Test func aSignatureNeverRunsWithAKeyOfAnotherKind() throws {
        let ec = try TestKeys.key(.ec(.p256))
        let rsa = try TestKeys.key(.rsa(bits: 2048))
        let message = Array("message".utf8)
        let signature = try ec.signature(over: message, scheme: .ecdsa(.sha256))
        #expect(ec.publicKey.isValidSignature(signature, over: message, scheme: .ecdsa(.sha256)))
        #expect(!rsa.publicKey.isValidSignature(signature, over: message, scheme: .ecdsa(.sha256)))
        #expect(!ec.publicKey.isValidSignature(signature, over: message, scheme: .rsaPKCS1(.sha256)))
        #expect(!ec.publicKey.isValidSignature(signature, over: message, scheme: .other))
        #expect(!ec.publicKey.isValidSignature([], over: message, scheme: .ecdsa(.sha256)))
    }

    @Test func bothTimeFormsAreRead() throws {
        var template = CertificateTemplate.authority("long")
        template.notBefore = Date(timeIntervalSince1970: 0)
        template.notAfter = Date(timeIntervalSince1970: 253_402_300_799)
        let certificate = try CertificateAuthority(template).certificate
        #expect(UTC.text(certificate.notBefore) == "1970-01-01T00:00:00Z")
        #expect(UTC.text(certificate.notAfter) == "9999-12-31T23:59:59Z")
        #expect(certificate.isValid(at: certificate.notBefore))
        #expect(certificate.isValid(at: certificate.notAfter))
        #expect(!certificate.isValid(at: Date(timeIntervalSince1970: -1)))
    }

    @Test func allNineKeyUsagesAreTold() throws {
        for usage in KeyUsage.Usage.allCases {
            var template = CertificateTemplate.authority("x")
            template.extensions = [.keyUsage([usage], isCritical: false)]
            let certificate = try CertificateAuthority(template).certificate
            #expect(certificate.keyUsage?.usages == [usage])
            #expect(certificate.keyUsage?.isCritical == false)
        }
    }

    @Test func malformedCertificatesAreRefusedWithAReason() throws {
        let good = try CertificateAuthority(name: "x").certificate.der
        func reason(_ der: [UInt8]) -> String {
            do { return "accepted: \(try Certificate(der: der))" } catch { return "\(error)" }
        }
        #expect(reason(good + [0]).contains("1 bytes too many"))
        #expect(reason([]).contains("ends where a SEQUENCE should begin"))
        #expect(reason(Array(good.dropLast())).contains("ends inside an element"))
        #expect(reason([UInt8](repeating: 0x30, count: 70_000)).contains("at most 65536 are accepted"))
        #expect(reason([0x30, 0x80, 0, 0]).contains("indefinite"))

        var twice = CertificateTemplate.authority("x")
        twice.extensions.append(.keyUsage([.cRLSign]))
        #expect(throws: PKIError.self) { try CertificateAuthority(twice) }
        var old = CertificateTemplate.authority("x")
        old.version = 1
        #expect(throws: PKIError.self) { try CertificateAuthority(old) }
        old.extensions = []
        #expect(try CertificateAuthority(old).certificate.version == 1)
        var broken = CertificateTemplate.authority("x")
        broken.extensions = [
            TestExtension(oid: CertificateExtension.Identifier.basicConstraints, isCritical: true, value: [0x30])
        ]
        #expect(throws: PKIError.self) { try CertificateAuthority(broken) }
    }

    /// Cut and changed certificates never crash, and what is accepted here OpenSSL accepts too.
    @Test func damagedCertificatesNeverCrashAndAreNeverAcceptedAgainstOpenSSL() throws {
        let corpus = try CertificateTests.corpus().map(\.certificate.der)
        var random = SeededGenerator(seed: 20_261_121)
        var accepted = 0
        var disagreed: [String] = []
        for der in corpus {
            for _ in 0..<60 {
                var damaged = der
                switch Int.random(in: 0..<5, using: &random) {
                case 0: damaged.removeLast(Int.random(in: 1..<der.count, using: &random))
                case 1: damaged.remove(at: Int.random(in: 0..<der.count, using: &random))
                case 2:
                    damaged.insert(
                        UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0..<der.count, using: &random))
                default:
                    for _ in 0..<Int.random(in: 1...3, using: &random) {
                        damaged[Int.random(in: 0..<der.count, using: &random)] = UInt8.random(
                            in: 0...255, using: &random)
                    }
                }
                guard let certificate = try? Certificate(der: damaged) else { continue }
                accepted += 1
                _ = (certificate.description, certificate.subject.rfc2253, certificate.isSelfSigned)
                // Parameters of algorithms that are not supported are not looked into: nothing uses them.
                if case .other = certificate.publicKey.kind { continue }
                if certificate.signatureAlgorithm.scheme == .other { continue }
                if !OpenSSLReader.acceptsCertificate(damaged) {
                    disagreed.append(Data(damaged).base64EncodedString())
                }
            }
        }
        #expect(accepted > 500)
        #expect(disagreed.isEmpty, "\(disagreed.prefix(3))")
    }

    /// A certificate that names places without end is not read at all: the first limit that strangers meet.
    @Test func whatACertificateNamesIsBounded() throws {
        let authority = try CertificateAuthority(name: "root")
        func problem(_ extensions: TestExtension...) -> String {
            var template = CertificateTemplate.codeSigning("leaf")
            template.extensions += extensions
            do {
                _ = try authority.issue(template)
                return ""
            } catch { return "\(error)" }
        }
        let urls = (0..<65).map { "http://pki.test/\($0)" }
        #expect(problem(.ocsp(Array(urls.dropLast()))) == "")
        #expect(problem(.crlDistributionPoints(Array(urls.dropLast()))) == "")
        #expect(problem(.ocsp(urls)).contains("more than 64 locations"))
        #expect(problem(.crlDistributionPoints(urls)).contains("more than 64 distribution points"))
        let others = (0..<50).map { TestExtension(oid: "1.2.3.4.\($0)", isCritical: false, value: [5, 0]) }
        var template = CertificateTemplate.codeSigning("leaf")
        template.extensions += others
        #expect(throws: Never.self) { try authority.issue(template) }
        template.extensions += (0..<20).map { TestExtension(oid: "1.2.3.5.\($0)", isCritical: false, value: [5, 0]) }
        let error = #expect(throws: PKIError.self) { try authority.issue(template) }
        #expect(error?.description.contains("more than 64 extensions") == true)
    }
}
