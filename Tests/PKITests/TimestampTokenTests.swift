import Foundation
import PKI
import TestSupport
import Testing

@Suite struct TimestampTokenTests {
    private let message = Array("the signature of an envelope".utf8)
    private let root: CertificateAuthority
    private let authority: TimestampAuthority

    init() throws {
        root = try CertificateAuthority(name: "tsa root")
        authority = TimestampAuthority(try root.issue(.timestamping("tsa")))
    }

    private func reason(_ change: (inout TimestampAuthority) throws -> Void) throws -> String {
        var changed = authority
        try change(&changed)
        let der = try changed.token(over: message)
        do { return "accepted \(try TimestampToken(der: der).verify(timestamped: message).subject)" } catch {
            return "\(error)"
        }
    }

    /// Our request, `openssl ts` as authority, our verification of its answer.
    @Test(
        arguments: [PublicKey.Kind.rsa(bits: 2048), .ec(.p256), .ec(.p384)], [HashAlgorithm.sha256, .sha384, .sha512])
    func requestAndTokenAgreeWithOpenSSL(kind: PublicKey.Kind, hash: HashAlgorithm) throws {
        let root = try CertificateAuthority(name: "root", key: kind)
        let tsa = try root.intermediate("int", key: kind).issue(.timestamping("tsa"), key: kind)
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(tsa.certificate.pem, to: "tsa.pem")
        directory.write(try tsa.keyPEM, to: "tsa.key")
        directory.write(tsa.chain.dropFirst().map(\.pem).joined(), to: "chain.pem")
        directory.write("01\n", to: "serial")
        directory.write(
            """
            [t]
            serial = serial
            crypto_device = builtin
            signer_cert = tsa.pem
            certs = chain.pem
            signer_key = tsa.key
            signer_digest = \(hash.rawValue.lowercased())
            default_policy = 1.2.3.4.1
            digests = sha256, sha384, sha512
            accuracy = secs:1, millisecs:500, microsecs:100
            clock_precision_digits = 3
            ordering = yes
            tsa_name = yes
            ess_cert_id_chain = yes
            ess_cert_id_alg = \(hash.rawValue.lowercased())
            """, to: "ts.cnf")
        let request = try TimestampRequest(for: message, hash: hash)
        directory.write(request.der, to: "request")
        try OpenSSLCommand.run(
            "ts", "-reply", "-config", "ts.cnf", "-section", "t", "-queryfile", "request", "-out", "response",
            in: directory.path)
        let response = Array(try Data(contentsOf: URL(filePath: directory.path("response"))))
        let (der, token) = try request.token(inResponse: response)
        #expect(try TimestampToken(der: der).info == token.info)
        let signer = try token.verify(timestamped: message)
        #expect(signer == tsa.certificate)
        #expect(abs(token.info.time.timeIntervalSinceNow) < 60)
        #expect(abs(token.info.accuracy - 1.5001) < 0.000001)
        #expect(token.info.policy == "1.2.3.4.1")
        let path = CertificateChain.path(
            from: signer, through: token.certificates, to: [root.certificate], at: token.info.time)
        #expect(path == tsa.chain)
        #expect(throws: PKIError.self) { try token.verify(timestamped: message + [0]) }
        // The answer to another request.
        let other = try TimestampRequest(for: message, hash: hash)
        #expect(throws: PKIError.self) { try other.token(inResponse: response) }
    }

    @Test func openSSLAcceptsWhatTheAuthorityMakes() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(message, to: "message")
        directory.write(try authority.token(over: message), to: "token")
        directory.write(root.certificate.pem, to: "root.pem")
        try OpenSSLCommand.run(
            "ts", "-verify", "-in", "token", "-token_in", "-data", "message", "-CAfile", "root.pem", in: directory.path)
    }

    @Test func aGoodTokenIsAccepted() throws {
        #expect(try reason { _ in }.hasPrefix("accepted CN=tsa"))
        #expect(try reason { $0.imprintHash = .sha512 }.hasPrefix("accepted"))
        #expect(
            try reason {
                $0.digest = .sha512; $0.scheme = .ecdsa(.sha512)
            }.hasPrefix("accepted"))
        #expect(try reason { $0.certificates = [$0.signer.certificate] }.hasPrefix("accepted"))
        #expect(try reason { $0.certificates.reverse() }.hasPrefix("accepted"))
    }

    @Test func everyWrongPartIsRefusedWithItsReason() throws {
        #expect(try reason { $0.imprintHash = .sha1 }.contains("message imprint of the timestamp uses SHA1"))
        #expect(try reason { $0.certificates = [] }.contains("is not in the token"))
        #expect(try reason { $0.certificates = [root.certificate] }.contains("is not in the token"))
        #expect(try reason { $0.namingAttribute = "1.2.840.113549.1.9.16.2.12" }.contains("lacks the signed attribute"))
        #expect(try reason { $0.namedCertificate = root.certificate }.contains("names another certificate"))
        #expect(
            try reason {
                $0.digest = .sha1; $0.scheme = .ecdsa(.sha1)
            }.contains("is not secure"))
        #expect(try reason { $0.scheme = .ecdsa(.sha384) }.contains("is not accepted here"))
        #expect(
            try reason { $0.infoExtensions = [TestExtension(oid: "1.2.3", isCritical: true, value: [5, 0])] }
                .contains("1.2.3"))
        let stranger = try TestKeys.key(.ec(.p256))
        #expect(
            try reason {
                $0.signer = Identity(certificate: $0.signer.certificate, key: stranger, chain: $0.signer.chain)
            }.contains("is not by its certificate"))
        for extensions in [
            [], [TestExtension.extendedKeyUsage([ExtendedKeyUsage.timeStamping])],
            [.extendedKeyUsage([ExtendedKeyUsage.timeStamping, ExtendedKeyUsage.codeSigning], isCritical: true)],
            [.extendedKeyUsage([ExtendedKeyUsage.codeSigning], isCritical: true)],
        ] {
            let wrong = try root.issue(
                CertificateTemplate(subject: CertificateTemplate.name("wrong"), extensions: extensions))
            #expect(
                try reason {
                    $0.signer = wrong
                    $0.certificates = wrong.chain
                }.contains("is not for timestamps"))
        }
    }

    @Test func timesAndAccuraciesAreExact() throws {
        func info(_ change: (inout TimestampAuthority) -> Void) throws -> TimestampInfo {
            var changed = authority
            changed.time = Date(timeIntervalSince1970: 1_780_315_200)
            change(&changed)
            return try TimestampToken(der: changed.token(over: message)).info
        }
        #expect(try info { _ in }.time == Date(timeIntervalSince1970: 1_780_315_200))
        #expect(try info { $0.fraction = ".5" }.time == Date(timeIntervalSince1970: 1_780_315_200.5))
        #expect(throws: PKIError.self) { try info { $0.fraction = ".50" } }
        #expect(throws: PKIError.self) { try info { $0.fraction = "." } }
        #expect(throws: PKIError.self) { try info { $0.fraction = ",5" } }
        #expect(try info { _ in }.accuracy == 0)
        #expect(try info { $0.policy = "0.4.0.2023.1.1" }.accuracy == 1)
        let exact = try info { $0.accuracy = (2, 250, 0) }
        #expect(exact.accuracy == 2.25)
        #expect(exact.earliest == Date(timeIntervalSince1970: 1_780_315_197.75))
        #expect(exact.latest == Date(timeIntervalSince1970: 1_780_315_202.25))
        #expect(throws: PKIError.self) { try info { $0.accuracy = (0, 1000, 0) } }
    }

    @Test func indefiniteLengthsOfTheOuterStructureAreRead() throws {
        let der = try authority.token(over: message)
        // SEQUENCE, definite → indefinite.
        var reader = DERReader(der)
        let outer = try reader.sequence()
        let ber = [0x30, 0x80] + outer.rest + [0, 0]
        #expect(try TimestampToken(der: Array(ber)).verify(timestamped: message) == authority.signer.certificate)
        #expect(throws: PKIError.self) { try TimestampToken(der: Array(ber.dropLast())) }
        #expect(throws: PKIError.self) { try TimestampToken(der: [UInt8](repeating: 0x30, count: 4) + [0x80]) }
        let deep = [[UInt8]](repeating: [0x30, 0x80], count: 10_000).flatMap { $0 }
        #expect(throws: PKIError.self) { try TimestampToken(der: deep) }
    }

    @Test func damagedTokensNeverCrashAndAreNeverAccepted() throws {
        var small = authority
        small.certificates = [small.signer.certificate]
        let der = try small.token(over: message)
        let good = try TimestampToken(der: der)
        var random = SeededGenerator(seed: 11)
        for position in der.indices {
            var damaged = der
            damaged[position] ^= UInt8.random(in: 1...255, using: &random)
            guard let token = try? TimestampToken(der: damaged), (try? token.verify(timestamped: message)) != nil else {
                continue
            }
            // What is not signed (versions, the list of digests) may differ, what is signed may not.
            #expect(token.info == good.info, "byte \(position)")
        }
        for length in 0..<der.count {
            #expect(throws: PKIError.self) { try TimestampToken(der: Array(der.prefix(length))) }
        }
    }

    @Test func pathsAreFoundInAnyOrderAndOnlyToAnchors() throws {
        let one = try root.intermediate("one")
        let two = try one.intermediate("two")
        let leaf = try two.issue(.timestamping("leaf"))
        let now = Date()
        func path(_ others: [Certificate], _ anchors: [Certificate], at moment: Date? = nil) -> [Certificate]? {
            CertificateChain.path(from: leaf.certificate, through: others, to: anchors, at: moment ?? now)
        }
        #expect(path(leaf.chain.reversed(), [root.certificate]) == leaf.chain)
        #expect(path([one.certificate, two.certificate], [one.certificate]) == Array(leaf.chain.prefix(3)))
        #expect(path([two.certificate], [root.certificate]) == nil)
        #expect(path(leaf.chain, []) == nil)
        #expect(path(leaf.chain, [try CertificateAuthority(name: "tsa root").certificate]) == nil)
        #expect(path(leaf.chain, [root.certificate], at: now.addingTimeInterval(-90_000)) == nil)
        // Many impostors of the same name end the search, they do not slow it down without bound.
        let impostors = try (0..<200).map { _ in try CertificateAuthority(name: "two").certificate }
        #expect(path(impostors + leaf.chain, [root.certificate]) == nil)
        #expect(path(impostors.prefix(50) + leaf.chain, [root.certificate]) == leaf.chain)
    }
}
