import Foundation
import Notation
import PKI
import Testing
import TestSupport

/// The certificate requirements of the signature specification, one rule at a time.
@Suite struct CertificateRuleTests {
    private func leaf(_ change: (inout CertificateTemplate) -> Void) throws -> [Certificate] {
        var template = CertificateTemplate.codeSigning("signer")
        change(&template)
        return try CertificateAuthority(name: "root").intermediate("issuing").issue(template).chain
    }

    private func authority(_ change: (inout CertificateTemplate) -> Void) throws -> [Certificate] {
        var template = CertificateTemplate.authority("issuing")
        change(&template)
        let issuing = CertificateAuthority(try CertificateAuthority(name: "root").issue(template))
        return try issuing.issue(.codeSigning("signer")).chain
    }

    private func problem(_ chain: [Certificate]) -> String? { CodeSigningChain.violation(in: chain)?.problem }

    private func replace(_ template: inout CertificateTemplate, _ oid: String, _ new: TestExtension?) {
        template.extensions.removeAll { $0.oid == oid }
        if let new { template.extensions.append(new) }
    }

    @Test func goodChains() throws {
        #expect(problem(try leaf { _ in }) == nil)
        #expect(problem(try CertificateAuthority(name: "root").issue(.codeSigning("s")).chain) == nil)
        let single = try CertificateAuthority(.codeSigning("alone")).identity.chain
        #expect(problem(single) == nil)
    }

    @Test func order() throws {
        let chain = try leaf { _ in }
        #expect(problem([chain[0], chain[2], chain[1]]) != nil)
        #expect(problem([chain[0], chain[1]])?.contains("not self-signed") == true)
        #expect(problem([chain[0]]) != nil)
        #expect(problem(chain + [chain[2]])?.contains("self-signed but not the last") == true)
        #expect(problem(chain + [try CertificateAuthority(name: "other").root]) != nil)
        #expect(problem([chain[0], chain[2]]) != nil)
        // The same names, another key.
        let other = try leaf { _ in }
        #expect(problem([chain[0], other[1], other[2]])?.contains("was not made by") == true)
    }

    @Test func leafKeyUsage() throws {
        let oid = "2.5.29.15"
        #expect(problem(try leaf { replace(&$0, oid, nil) })?.contains("no key usage") == true)
        #expect(
            problem(try leaf { replace(&$0, oid, .keyUsage([.digitalSignature], isCritical: false)) })?
                .contains("not marked critical") == true)
        #expect(problem(try leaf { replace(&$0, oid, .keyUsage([.contentCommitment])) }) != nil)
        #expect(problem(try leaf { replace(&$0, oid, .keyUsage([.digitalSignature, .contentCommitment])) }) == nil)
        for usage: KeyUsage.Usage in [
            .keyEncipherment, .dataEncipherment, .keyAgreement, .keyCertSign, .cRLSign, .encipherOnly, .decipherOnly,
        ] {
            let found = problem(try leaf { replace(&$0, oid, .keyUsage([.digitalSignature, usage])) })
            #expect(found?.contains("\(usage)") == true)
        }
    }

    @Test func leafPurposes() throws {
        let oid = "2.5.29.37"
        #expect(problem(try leaf { replace(&$0, oid, nil) }) == nil)
        #expect(problem(try leaf { replace(&$0, oid, .extendedKeyUsage(["1.2.3.4"])) }) == nil)
        for purpose in [
            ExtendedKeyUsage.any, ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth,
            ExtendedKeyUsage.emailProtection, ExtendedKeyUsage.timeStamping, ExtendedKeyUsage.ocspSigning,
        ] {
            #expect(
                problem(try leaf { replace(&$0, oid, .extendedKeyUsage([ExtendedKeyUsage.codeSigning, purpose])) })
                    != nil)
        }
    }

    @Test func basicConstraints() throws {
        let oid = "2.5.29.19"
        #expect(problem(try leaf { replace(&$0, oid, .basicConstraints(isCA: true)) })?.contains("authority") == true)
        #expect(problem(try leaf { replace(&$0, oid, nil) }) == nil)
        #expect(problem(try authority { replace(&$0, oid, nil) }) != nil)
        #expect(problem(try authority { replace(&$0, oid, .basicConstraints(isCA: false)) }) != nil)
        #expect(
            problem(try authority { replace(&$0, oid, .basicConstraints(isCA: true, isCritical: false)) })?
                .contains("not marked critical") == true)
        #expect(problem(try authority { replace(&$0, oid, .basicConstraints(isCA: true, pathLength: 0)) }) == nil)
    }

    @Test func pathLength() throws {
        let root = try CertificateAuthority(name: "root")
        let limited = try root.intermediate("limited", pathLength: 0)
        let chain = try limited.intermediate("below").issue(.codeSigning("s")).chain
        #expect(problem(chain)?.contains("path length") == true)
        let allowed = try root.intermediate("one", pathLength: 1).intermediate("below").issue(.codeSigning("s")).chain
        #expect(problem(allowed) == nil)
    }

    @Test func authorityKeyUsage() throws {
        let oid = "2.5.29.15"
        #expect(problem(try authority { replace(&$0, oid, nil) }) != nil)
        #expect(problem(try authority { replace(&$0, oid, .keyUsage([.cRLSign])) })?.contains("keyCertSign") == true)
        #expect(problem(try authority { replace(&$0, oid, .keyUsage([.keyCertSign], isCritical: false)) }) != nil)
    }

    @Test func keys() throws {
        let root = try CertificateAuthority(name: "root")
        #expect(problem(try root.issue(.codeSigning("s"), key: .rsa(bits: 1024)).chain)?.contains("RSA-1024") == true)
        #expect(problem(try root.issue(.codeSigning("s"), key: .other("Ed25519")).chain)?.contains("Ed25519") == true)
        #expect(problem(try root.issue(.codeSigning("s"), key: .rsa(bits: 2048)).chain) == nil)
        let weak = try root.intermediate("weak", key: .rsa(bits: 1024)).issue(.codeSigning("s")).chain
        #expect(problem(weak)?.contains("too weak") == true)
        let modern = try root.intermediate("modern", key: .other("Ed25519")).issue(.codeSigning("s")).chain
        #expect(problem(modern) == nil)
    }

    @Test func weakHashes() throws {
        #expect(problem(try leaf { $0.scheme = .ecdsa(.sha1) })?.contains("which is not accepted") == true)
    }

    @Test func extensionsThatAreNotHonored() throws {
        // "implementations of the Notary Project signature specification MUST fail open"
        #expect(
            problem(try leaf { $0.extensions.append(TestExtension(oid: "1.2.3.4", isCritical: true, value: [5, 0])) })
                == nil)
    }

    @Test func chainsAreParsedOnceAndMakeRoom() throws {
        let cache = CertificateChainCache(capacity: 2)
        let chains = try (0..<3).map { _ in try leaf { _ in }.map(\.der) }
        let first = try cache.chain(der: chains[0])
        #expect(try cache.chain(der: chains[0]) === first)
        _ = try cache.chain(der: chains[1])
        #expect(try cache.chain(der: chains[0]) === first)
        _ = try cache.chain(der: chains[2])
        #expect(cache.count == 2)
        #expect(try cache.chain(der: chains[0]) === first)
        #expect(throws: EnvelopeError.self) { try cache.chain(der: [[0x30, 0x00]]) }
        #expect(throws: EnvelopeError.self) { try cache.chain(der: []) }
    }

    /// Strangers choose how large their certificates are.
    @Test func largeChainsMakeRoomByTheirSize() throws {
        let cache = CertificateChainCache(capacity: 100, maximumBytes: 400_000)
        for number in 0..<12 {
            let padding = [UInt8](repeating: UInt8(number), count: 10_000)
            let chain = try leaf {
                $0.extensions.append(
                    TestExtension(oid: "1.2.3.4", isCritical: false, value: [0x04, 0x82, 0x27, 0x10] + padding))
            }
            _ = try cache.chain(der: chain.map(\.der))
        }
        #expect((1...5).contains(cache.count))
    }
}
