import Foundation
import KeyManagement
import PKI
import Sigstore
import SigstoreTestSupport
import SigstoreTrust
import StrictJSON
import TestSupport
import Testing

/// An instance of one's own by its certificates and keys in PEM: what it signs verifies as by its trusted root, and
/// without one of the parts it does not.
@Suite struct OwnInstanceTests {
    private let instance: TestInstance
    private let fulcio: [Certificate]
    private let timestamps: [Certificate]

    init() throws {
        instance = try TestInstance("own")
        fulcio = instance.fulcio.identity.chain
        timestamps = instance.timestampSigner.chain
    }

    private func pem(_ certificates: [Certificate]) -> String? {
        certificates.isEmpty ? nil : certificates.map(\.pem).joined(separator: "# another one\n")
    }

    private func pem(_ keys: PrivateKey...) -> String {
        keys.map { PEM(label: "PUBLIC KEY", der: $0.publicKey.spkiDER).text }.joined()
    }

    private func root(
        fulcio: [Certificate]? = nil, rekor: String? = nil, logs: String? = nil, timestamps: [Certificate]? = nil
    ) throws -> TrustedRoot {
        try OwnInstance(
            fulcio: pem(fulcio ?? self.fulcio), rekor: rekor ?? pem(instance.rekorKey),
            certificateLogs: logs ?? pem(instance.certificateLogKey), timestamps: pem(timestamps ?? self.timestamps)
        ).trustedRoot()
    }

    @Test func verifiesWhatTheInstanceSigned() throws {
        let root = try root()
        #expect(root.certificateAuthorities.count == 2 && root.timestampAuthorities.count == 1)
        var options = TestInstance.Options()
        options.timestamps = 1
        #expect(try instance.refusal(try instance.sign(), root: root) == "")
        #expect(try instance.refusal(try instance.sign(options), root: root) == "")
        #expect(try instance.refusal(try instance.signLayer(), root: root) == "")
        // In any order, once or twice.
        let shuffled = try self.root(
            fulcio: fulcio.reversed() + fulcio, rekor: pem(instance.certificateLogKey, instance.rekorKey),
            timestamps: timestamps.reversed())
        #expect(try instance.refusal(try instance.sign(options), root: shuffled) == "")
    }

    /// What refuses a bundle by the trusted root of the instance, some of whose parts are others.
    private func refusal(
        _ bundle: JSONValue, fulcio: [Certificate]? = nil, rekor: String? = nil, logs: String? = nil,
        timestamps: [Certificate]? = nil
    ) throws -> String {
        let root = try root(fulcio: fulcio, rekor: rekor, logs: logs, timestamps: timestamps)
        return try instance.refusal(bundle, root: root)
    }

    @Test func withoutAPartNothingIsVerified() throws {
        let bundle = try instance.sign()
        let other = try TestInstance("other")
        #expect(try refusal(bundle) == "")
        #expect(
            try refusal(bundle, fulcio: other.fulcio.identity.chain) == "certificateChain unknownAuthority")
        #expect(try refusal(bundle, rekor: pem(other.rekorKey)) == "provenTime badPromise")
        #expect(try refusal(bundle, logs: pem(other.certificateLogKey)).hasPrefix("certificateTimestamp"))
        let none = try OwnInstance(
            fulcio: nil, rekor: pem(instance.rekorKey), certificateLogs: nil, timestamps: nil
        ).trustedRoot()
        #expect(try instance.refusal(bundle, root: none) == "certificateChain unknownAuthority")
        var options = TestInstance.Options()
        options.timestamps = 1
        let stamped = try instance.sign(options)
        #expect(try refusal(stamped) == "")
        #expect(try refusal(stamped, timestamps: other.timestampSigner.chain) == "provenTime unknownAuthority")
    }

    /// The authority that issues, without the one above it, is enough; the one above alone is not, for a bundle that has
    /// only its certificate.
    @Test func whereTheChainEnds() throws {
        let bundle = try instance.sign()
        #expect(fulcio.count == 2)
        #expect(try refusal(bundle, fulcio: [fulcio[0]]) == "")
        #expect(try refusal(bundle, fulcio: [fulcio[1]]) == "certificateChain unknownAuthority")
    }

    /// Logs of Rekor v2 are known by their address, which no key has.
    @Test func rekorV2NeedsATrustedRoot() throws {
        var options = TestInstance.Options()
        options.logs = [.hashedRekord2]
        options.timestamps = 1
        let bundle = try instance.sign(options)
        #expect(try instance.refusal(bundle) == "")
        #expect(try refusal(bundle, rekor: pem(instance.rekor2Key)).hasPrefix("transparency"))
    }

    @Test func refusesWhatIsNotRead() throws {
        func refusal(
            fulcio: String? = nil, rekor: String? = nil, logs: String? = nil, timestamps: String? = nil
        ) -> String {
            let error = #expect(throws: KeyManagementError.self) {
                try OwnInstance(fulcio: fulcio, rekor: rekor, certificateLogs: logs, timestamps: timestamps)
                    .trustedRoot()
            }
            #expect(error?.kind == .configuration)
            return error?.description ?? ""
        }
        let leaf = try instance.certificate(for: instance.rekorKey.publicKey, TestInstance.Leaf())
        let key = PEM(label: "PRIVATE KEY", der: Array("secret".utf8)).text
        #expect(refusal() == "neither certificates nor keys are given")
        #expect(refusal(fulcio: leaf.pem).contains("none of an authority"))
        #expect(refusal(fulcio: pem(instance.rekorKey)).contains("only CERTIFICATE blocks"))
        #expect(refusal(rekor: fulcio[0].pem).hasPrefix("key 1 of rekorKeys cannot be read"))
        #expect(refusal(logs: pem(instance.rekorKey) + key).hasPrefix("key 2 of ctLogKeys cannot be read"))
        #expect(!refusal(logs: key).contains("c2VjcmV0"))
        #expect(refusal(timestamps: "no certificate").hasPrefix("timestampCertificates cannot be read"))
        let many = try (0...OwnInstance.maximumItems).map { _ in pem(try PrivateKey.generate(.ec(.p256))) }.joined()
        #expect(refusal(rekor: many) == "rekorKeys has 33 entries; at most 32 are accepted")
        let weak = try PrivateKey.generate(.rsa(bits: 1024))
        #expect(refusal(rekor: pem(weak)).contains("RSA-1024, which no log signs with"))
    }
}
