import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// Each limit has an error of its own, and what is just within it is read.
@Suite struct LimitTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private let entries = ["verificationMaterial", "tlogEntries"]
    private let timestamps = ["verificationMaterial", "timestampVerificationData", "rfc3161Timestamps"]

    @Test("sigstore-go CVE-2024-45395: a bundle without end")
    func bundleBytes() throws {
        let bytes = try instance.sign().bytes
        let verifier = BundleVerifier(root: try instance.root())
        let artifact = Artifact.content(TestInstance.Options().artifact)
        let room = SigstoreLimits.bundleBytes - bytes.count
        let most = verifier.verify(
            bundle: bytes + [UInt8](repeating: 0x20, count: room), artifact: artifact, policy: TestInstance.policy)
        #expect(most.isVerified)
        let more = verifier.verify(
            bundle: bytes + [UInt8](repeating: 0x20, count: room + 1), artifact: artifact,
            policy: TestInstance.policy)
        #expect((more.refusal as? BundleError)?.kind == .limit)
    }

    @Test func values() throws {
        var bundle = try instance.sign()
        bundle[["more"]] = .array(Array(repeating: 1, count: 30_000))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test func signatures() throws {
        var options = TestInstance.Options()
        options.predicateType = "a"
        options.logs = [.dsse1]
        var bundle = try instance.sign(options)
        let one = bundle[["dsseEnvelope", "signatures", "0"]]
        bundle[["dsseEnvelope", "signatures"]] = .array(Array(repeating: one, count: 11))
        #expect(try instance.refusal(bundle) == "bundle limit")
        bundle[["dsseEnvelope", "signatures"]] = .array([one, one])
        #expect(try instance.refusal(bundle) == "bundle malformed")
        bundle[["dsseEnvelope", "signatures"]] = .array([])
        #expect(try instance.refusal(bundle) == "bundle malformed")
        bundle[["dsseEnvelope", "signatures"]] = .array([one])
        #expect(try instance.refusal(bundle) == "")
    }

    @Test func signatureBytes() throws {
        var bundle = try instance.sign()
        bundle[["messageSignature", "signature"]] = .string(
            Base64.encode([UInt8](repeating: 1, count: SigstoreLimits.signatureBytes + 3)))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test("sigstore-go CVE-2024-45395: log entries without end")
    func logEntries() throws {
        var bundle = try instance.sign()
        let one = bundle[entries + ["0"]]
        bundle[entries] = .array(Array(repeating: one, count: 10))
        #expect(try instance.refusal(bundle) == "")
        bundle[entries] = .array(Array(repeating: one, count: 11))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test("sigstore-go CVE-2024-45395: timestamps without end")
    func signedTimestamps() throws {
        var options = TestInstance.Options()
        options.timestamps = 10
        var bundle = try instance.sign(options)
        #expect(try instance.refusal(bundle) == "")
        let one = bundle[timestamps + ["0"]]
        bundle[timestamps] = .array(Array(repeating: one, count: 11))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test func certificateBytes() throws {
        var options = TestInstance.Options()
        options.leaf.extensions = [
            TestExtension(oid: "1.2.3.4", isCritical: false, value: [UInt8](repeating: 1, count: 31 << 10))
        ]
        #expect(try instance.refusal(try instance.sign(options)) == "")
        options.leaf.extensions[0].value = [UInt8](repeating: 1, count: 32 << 10)
        #expect(try instance.refusal(try instance.sign(options)) == "bundle limit")
    }

    @Test func chainLength() throws {
        var options = TestInstance.Options()
        options.version = "0.2"
        var bundle = try instance.sign(options)
        let path = ["verificationMaterial", "x509CertificateChain", "certificates"]
        bundle[path] = .array(Array(repeating: bundle[path + ["0"]], count: 11))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test func proofHashes() throws {
        var bundle = try instance.sign()
        let path = entries + ["0", "inclusionProof", "hashes"]
        let one = bundle[path + ["0"]]
        bundle[path] = .array(Array(repeating: one, count: 64))
        #expect(try instance.refusal(bundle) == "transparency badProof")
        bundle[path] = .array(Array(repeating: one, count: 65))
        #expect(try instance.refusal(bundle) == "bundle limit")
    }

    @Test func checkpoints() throws {
        var options = TestInstance.Options()
        let line = TestInstance.signatureLine("witness", [1, 2, 3, 4], [UInt8](repeating: 1, count: 64))
        options.moreSignatures = { _ in String(repeating: line, count: 99) }
        #expect(try instance.refusal(try instance.sign(options)) == "")
        options.moreSignatures = { _ in String(repeating: line, count: 100) }
        #expect(try instance.refusal(try instance.sign(options)) == "transparency badCheckpoint")
        options.moreSignatures = { _ in String(repeating: line, count: 1_000) }
        #expect(try instance.refusal(try instance.sign(options)) == "bundle limit")
    }

    @Test func certificateTimestamps() throws {
        var options = TestInstance.Options()
        // Eleven empty ones.
        let list = [UInt8](repeating: 0, count: 22)
        options.isCertificateLogged = false
        options.leaf.extensions = [
            TestExtension(
                oid: "1.3.6.1.4.1.11129.2.4.2", isCritical: false, value: DERWriter.octetString([0, 22] + list))
        ]
        #expect(try instance.refusal(try instance.sign(options)) == "certificateTimestamp malformed")
    }

    @Test func trustedRoots() throws {
        var json = instance.rootJSON
        json[["tlogs"]] = .array(Array(repeating: json[["tlogs", "0"]], count: 257))
        #expect(throws: TrustedRootError.self) { try TrustedRoot(parsing: json.bytes) }
        let bytes = instance.rootJSON.bytes
        let most = bytes + [UInt8](repeating: 0x20, count: SigstoreLimits.trustedRootBytes - bytes.count)
        _ = try TrustedRoot(parsing: most)
        #expect(throws: TrustedRootError.self) { try TrustedRoot(parsing: most + [0x20]) }
    }

    @Test func statementSubjects() throws {
        var options = TestInstance.Options()
        options.logs = [.dsse1]
        var statement = instance.statement(about: options.artifact, "a")
        let one = statement[["subject", "0"]]
        statement[["subject"]] = .array(Array(repeating: one, count: SigstoreLimits.statementSubjects + 1))
        options.statement = statement
        #expect(try instance.refusal(try instance.sign(options)) == "signature malformedStatement")
    }
}
