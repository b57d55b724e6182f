import Foundation
import KeyManagement
import PKI
import TestSupport
import Testing

@Suite struct InlineCertificatesTests {
    private let now = Date(timeIntervalSince1970: 1_790_000_000)

    private func reason(_ contentType: String?, _ value: String?) -> String {
        do {
            let provider = try InlineCertificates(name: "certs", contentType: contentType, value: value, now: now)
            return "accepted \(provider.current()?.certificates.count ?? -1)"
        } catch { return "\(error)" }
    }

    @Test func certificatesAreInForceFromTheStart() throws {
        let root = try CertificateAuthority(name: "root")
        let other = try CertificateAuthority(name: "other").certificate
        let provider = try InlineCertificates(
            name: "certs", contentType: "certificate", value: root.certificate.pem + other.pem + other.pem, now: now)
        let set = try #require(provider.current())
        #expect(set.certificates == [root.certificate, other])
        #expect(set.firstExpiry == min(root.certificate.notAfter, other.notAfter))
        #expect(provider.type == "inline")
        #expect(provider.status.isSuccess)
        #expect(provider.status.lastFetched == now)
        #expect(provider.status.error == nil)
        let properties = try #require(provider.status.properties.first)
        #expect(properties.subject == "CN=root,O=Countersign Tests,ST=WA,C=US")
        #expect(properties.fingerprint == root.certificate.sha256Hex)
        #expect(properties.notAfter == root.certificate.notAfter)
    }

    @Test func leavesAreRefusedAndTheOthersStay() throws {
        let root = try CertificateAuthority(name: "root")
        let leaf = try root.issue(.codeSigning("leaf"))
        let provider = try InlineCertificates(
            name: "certs", contentType: "certificate", value: leaf.chainPEM, now: now)
        #expect(provider.current()?.certificates == [root.certificate])
        #expect(provider.status.isSuccess)
        #expect(provider.status.refused.map(\.certificate) == [leaf.certificate])
        let text = reason("certificate", leaf.certificate.pem)
        #expect(text.contains("\"CN=leaf,O=Countersign Tests,ST=WA,C=US\""), "\(text)")
        #expect(text.contains(leaf.certificate.sha256Hex))
        #expect(text.contains("neither a certificate authority nor self-signed"))
    }

    /// One block that is no certificate does not take the others out of force; a text that is cut off says nothing.
    @Test func oneBrokenCertificateLeavesTheOthersInForce() throws {
        let root = try CertificateAuthority(name: "root").certificate
        let broken = PEM(label: "CERTIFICATE", der: [0x30, 0x00]).text
        for value in [broken + root.pem, root.pem + broken] {
            let provider = try InlineCertificates(name: "certs", contentType: "certificate", value: value, now: now)
            #expect(provider.current()?.certificates == [root])
            #expect(!provider.status.isSuccess)
            #expect(provider.status.error?.contains("PEM block \(value.hasPrefix(broken) ? 1 : 2)") == true)
            #expect(provider.status.error?.contains("the other certificates are in force") == true)
        }
        #expect(reason("certificate", broken).contains("cannot be read"))
        #expect(reason("certificate", root.pem + String(root.pem.dropLast(40))).contains("has no END line"))
        #expect(reason("certificate", root.pem + PEM(label: "PRIVATE KEY", der: [1]).text).contains("only CERTIFICATE"))
    }

    @Test func aSelfSignedLeafIsTrusted() throws {
        let selfSigned = try CertificateAuthority(.codeSigning("self")).certificate
        #expect(reason("certificate", selfSigned.pem) == "accepted 1")
    }

    @Test func aLeafThatOnlyClaimsItsOwnNameAsIssuerIsNotSelfSigned() throws {
        var template = CertificateTemplate.codeSigning("claims")
        template.issuerDER = CertificateTemplate.encode(template.subject)
        let claims = try CertificateAuthority(name: "root").issue(template).certificate
        #expect(claims.isSelfIssued)
        #expect(reason("certificate", claims.pem).contains("neither a certificate authority nor self-signed"))
    }

    @Test func wrongParametersSayWhatToDo() throws {
        let pem = try CertificateAuthority(name: "root").certificate.pem
        #expect(reason("key", pem).contains("expected a PEM block PUBLIC KEY, found CERTIFICATE"))
        #expect(reason(nil, pem).contains("has no contentType; set it to \"certificate\", or"))
        #expect(reason("", pem).contains("has no contentType"))
        #expect(reason("Certificate", pem).contains("only \"certificate\" and \"key\" are supported"))
        #expect(reason("certificate", nil).contains("has no value"))
        #expect(reason("certificate", "nonsense").contains("there is no PEM block"))
        #expect(reason("certificate", String(pem.dropLast(40))).contains("has no END line"))
        #expect(reason("key", pem).contains("\"certs\""))
    }

    @Test func aPublicKeyIsListedAndMakesNoTrustStore() throws {
        let key = try PrivateKey.generate(.ec(.p256)).publicKey
        let provider = try InlineCertificates(
            name: "key", contentType: "key", value: PEM(label: "PUBLIC KEY", der: key.spkiDER).text, now: now)
        #expect(provider.current() == nil)
        #expect(provider.status.isSuccess && provider.status.lastFetched == now)
        #expect(provider.status.keys.map(\.kind) == ["EC P-256"])
        #expect(provider.status.keys.map(\.fingerprint) == [key.sha256Hex])
        let trusted = TrustedCertificates([provider])
        #expect(trusted.missing.isEmpty)
        let error = #expect(throws: KeyManagementError.self) { try trusted.certificates(named: "key") }
        #expect(error?.kind == .configuration && error?.description.contains("public keys only") == true)
        #expect(try trusted.keys(named: "key") == [TrustedKey(key: key, lastRefreshed: now)])
        let two = PEM(label: "PUBLIC KEY", der: key.spkiDER).text + PEM(label: "PUBLIC KEY", der: key.spkiDER).text
        #expect(reason("key", two).contains("there are 2 PEM blocks; expected one"))
    }

    @Test func theStateOfACertificateFollowsTheTime() throws {
        let root = try CertificateAuthority(name: "root")
        let leaf = try root.issue(.codeSigning("leaf"))
        let provider = try InlineCertificates(
            name: "certs", contentType: "certificate", value: leaf.chainPEM, now: now)
        let states = provider.status.properties.map { $0.state(at: root.certificate.notBefore) }
        #expect(states.sorted() == ["in force", "refused: neither a certificate authority nor self-signed"])
        let trusted = try #require(provider.status.properties.first { $0.isInForce })
        #expect(trusted.state(at: .distantFuture).hasPrefix("in force, expired on 2"))
        #expect(trusted.state(at: .distantPast).hasPrefix("in force, not yet valid until 2"))
    }
}
