import Encoding
import Foundation
import PKI
import TestSupport
import Testing

@Suite struct RevocationListTests {
    typealias Identifier = CertificateExtension.Identifier
    private let root: CertificateAuthority
    private let leaf: Certificate
    private let other: Certificate

    init() throws {
        root = try CertificateAuthority(name: "root")
        leaf = try root.issue(.codeSigning("leaf")).certificate
        other = try root.issue(.codeSigning("other")).certificate
    }

    private func entries(_ list: RevocationList, _ certificate: Certificate) throws -> [RevocationList.Entry] {
        try list.entries(forSerialNumber: certificate.serialNumber, issuedBy: certificate.issuer)
    }

    @Test(arguments: [PublicKey.Kind.ec(.p256), .rsa(bits: 2048), .ec(.p384)])
    func aListThatOpenSSLMadeIsRead(kind: PublicKey.Kind) throws {
        let root = try CertificateAuthority(name: "root", key: kind)
        let leaf = try root.issue(.codeSigning("leaf")).certificate
        let good = try root.issue(.codeSigning("good")).certificate
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(root.certificate.pem, to: "root.pem")
        directory.write(try root.identity.keyPEM, to: "root.key")
        let serial = leaf.serialNumberHex.uppercased()
        directory.write(
            "R\t491231235959Z\t260102030405Z,keyCompromise\t\(serial)\tunknown\t/CN=leaf\n", to: "index.txt")
        directory.write("1000\n", to: "crlnumber")
        directory.write(
            """
            [ca]
            default_ca = d
            [d]
            database = index.txt
            crlnumber = crlnumber
            default_md = sha384
            default_crl_days = 30
            crl_extensions = e
            [e]
            issuingDistributionPoint = critical, @i
            [i]
            fullname = URI:http://crl.example/1.crl
            onlyuser = TRUE
            """, to: "ca.cnf")
        try OpenSSLCommand.run(
            "ca", "-gencrl", "-config", "ca.cnf", "-keyfile", "root.key", "-cert", "root.pem", "-out", "crl.pem",
            in: directory.path)
        let der = try OpenSSLCommand.run("crl", "-outform", "DER", "-in", "crl.pem", in: directory.path)
        let list = try RevocationList(der: der)
        #expect(list.isSigned(by: root.certificate))
        #expect(list.issuer == root.certificate.subject)
        #expect(list.number == [0x10, 0])
        #expect(list.deltaBaseNumber == nil)
        #expect(list.unknownCriticalExtensions.isEmpty)
        let point = try #require(list.issuingDistributionPoint)
        #expect(point.uris == ["http://crl.example/1.crl"])
        #expect(point.onlyUserCertificates)
        #expect(!point.onlyAuthorityCertificates && !point.isIndirect && !point.onlySomeReasons)
        let entry = try #require(try entries(list, leaf).first)
        #expect(UTC.text(entry.revocationDate) == "2026-01-02T03:04:05Z")
        #expect(entry.reason == .keyCompromise)
        #expect(try entries(list, good) == [])
        let next = try #require(list.nextUpdate)
        #expect(next.timeIntervalSince(list.thisUpdate) == 30 * 86_400)
        #expect(!list.isSigned(by: try CertificateAuthority(name: "root", key: kind).certificate))
    }

    @Test func openSSLReadsWhatTheTemplateMakes() throws {
        let since = Date(timeIntervalSince1970: 1_780_000_000)
        let der = try RevocationListTemplate([.init(leaf, reason: .superseded, invalidityDate: since)]).sign(by: root)
        let text = String(
            decoding: try OpenSSLCommand.run("crl", "-inform", "DER", "-noout", "-text", input: der), as: UTF8.self)
        #expect(text.contains("Superseded"), "\(text)")
        #expect(text.contains("Invalidity Date"))
        let entry = try #require(try entries(RevocationList(der: der), leaf).first)
        #expect(entry.invalidityDate == since)
        #expect(entry.reason == .superseded)
    }

    @Test func holdAndItsRemovalAreBothTold() throws {
        let der = try RevocationListTemplate([
            .init(leaf, reason: .certificateHold), .init(other), .init(leaf, reason: .removeFromCRL),
        ]).sign(by: root)
        let list = try RevocationList(der: der)
        #expect(try entries(list, leaf).map(\.reason) == [.certificateHold, .removeFromCRL])
        #expect(try entries(list, other).map(\.reason) == [nil])
        #expect(list.count == 3)
    }

    @Test func inAnIndirectListAnIssuerHoldsUntilTheNextOne() throws {
        let elsewhere = try CertificateAuthority(name: "elsewhere")
        let foreign = try elsewhere.issue(.codeSigning("foreign")).certificate
        let names = DERWriter.sequence([DERWriter.explicit(4, elsewhere.certificate.subject.der)])
        let der = try RevocationListTemplate(
            [
                .init(leaf),
                .init(
                    foreign,
                    extensions: [TestExtension(oid: Identifier.certificateIssuer, isCritical: true, value: names)]),
                .init(other),
            ],
            extensions: [
                TestExtension(
                    oid: Identifier.issuingDistributionPoint, isCritical: true,
                    value: DERWriter.sequence([DERWriter.element(DER.context(4), [0xFF])]))
            ]
        ).sign(by: root)
        let list = try RevocationList(der: der)
        #expect(list.issuingDistributionPoint?.isIndirect == true)
        #expect(try entries(list, leaf).count == 1)
        #expect(try entries(list, foreign).count == 1)
        // The entry with the serial number of `other` is about a certificate of the other issuer.
        #expect(try entries(list, other).isEmpty)
        #expect(
            try list.entries(forSerialNumber: other.serialNumber, issuedBy: elsewhere.certificate.subject).count == 1)
    }

    /// RFC 5280, section 5.3.3: else the entries after it would be about another issuer's certificates.
    @Test func onlyAnIndirectListNamesIssuers() throws {
        let names = DERWriter.sequence([
            DERWriter.explicit(4, try CertificateAuthority(name: "elsewhere").certificate.subject.der)
        ])
        for (isCritical, extensions) in [
            (true, []), (false, []),
            (
                true,
                [
                    TestExtension(
                        oid: Identifier.issuingDistributionPoint, isCritical: true,
                        value: DERWriter.sequence([DERWriter.element(DER.context(1), [0xFF])]))
                ]
            ),
        ] as [(Bool, [TestExtension])] {
            let issuer = TestExtension(oid: Identifier.certificateIssuer, isCritical: isCritical, value: names)
            let der = try RevocationListTemplate(
                [.init(other, extensions: [issuer]), .init(leaf)], extensions: extensions
            ).sign(by: root)
            #expect(throws: PKIError.self) { try RevocationList(der: der) }
        }
    }

    @Test func unknownCriticalExtensionsAreTold() throws {
        let unknown = TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])
        let ofList = try RevocationList(der: RevocationListTemplate(extensions: [unknown]).sign(by: root))
        #expect(ofList.unknownCriticalExtensions == ["1.2.3.4"])
        let ofEntry = try RevocationList(
            der: RevocationListTemplate([.init(leaf, extensions: [unknown]), .init(other)]).sign(by: root))
        #expect(ofEntry.unknownCriticalExtensions.isEmpty)
        #expect(ofEntry.unknownCriticalEntryExtensions == ["1.2.3.4"])
        #expect(ofList.unknownCriticalEntryExtensions.isEmpty)
    }

    @Test func deltaListsTellTheirBase() throws {
        let list = try RevocationList(
            der: RevocationListTemplate(
                number: 8,
                extensions: [
                    TestExtension(oid: Identifier.deltaCRLIndicator, isCritical: true, value: DERWriter.integer(7)),
                    TestExtension(
                        oid: Identifier.freshestCRL, isCritical: false,
                        value: TestExtension.crlDistributionPoints(["http://delta.example/"]).value),
                ]
            ).sign(by: root))
        #expect(list.number == [8])
        #expect(list.deltaBaseNumber == [7])
        #expect(list.freshestURLs == [["http://delta.example/"]])
        #expect(list.unknownCriticalExtensions.isEmpty)
    }

    @Test func damagedListsNeverCrashAndNeverKeepTheirSignature() throws {
        let der = try RevocationListTemplate([.init(leaf, reason: .keyCompromise), .init(other)]).sign(by: root)
        var random = SeededGenerator(seed: 7)
        for position in der.indices {
            var damaged = der
            damaged[position] ^= UInt8.random(in: 1...255, using: &random)
            guard let list = try? RevocationList(der: damaged) else { continue }
            _ = (try? entries(list, leaf), list.count)
            #expect(!list.isSigned(by: root.certificate), "byte \(position)")
        }
        for length in 0..<der.count {
            #expect(throws: PKIError.self) { try RevocationList(der: Array(der.prefix(length))) }
        }
        #expect(throws: PKIError.self) { try RevocationList(der: der + [0]) }
    }
}
