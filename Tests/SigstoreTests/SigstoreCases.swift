import Foundation
import PKI
import Sigstore
import TestSupport

/// The cases of `Tests/Fixtures/sigstore`, unpacked once for all tests.
struct SigstoreCases: Sendable {
    static let shared = Result { try SigstoreCases() }

    let directory: URL

    private init() throws {
        directory = try UnpackedArchive.directory(of: "Tests/Fixtures/sigstore/cases.tar.xz", name: "sigstore")
    }

    func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: directory.appending(path: path))) }

    func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: directory.appending(path: path).path()) }

    /// The names of the conformance suite's cases.
    var names: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: directory.appending(path: "bundle-verify").path())
                .filter { $0 != "a.txt" }.sorted()
        }
    }

    /// The identity that the suite's bundles are signed with.
    static let identity = CertificateIdentity(
        name: .exactly(
            "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
                + "extremely-dangerous-oidc-beacon.yml@refs/heads/main"),
        issuer: .exactly("https://token.actions.githubusercontent.com"))

    /// One case of the suite, with everything that it overrides.
    struct Case {
        let bundle: [UInt8]
        let artifact: [UInt8]
        let root: TrustedRoot
        let policy: BundlePolicy

        func verify() -> BundleOutcome {
            BundleVerifier(root: root).verify(bundle: bundle, artifact: .content(artifact), policy: policy)
        }
    }

    /// Reads a case.
    ///
    /// - Throws: what is wrong with its trusted root or its key.
    func read(_ name: String) throws -> Case {
        let path = "bundle-verify/\(name)/"
        var policy = BundlePolicy(identities: [Self.identity])
        if has(path + "key.pub") {
            policy = BundlePolicy(keys: [try SigningKey(PublicKey(pem: bytes(path + "key.pub")))])
        }
        return Case(
            bundle: try bytes(path + "bundle.sigstore.json"),
            artifact: try bytes(has(path + "artifact") ? path + "artifact" : "bundle-verify/a.txt"),
            root: has(path + "trusted_root.json")
                ? try TrustedRoot(parsing: bytes(path + "trusted_root.json")) : try TrustedRoot.publicGood(),
            policy: policy)
    }
}
