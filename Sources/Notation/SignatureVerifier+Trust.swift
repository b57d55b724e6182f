import FoundationEssentials
import PKI

extension SignatureVerifier {
    /// Validate Authenticity: some certificate of the chain is in a trust store of the signing scheme's type, byte for
    /// byte, and the signing certificate's subject is a trusted identity.
    func authenticity(
        _ chain: CodeSigningChain, _ envelope: SignatureEnvelope, _ statement: TrustPolicyStatement
    ) async -> ValidationFailure? {
        let type = envelope.attributes.signingScheme.trustStoreType
        let trusted: TrustStoreContent
        do throws(ValidationFailure) { trusted = try await content(type, statement) } catch { return error }
        guard !trusted.certificates.isEmpty || !trusted.missing.isEmpty else {
            return ValidationFailure(
                "the trust policy statement \"\(statement.name)\" has no trust store of type \(type.rawValue), which "
                    + "signatures of the scheme \(envelope.attributes.signingScheme.rawValue) need",
                advice:
                    "Name a trust store of type \(type.rawValue) in the trust policy, with this signer's authority in it, or use an image that is signed under another scheme"
            )
        }
        guard chain.certificates.contains(where: trusted.certificates.contains) else {
            // What is missing may be what vouches for it: no verdict.
            if let gap = trusted.gap { return gap }
            let root = chain.certificates[chain.certificates.count - 1]
            return ValidationFailure(
                "no certificate of the signature's chain is trusted: its root is \"\(root.subject)\" (SHA-256 "
                    + "\(root.sha256Hex)), signed by \"\(chain.leaf.subject)\"")
        }
        return statement.trustedIdentities.refusal(of: chain)
    }

    /// The certificates of all trust stores of one type that a statement names. One store that cannot be used fails
    /// them all; an incomplete one does not.
    private func content(
        _ type: TrustStoreType, _ statement: TrustPolicyStatement
    ) async throws(ValidationFailure) -> TrustStoreContent {
        var content = TrustStoreContent(certificates: [])
        for store in statement.trustStores where store.type == type {
            do throws(TrustStoreError) {
                let part = try await trustStore.content(type: type, named: store.name)
                content.certificates += part.certificates
                content.missing += part.missing
            } catch {
                throw ValidationFailure(
                    error.description, isTransient: error.isTransient, isConfiguration: error.isConfiguration,
                    advice:
                        "Mend the trust store \(store), or take it out of the trust policy: a store that cannot be used is no reason to sign again"
                )
            }
        }
        return content
    }

    /// Validate Authentic Timestamp: the signature was made while every certificate of the chain was valid.
    ///
    /// - Parameter validUntil: brought forward to the end of the revocation answers that the verdict rests on.
    func authenticTimestamp(
        _ chain: CodeSigningChain, _ envelope: SignatureEnvelope, _ statement: TrustPolicyStatement, now: Date,
        deadline: ContinuousClock.Instant, validUntil: inout Date?
    ) async -> ValidationFailure? {
        if let time = envelope.attributes.authenticSigningTime {
            guard time <= now.addingTimeInterval(Self.clockSkew) else {
                return ValidationFailure(
                    "the signing authority states a time to come, \(RFC3339.text(time)): its clock is wrong, or this one's"
                )
            }
            guard let certificate = chain.certificates.first(where: { !$0.isValid(at: time) }) else { return nil }
            return ValidationFailure(
                "the certificate \"\(certificate.subject)\" was not valid when the signature was made, at "
                    + "\(RFC3339.text(time)): \(Self.validity(certificate))")
        }
        guard needsTimestamp(chain, statement, now) else {
            // "each and every certificate in the certificate chain … must be valid i.e. not expired at the time of
            // verification" (signature specification, "Other requirements")
            guard let certificate = chain.certificates.first(where: { !$0.isValid(at: now) }) else { return nil }
            return ValidationFailure(
                "the certificate \"\(certificate.subject)\" is not valid now, and no timestamp proves an earlier "
                    + "signature: \(Self.validity(certificate))")
        }
        guard let token = envelope.timestampSignature, !token.isEmpty else {
            return ValidationFailure(
                "the trust policy asks for an RFC 3161 timestamp, and the signature has none; sign with a timestamp "
                    + "authority")
        }
        do throws(ValidationFailure) {
            let timestamp = try verifiedTimestamp(token, envelope, try await content(.tsa, statement))
            if let failure = timestamp.failure(within: chain.certificates, now: now) { return failure }
            // "Revocation check … It is always enforced when timestamp countersignature verification is triggered."
            do throws(ValidationFailure) {
                validUntil = .earliest(
                    validUntil,
                    try await revocation.check(
                        timestamp.chain, isTrusted: true, authenticSigningTime: nil, now: now, deadline: deadline))
            } catch {
                throw ValidationFailure("the timestamp's authority: \(error)", isTransient: error.isTransient)
            }
            return nil
        } catch { return error }
    }

    /// "Sufficient and necessary conditions to trigger timestamp countersignature verification".
    private func needsTimestamp(_ chain: CodeSigningChain, _ statement: TrustPolicyStatement, _ now: Date) -> Bool {
        guard statement.trustStores.contains(where: { $0.type == .tsa }) else { return false }
        switch statement.verifyTimestamp {
        case .always: return true
        case .afterCertExpiry: return chain.certificates.contains { now > $0.notAfter }
        }
    }

    /// Verifies a timestamp against the roots that are there. While some roots are missing, a failure is no verdict: a
    /// missing root may vouch for the timestamp.
    private func verifiedTimestamp(
        _ token: [UInt8], _ envelope: SignatureEnvelope, _ roots: TrustStoreContent
    ) throws(ValidationFailure) -> VerifiedTimestamp {
        if roots.certificates.isEmpty, let gap = roots.gap { throw gap }
        do throws(ValidationFailure) {
            return try timestamps.verify(token: token, over: envelope.signature, roots: roots.certificates)
        } catch { throw roots.gap ?? error }
    }

    static func validity(_ certificate: Certificate) -> String {
        "it is valid from \(RFC3339.text(certificate.notBefore)) to \(RFC3339.text(certificate.notAfter))"
    }
}
