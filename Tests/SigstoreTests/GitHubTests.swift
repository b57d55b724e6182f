import Expressions
import Foundation
import Sigstore
import Testing

/// GitHub's attestations, and npm's, as their own tools are tested with them.
@Suite struct GitHubTests {
    let cases: SigstoreCases
    let issuer = TextMatch.exactly("https://token.actions.githubusercontent.com")

    init() throws { cases = try SigstoreCases.shared.get() }

    private func verify(
        _ bundle: String, _ artifact: String, _ identity: CertificateIdentity
    ) throws -> BundleOutcome {
        BundleVerifier(root: try TrustedRoot.publicGood()).verify(
            bundle: try cases.bytes("github/" + bundle), artifact: .content(try cases.bytes("github/" + artifact)),
            policy: BundlePolicy(identities: [identity]))
    }

    @Test func reusableWorkflow() throws {
        let identity = CertificateIdentity(
            name: .matching(
                try WholeExpression("^https://github\\.com/github/artifact-attestations-workflows/\\.github/.*@.*")),
            issuer: issuer)
        let outcome = try verify(
            "reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", identity)
        #expect(outcome.isVerified, "\(String(describing: outcome.refusal))")
        #expect(outcome.statement?.predicateType == "https://slsa.dev/provenance/v1")
        #expect(outcome.logEntries.map(\.kind) == ["dsse 0.0.1"])
        // Another artifact than the one that was attested.
        let other = try verify("reusable-workflow-attestation.sigstore.json", "sigstore-js-2.1.0.tgz", identity)
        #expect((other.refusal as? ArtifactSignatureError)?.kind == .otherArtifact)
    }

    @Test func npmProvenance() throws {
        let identity = CertificateIdentity(
            name: .exactly(
                "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"),
            issuer: issuer,
            extensions: [
                .sourceRepositoryURI: .exactly("https://github.com/sigstore/sigstore-js"),
                .runnerEnvironment: .exactly("github-hosted"), .buildTrigger: .exactly("push"),
            ])
        let outcome = try verify("sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0.tgz", identity)
        #expect(outcome.isVerified, "\(String(describing: outcome.refusal))")
        #expect(outcome.logEntries.map(\.kind) == ["intoto 0.0.2"])
        #expect(outcome.identity?.issuer == "https://token.actions.githubusercontent.com")
        // What the certificate says must be what is asked for, and what is asked for must be there.
        for (name, wanted) in [
            (FulcioExtension.sourceRepositoryURI, "https://github.com/sigstore/sigstore"),
            (.buildTrigger, "pull_request"), (.deploymentEnvironment, "production"),
        ] {
            var stricter = identity
            stricter.extensions[name] = .exactly(wanted)
            let refused = try verify("sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0.tgz", stricter)
            #expect((refused.refusal as? IdentityError)?.kind == .mismatch, "\(name)")
        }
    }

    @Test func spoiltSignature() throws {
        let identity = CertificateIdentity(
            name: .exactly("brian@dehamer.com"), issuer: .exactly("https://github.com/login/oauth"))
        let outcome = try verify("sigstoreBundle-invalid-signature.json", "reusable-workflow-artifact", identity)
        #expect(!outcome.isVerified)
        #expect((outcome.refusal as? TransparencyError)?.kind == .otherSignature)
    }

    @Test func trustedRoot() throws {
        let root = try TrustedRoot(parsing: cases.bytes("github/trusted_root.json"))
        #expect(root.certificateAuthorities.count == 2)
        #expect(root.certificateLogs.count == 2)
        #expect(root.transparencyLogs.allSatisfy { $0.key != nil })
    }
}
