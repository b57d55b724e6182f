import KeyManagement
import Notation
import PKI
import TestSupport
import Testing

@testable import NotationVerifier

/// Certificates are judged when their set is made: by the rule of trust stores, whose answer each request would get.
@Suite struct CertificateSetTests {
    /// Of every kind that may be offered.
    private static let offered = Result {
        let root = try CertificateAuthority(name: "root")
        return [
            root.certificate, try root.intermediate("issuing").certificate,
            try root.issue(.codeSigning("leaf")).certificate,
            try CertificateAuthority(.codeSigning("self-signed leaf")).certificate,
        ]
    }

    private func set(_ certificates: [Certificate], after last: CertificateSet? = nil) throws -> CertificateSet {
        try #require(CertificateSet(certificates.map { TrustedCertificate(certificate: $0) }, after: last))
    }

    @Test(arguments: TrustStoreType.allCases)
    func theSetIsRefusedForWhatTheRuleRefusesFirst(type: TrustStoreType) throws {
        let all = try Self.offered.get()
        for first in all {
            for second in all {
                let expected = [first, second].lazy.compactMap { TrustedCertificateRule.refusal(of: $0, in: type) }
                    .first
                let found = try set([first, second]).refusal(in: type)
                #expect(found?.problem == expected, "\(first.subject), \(second.subject)")
            }
        }
    }

    @Test func aSetOfTheSameCertificatesKeepsItsJudgement() throws {
        let all = try Self.offered.get()
        let former = try set(all)
        let next = try set(all, after: former)
        #expect(next.generation == former.generation)
        for type in TrustStoreType.allCases {
            #expect(next.refusal(in: type)?.certificate == former.refusal(in: type)?.certificate)
            #expect(next.refusal(in: type) != nil)
        }
        let others = try set([all[0]], after: former)
        #expect(others.refusal(in: .tsa) == nil && others.refusal(in: .ca) == nil)
    }
}
