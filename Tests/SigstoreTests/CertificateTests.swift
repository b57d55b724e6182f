import Encoding
import Expressions
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import TestSupport
import Testing

/// Signing certificates: the promises of their logs, what they are for, and the names in them.
@Suite struct CertificateTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    /// Names that only look alike are not the same: a letter with its accent apart, or in one.
    @Test func namesAreComparedByCodePoints() {
        let name = TextMatch.exactly("caf\u{e9}")
        #expect(name.accepts("caf\u{e9}"))
        #expect(!name.accepts("cafe\u{301}"))
    }

    /// Expressions that let anybody in are told.
    @Test func expressionThatMatchesAnybody() throws {
        for pattern in [".*", ".+", "^.*$", "(.*)", "[^x]*|.*", "(?s).*"] {
            let identity = CertificateIdentity(
                name: .matching(try WholeExpression(pattern)), issuer: .matching(try WholeExpression(pattern)))
            #expect(identity.warnings.count == 2, "\(pattern)")
        }
        let identity = CertificateIdentity(
            name: .matching(try WholeExpression("https://example\\.org/.*")), issuer: .exactly("https://issuer.example")
        )
        #expect(identity.warnings.isEmpty)
    }

    /// A log's promise with another time, under the signature of a good one that was seen before.
    @Test func promiseWithAnotherTime() throws {
        var options = TestInstance.Options()
        options.leaf.hasAlteredPromise = true
        let bundle = try instance.sign(options)
        let verifier = BundleVerifier(root: try instance.root())
        for _ in 0..<2 {
            let outcome = verifier.verify(
                bundle: bundle.bytes, artifact: .content(options.artifact), policy: TestInstance.policy)
            #expect((outcome.refusal as? CertificateTimestampError)?.kind == .badSignature)
        }
    }

    /// Unknown extensions of a promise are part of what the log signed.
    @Test func extensionsOfAPromise() throws {
        var options = TestInstance.Options()
        options.leaf.promiseExtensions = [1, 2, 3]
        #expect(try instance.refusal(try instance.sign(options)) == "")
    }

    /// A promise of a time when the log was not trusted, and one of another log.
    @Test func promiseOfAnUntrustedLog() throws {
        var options = TestInstance.Options()
        options.leaf.timestampOffset = -2 * 86_400
        #expect(try instance.refusal(try instance.sign(options)) == "certificateTimestamp outsideValidity")
        options.leaf.timestampOffset = 0
        options.leaf.certificateLog = try PrivateKey.generate(.ec(.p256))
        #expect(try instance.refusal(try instance.sign(options)) == "certificateTimestamp unknownLog")
    }

    /// Certificates that are not for signing code, or not the trusted root's.
    @Test func certificatesOfAnotherKind() throws {
        var options = TestInstance.Options()
        options.leaf.purposes = [ExtendedKeyUsage.serverAuth]
        #expect(try instance.refusal(try instance.sign(options)) == "certificateChain purpose")
        options = TestInstance.Options()
        options.leaf.isAuthority = true
        #expect(try instance.refusal(try instance.sign(options)) == "certificateChain purpose")
        options = TestInstance.Options()
        options.leaf.extensions = [TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])]
        #expect(try instance.refusal(try instance.sign(options)) == "certificateChain rule")
        options = TestInstance.Options()
        options.leaf.authority = try TestInstance().fulcio
        #expect(try instance.refusal(try instance.sign(options)) == "certificateChain unknownAuthority")
        options = TestInstance.Options()
        options.leaf.validity = 0...15
        #expect(try instance.refusal(try instance.sign(options)) == "certificateChain outsideValidity")
        options.leaf.validity = 0...20
        #expect(try instance.refusal(try instance.sign(options)) == "")
    }

    /// Names of the kinds that Fulcio gives, and of none of them.
    @Test func namesOfEachKind() throws {
        func refusal(_ names: [[UInt8]], _ wanted: String) throws -> String {
            var options = TestInstance.Options()
            options.leaf.names = names
            let identity = CertificateIdentity(
                name: .exactly(wanted), issuer: .exactly(TestInstance.Leaf().issuer))
            return try instance.refusal(
                try instance.sign(options), policy: BundlePolicy(identities: [identity]))
        }
        let email = DERWriter.element(DER.context(1), Array("me@example.com".utf8))
        #expect(try refusal([email], "me@example.com") == "")
        #expect(try refusal([email], "you@example.com") == "identity mismatch")
        func other(_ oid: String) -> [UInt8] {
            DERWriter.explicit(
                0,
                DERWriter.objectIdentifier(oid)
                    + DERWriter.explicit(0, DERWriter.element(DER.utf8String, Array("user!example.com".utf8))))
        }
        #expect(try refusal([other("1.3.6.1.4.1.57264.1.7")], "user!example.com") == "")
        #expect(try refusal([other("1.3.6.1.4.1.57264.1.99")], "user!example.com") == "identity missing")
        #expect(
            try refusal([DERWriter.element(DER.context(2), Array("a.example".utf8))], "a.example") == "identity missing"
        )
        #expect(try refusal([TestInstance.uri("a\nb")], "a\nb") == "identity malformed")
    }
}
