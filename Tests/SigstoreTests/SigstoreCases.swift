import Foundation
import PKI
import Sigstore

/// The cases of `Tests/Fixtures/sigstore`, unpacked once for all tests.
struct SigstoreCases: Sendable {
    static let shared = Result { try SigstoreCases() }

    let directory: URL

    private init() throws {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let archive = package.appending(path: "Tests/Fixtures/sigstore/cases.tar.xz")
        let digest = ArtifactDigest(of: Array(try Data(contentsOf: archive)))
        let builds = package.appending(path: ".build")
        directory = builds.appending(path: "sigstore-\(digest.hex.prefix(16))")
        guard !FileManager.default.fileExists(atPath: directory.path()) else { return }
        // Unpacked beside its place and moved there, so that no other run sees half of it.
        let fresh = builds.appending(path: "sigstore-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: fresh, withIntermediateDirectories: true)
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/env")
        tar.arguments = ["tar", "-xJf", archive.path(), "-C", fresh.path()]
        try tar.run()
        tar.waitUntilExit()
        guard tar.terminationStatus == 0 else { throw CocoaError(.fileReadCorruptFile) }
        do { try FileManager.default.moveItem(at: fresh, to: directory) } catch {
            try? FileManager.default.removeItem(at: fresh)
        }
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

    /// The trusted root of the public good instance.
    var publicGood: TrustedRoot {
        get throws { try TrustedRoot(parsing: bytes("trusted-roots/sigstore.dev.trusted_root.json")) }
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
                ? try TrustedRoot(parsing: bytes(path + "trusted_root.json")) : try publicGood,
            policy: policy)
    }
}
