import PKI
import TestSupport
import Testing

@Suite struct CertificateChainTests {
    private func problems(_ chain: [Certificate]) -> [ChainFault.Problem] {
        CertificateChain.faults(in: chain).map(\.problem)
    }

    @Test(arguments: [PublicKey.Kind.ec(.p256), .rsa(bits: 2048)])
    func aGoodChainHasNoFault(kind: PublicKey.Kind) throws {
        let root = try CertificateAuthority(name: "root", key: kind)
        let leaf = try root.intermediate("one", key: kind).intermediate("two", key: kind).issue(.codeSigning("leaf"))
        #expect(leaf.chain.count == 4)
        #expect(problems(leaf.chain) == [])
        #expect(problems([root.certificate]) == [])
    }

    @Test func everyWrongOrderIsAFault() throws {
        let leaf = try CertificateAuthority(name: "root").intermediate("int").issue(.codeSigning("leaf"))
        let chain = leaf.chain
        #expect(problems([]) == [.empty])
        #expect(problems([chain[0], chain[1]]) == [.notSelfSigned])
        #expect(!problems([chain[0], chain[2]]).isEmpty)
        #expect(!problems([chain[1], chain[0], chain[2]]).isEmpty)
        #expect(!problems(chain + [chain[2], chain[1]]).isEmpty)
        #expect(problems(Array(repeating: chain[2], count: 33)) == [.tooLong(33)])
    }

    @Test func anIssuerOfTheSameNameWithAnotherKeyIsNotTheIssuer() throws {
        let real = try CertificateAuthority(name: "root")
        let impostor = try CertificateAuthority(name: "root")
        let leaf = try real.issue(.codeSigning("leaf"))
        let subject = "CN=root,O=Countersign Tests,ST=WA,C=US"
        #expect(problems([leaf.certificate, impostor.certificate]) == [.badSignature(issuer: subject)])
        let text = CertificateChain.faults(in: [leaf.certificate, impostor.certificate]).first?.description ?? ""
        #expect(text.contains("certificate #1 \"CN=leaf,O=Countersign Tests,ST=WA,C=US\""), "\(text)")
    }

    @Test func issuersMustBeAuthorities() throws {
        let root = try CertificateAuthority(name: "root")
        let notCA = CertificateAuthority(try root.issue(.codeSigning("not a CA")))
        #expect(try problems(notCA.issue(.codeSigning("leaf")).chain) == [.notAuthority, .mayNotSignCertificates])
        var template = CertificateTemplate.authority("no constraints")
        template.extensions = [.keyUsage([.keyCertSign])]
        let bare = CertificateAuthority(try root.issue(template))
        #expect(try problems(bare.issue(.codeSigning("leaf")).chain) == [.notAuthority])
    }

    @Test func pathLengthsCount() throws {
        let root = try CertificateAuthority(.authority("root", pathLength: 1))
        let one = try root.intermediate("one")
        #expect(try problems(one.issue(.codeSigning("leaf")).chain) == [])
        let two = try one.intermediate("two")
        #expect(try problems(two.issue(.codeSigning("leaf")).chain) == [.pathLength(allowed: 1, found: 2)])
        let zero = try CertificateAuthority(name: "free").intermediate("zero", pathLength: 0)
        #expect(try problems(zero.issue(.codeSigning("leaf")).chain) == [])
        #expect(
            try problems(zero.intermediate("below").issue(.codeSigning("leaf")).chain)
                == [.pathLength(allowed: 0, found: 1)])
    }
}
