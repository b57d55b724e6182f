import FoundationEssentials
import PKI

/// What is to be written into the Secret next. A function of what is there, without network or clock.
struct RotationPlan {
    /// The DNS names to serve.
    let names: [String]
    /// Distinguishes the authority's name.
    let authorityName: String
    let policy: RotationPolicy
    let now: Date
    /// What this process serves with.
    let served: ServingPair?
    /// Authorities that this process has seen in the Secret.
    let remembered: [Certificate]
    /// Whether every Provider trusts an authority.
    let isTrusted: (Certificate) -> Bool

    /// A change of the Secret.
    struct Step {
        let secret: ServingSecret
        let reason: String
    }

    /// The next step from what the Secret holds; `nil` when all is as it should be.
    func next(_ secret: ServingSecret) throws(PKIError) -> Step? {
        var secret = secret
        let expired = secret.authorities.filter { $0.notAfter < now }
        secret.authorities.removeAll { $0.notAfter < now }
        guard let signer = secret.signer, let key = secret.authorityKey, signer.isValid(at: now) else {
            return try withNewAuthority(secret, "a new authority was made: there was none that can sign")
        }
        // Whoever still serves with something older must stay trusted.
        if let served, isUsable(served), issuer(of: served, in: secret.authorities) == nil,
            let former = issuer(of: served, in: remembered)
        {
            secret.authorities.append(former)
            return Step(secret: secret, reason: "the authority of the certificate in use was put back")
        }
        guard let pair = secret.pair, isUsable(pair), let issuer = issuer(of: pair, in: secret.authorities) else {
            if let served, isUsable(served), self.issuer(of: served, in: secret.authorities) != nil {
                secret.pair = served
                return Step(secret: secret, reason: "the serving certificate in use was put back")
            }
            secret.pair = try newPair(signer, key)
            return Step(secret: secret, reason: "a serving certificate was made: there was none that can be used")
        }
        if policy.isDue((signer.notBefore, signer.notAfter), at: now) {
            return try withNewAuthority(secret, "a new authority was made ahead of the end of the former one")
        }
        let hasSettled =
            isOlder(signer, than: policy.settling) && isTrusted(signer)
        if issuer != signer {
            guard hasSettled else { return nil }
            secret.pair = try newPair(signer, key)
            return Step(secret: secret, reason: "a serving certificate of the new authority was made")
        }
        if policy.isDue((pair.leaf.notBefore, pair.leaf.notAfter), at: now), hasSettled {
            secret.pair = try newPair(signer, key)
            return Step(secret: secret, reason: "a new serving certificate was made ahead of the end of the former one")
        }
        if secret.authorities.count > 1, served == pair,
            isOlder(pair.leaf, than: policy.overlap)
        {
            secret.authorities = [signer]
            return Step(secret: secret, reason: "the former authority was dropped: nothing that it signed is in use")
        }
        return expired.isEmpty ? nil : Step(secret: secret, reason: "expired authorities were dropped")
    }

    /// Whether so much time has passed since a certificate was made. Certificates know whole seconds only.
    private func isOlder(_ certificate: Certificate, than time: TimeInterval) -> Bool {
        now.timeIntervalSince(certificate.notBefore) >= policy.backdating + time + 1
    }

    /// Whether a certificate can be served with now: in time, and for all names.
    func isUsable(_ pair: ServingPair) -> Bool {
        pair.leaf.isValid(at: now) && Set(names).isSubset(of: pair.leaf.dnsNames)
    }

    private func issuer(of pair: ServingPair, in authorities: [Certificate]) -> Certificate? {
        ServingSecret(authorities: authorities, authorityKey: nil, pair: nil).issuer(of: pair.leaf, at: now)
    }

    /// A new authority in front, the former ones behind it, and the certificate in use as long as one of them vouches
    /// for it.
    private func withNewAuthority(_ former: ServingSecret, _ reason: String) throws(PKIError) -> Step {
        let key = try PrivateKey.generate(.ec(.p256))
        // A name of its own: verifiers look for issuers by name.
        let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
        let authority = try CertificateBuilder(validity: validity(policy.authorityLife)).authority(
            commonName: "\(authorityName.prefix(48)) \(suffix)", organization: "countersign", key: key)
        var authorities = [authority]
        for certificate in former.authorities + remembered
        where certificate.isValid(at: now) && !authorities.contains(certificate) && authorities.count < 4 {
            authorities.append(certificate)
        }
        let kept = [former.pair, served].compactMap(\.self).first {
            isUsable($0) && issuer(of: $0, in: authorities) != nil
        }
        let pair: ServingPair
        if let kept { pair = kept } else { pair = try newPair(authority, key) }
        return Step(
            secret: ServingSecret(authorities: authorities, authorityKey: key, pair: pair), reason: reason)
    }

    private func newPair(_ issuer: Certificate, _ issuerKey: PrivateKey) throws(PKIError) -> ServingPair {
        let key = try PrivateKey.generate(.ec(.p256))
        var validity = validity(policy.servingLife)
        // Not longer than who vouches for it.
        validity = max(validity.lowerBound, issuer.notBefore)...min(validity.upperBound, issuer.notAfter)
        let leaf = try CertificateBuilder(validity: validity).server(
            names: names, key: key.publicKey, issuer: issuer, issuerKey: issuerKey)
        guard let pair = ServingPair(chain: [leaf], key: key) else {
            throw PKIError(.failed, "a new certificate does not fit its key")
        }
        return pair
    }

    private func validity(_ life: TimeInterval) -> ClosedRange<Date> {
        now.addingTimeInterval(-policy.backdating)...now.addingTimeInterval(life)
    }
}
