import PKI

/// Verifies Sigstore bundles offline (Sigstore client specification, "Verification"): a pure function of the bundle,
/// the artifact, the policy and the trusted root. It uses neither the network nor the clock.
///
/// ```swift
/// let verifier = BundleVerifier(root: try TrustedRoot(parsing: trustedRootJSON))
/// let outcome = verifier.verify(bundle: bytes, artifact: .content(file), policy: policy)
/// if !outcome.isVerified { print(outcome.refusal?.description ?? "") }
/// ```
///
/// The steps are done in the order of ``VerificationStep``, and the first that fails ends the verification. Every proof
/// that a bundle carries must hold, whatever others prove: a timestamp by an unknown authority beside a good one fails.
public struct BundleVerifier: Sendable {
    /// What is trusted.
    public let root: TrustedRoot
    private let memory: CertificateMemory

    /// A verifier. It remembers of the certificates that it has seen what depends on nothing but them: one verifier for
    /// many bundles takes less time than one for each.
    public init(root: TrustedRoot) { self.init(root: root, memory: CertificateMemory()) }

    private init(root: TrustedRoot, memory: CertificateMemory) {
        self.root = root
        self.memory = memory
    }

    /// The same verifier for signatures in the transparency log at one address: entries of other logs of the trusted
    /// root do not count any more. It shares what it remembers of certificates. Nil when the trusted root has no log
    /// at this address.
    public func limited(toLogAt url: String) -> BundleVerifier? {
        let logs = root.transparencyLogs.filter { $0.isAt(url) }
        guard !logs.isEmpty else { return nil }
        let root = TrustedRoot(
            transparencyLogs: logs, certificateAuthorities: root.certificateAuthorities,
            certificateLogs: root.certificateLogs, timestampAuthorities: root.timestampAuthorities)
        return BundleVerifier(root: root, memory: memory)
    }

    /// Verifies a bundle.
    ///
    /// - Parameters:
    ///   - bytes: the bundle, in JSON.
    ///   - artifact: what must have been signed.
    ///   - policy: who must have signed it, and what must be proven.
    public func verify(bundle bytes: [UInt8], artifact: Artifact, policy: BundlePolicy) -> BundleOutcome {
        verify(artifact, policy) { () throws(BundleError) in try Bundle(parsing: bytes) }
    }

    /// Reads a bundle, or what takes its place, and does the steps for each signer that it may be by.
    func verify(
        _ artifact: Artifact, _ policy: BundlePolicy, reading read: () throws(BundleError) -> Bundle
    ) -> BundleOutcome {
        var outcome = BundleOutcome()
        let bundle: Bundle
        do { bundle = try read() } catch {
            outcome.fail(error)
            return outcome
        }
        outcome.pass(.bundle)
        outcome.bundle = bundle
        let signers: [(Signer, SigningKey)]
        do { signers = try self.signers(bundle, artifact, policy) } catch {
            outcome.fail(error)
            return outcome
        }
        var first: BundleOutcome?
        for (signer, key) in signers {
            var attempt = outcome
            verify(bundle, artifact, policy, signer, key, &attempt)
            if attempt.isVerified { return attempt }
            first = first ?? attempt
        }
        return first ?? outcome
    }

    private func verify(
        _ bundle: Bundle, _ artifact: Artifact, _ policy: BundlePolicy, _ signer: Signer, _ key: SigningKey,
        _ outcome: inout BundleOutcome
    ) {
        outcome.signer = signer
        outcome.pass(.signingKey)

        let times: [ProvenTime]
        do { times = try ProvenTimes(bundle: bundle, signer: signer, root: root, policy: policy).verify() } catch {
            return outcome.fail(error)
        }
        outcome.provenTimes = times
        outcome.pass(.provenTime)

        guard verifyCertificate(bundle, times, policy, &outcome) else { return }

        if policy.logThreshold > 0 {
            let check = TransparencyCheck(
                bundle: bundle, artifact: artifact, signer: signer, root: root, policy: policy, times: times)
            do { outcome.logEntries = try check.verify() } catch { return outcome.fail(error) }
            outcome.pass(.transparency)
        } else {
            outcome.skip(.transparency)
        }

        do {
            switch try ArtifactSignature.verify(bundle.content, by: key, over: artifact, policy: policy) {
            case .none: break
            case .statement(let statement): outcome.statement = statement
            case .payload(let payload): outcome.payload = payload
            }
        } catch { return outcome.fail(error) }
        outcome.pass(.signature)

        guard case .certificate(let leaf) = signer else { return outcome.skip(.identity) }
        do { outcome.identity = try IdentityCheck.verify(leaf, policy.identities) } catch { return outcome.fail(error) }
        outcome.pass(.identity)
    }

    /// Who may have signed, at least one. What the bundle names a key by is a hint, not more: a key counts because the
    /// policy has it, a certificate because of its chain.
    private func signers(
        _ bundle: Bundle, _ artifact: Artifact, _ policy: BundlePolicy
    ) throws(SigningKeyError) -> [(Signer, SigningKey)] {
        switch bundle.key {
        case .certificate(let leaf, _):
            guard !policy.identities.isEmpty else {
                throw SigningKeyError(
                    .noIdentity,
                    "\(bundle.name) is signed with a certificate, and the policy names no identity that may have signed"
                        + (policy.keys.isEmpty ? "" : ", only keys"))
            }
            return [(.certificate(leaf), try SigningKey(leaf.publicKey))]
        case .publicKey(let hint):
            let named = policy.keys.filter { isSame($0.hint, hint) }
            let candidates = named.isEmpty ? policy.keys : named
            guard let first = candidates.first else {
                throw SigningKeyError(
                    .noKey,
                    "\(bundle.name) is signed with a key, and the policy has none"
                        + (policy.identities.isEmpty ? "" : ", only identities of certificates"))
            }
            guard candidates.count > 1 else { return [(.key(first), first)] }
            // Of several keys those whose signature it is: the policy may have one key twice, with different periods of
            // validity. When it is nobody's, the steps say so for the first.
            let signing = candidates.filter { ArtifactSignature.isBy($0, bundle.content, over: artifact) }
            return (signing.isEmpty ? [first] : signing).map { (.key($0), $0) }
        }
    }

    /// Chain and certificate transparency.
    ///
    /// - Returns: whether the verification goes on.
    private func verifyCertificate(
        _ bundle: Bundle, _ times: [ProvenTime], _ policy: BundlePolicy, _ outcome: inout BundleOutcome
    ) -> Bool {
        guard case .certificate(let leaf, let intermediates) = bundle.key else {
            outcome.skip(.certificateChain)
            outcome.skip(.certificateTimestamp)
            return true
        }
        do {
            outcome.chain = try CertificateChainCheck.verify(
                leaf, intermediates: intermediates, root: root, times: times, memory: memory)
        } catch {
            outcome.fail(error)
            return false
        }
        outcome.pass(.certificateChain)
        guard policy.certificateLogThreshold > 0 else {
            outcome.skip(.certificateTimestamp)
            return true
        }
        do {
            outcome.certificateLogs = try CertificateTimestampCheck.verify(
                leaf, issuer: outcome.chain[1], root: root, threshold: policy.certificateLogThreshold,
                memory: memory)
        } catch {
            outcome.fail(error)
            return false
        }
        outcome.pass(.certificateTimestamp)
        return true
    }
}
