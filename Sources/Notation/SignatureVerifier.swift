import FoundationEssentials
import OCI
import PKI
import Quotation

/// Verifies signature envelopes against a trust policy statement (trust store and trust policy specification,
/// "Signature Verification", "Steps").
///
/// ```swift
/// let verifier = SignatureVerifier(trustStore: DirectoryTrustStore(directory: "truststore"))
/// let outcome = await verifier.verify(
///     envelope: bytes, mediaType: "application/jose+json", subject: image, statement: statement, now: Date(),
///     deadline: .now + .seconds(3))
/// if !outcome.isVerified { print(outcome.refusal?.description ?? "") }
/// ```
public struct SignatureVerifier: Sendable {
    /// Where trusted certificates are.
    public let trustStore: any TrustStore
    /// How revocation is checked.
    public let revocation: any RevocationChecking
    /// How timestamps are verified.
    public let timestamps: any TimestampVerifying
    /// Parsed chains; shared by everything that is given the same cache.
    public let chains: CertificateChainCache
    /// How large an envelope may be.
    public let maximumEnvelopeBytes: Int

    /// The tolerated clock skew, in seconds: a stated time that is further in the future is not believed.
    public static let clockSkew: TimeInterval = 300

    /// A verifier.
    public init(
        trustStore: any TrustStore, revocation: any RevocationChecking = OfflineRevocation(),
        timestamps: any TimestampVerifying = TimestampVerifier(),
        chains: CertificateChainCache = CertificateChainCache(),
        maximumEnvelopeBytes: Int = SignatureEnvelope.defaultMaximumBytes
    ) {
        self.trustStore = trustStore
        self.revocation = revocation
        self.timestamps = timestamps
        self.chains = chains
        self.maximumEnvelopeBytes = maximumEnvelopeBytes
    }

    /// Verifies one envelope.
    ///
    /// - Parameters:
    ///   - envelope: its bytes.
    ///   - mediaType: its media type.
    ///   - subject: the artifact that must have been signed.
    ///   - statement: the policy. With the level `skip` nothing is done, and the outcome is not a verified one: whether
    ///     the artifact passes without a signature is for the caller to say, see ``ImageOutcome``.
    ///   - userMetadata: metadata that must have been signed.
    ///   - now: the time of verification.
    ///   - deadline: when revocation and timestamp checks must have come to an end.
    public func verify(
        envelope bytes: [UInt8], mediaType: String, subject: Descriptor, statement: TrustPolicyStatement,
        userMetadata: [String: String] = [:], now: Date, deadline: ContinuousClock.Instant
    ) async -> SignatureOutcome {
        var outcome = SignatureOutcome(level: statement.level)
        guard !statement.level.isSkip else { return outcome }

        // Integrity first: nothing of the envelope is believed before its signature is verified.
        let chain: CodeSigningChain
        let envelope: SignatureEnvelope
        do throws(ValidationFailure) {
            (envelope, chain) = try integrity(bytes, mediaType)
        } catch {
            _ = outcome.record(.integrity, error)
            return outcome
        }
        _ = outcome.record(.integrity, nil)
        outcome.content = SignatureOutcome.Content(envelope: envelope, chain: chain.certificates, payload: nil)

        if let demand = unsupportedDemand(envelope.attributes) {
            outcome.failure = demand
            return outcome
        }
        guard outcome.record(.authenticity, await authenticity(chain, envelope, statement)),
            outcome.record(.expiry, expiry(envelope, now))
        else { return outcome }
        var validUntil: Date?
        let timestampFailure = await authenticTimestamp(
            chain, envelope, statement, now: now, deadline: deadline, validUntil: &validUntil)
        guard outcome.record(.authenticTimestamp, timestampFailure) else { return outcome }
        if statement.level[.revocation] != .skip {
            let failure: ValidationFailure?
            do throws(ValidationFailure) {
                let end = try await revocation.check(
                    chain.certificates, isTrusted: outcome[.authenticity]?.status == .passed,
                    authenticSigningTime: envelope.attributes.authenticSigningTime, now: now, deadline: deadline)
                validUntil = .earliest(validUntil, end)
                failure = nil
            } catch { failure = error }
            guard outcome.record(.revocation, failure) else { return outcome }
        }
        outcome.validUntil = validUntil
        comparePayload(&outcome, envelope, subject, userMetadata)
        return outcome
    }

    /// Validate Integrity: the envelope can be read, its chain keeps the certificate requirements, its algorithm is the
    /// one of the signing key, and its signature is right.
    func integrity(
        _ bytes: [UInt8], _ mediaType: String
    ) throws(ValidationFailure) -> (SignatureEnvelope, CodeSigningChain) {
        let envelope: SignatureEnvelope
        let chain: CodeSigningChain
        do throws(EnvelopeError) {
            envelope = try SignatureEnvelope(parsing: bytes, mediaType: mediaType, maximumBytes: maximumEnvelopeBytes)
            chain = try chains.chain(der: envelope.certificates)
        } catch { throw ValidationFailure("the signature cannot be read: \(error)") }
        if let violation = chain.violation {
            throw ValidationFailure("the certificate chain breaks the rules for code signing: \(violation)")
        }
        guard let key = chain.key else {
            throw ValidationFailure("the signing certificate's key is malformed: \"\(chain.leaf.subject)\"")
        }
        // "verifier of the signature MUST match alg with signature algorithm of the signing key to mitigate algorithm
        // substitution attacks" (JWS and COSE envelope specifications)
        guard key.algorithm == envelope.algorithm else {
            throw ValidationFailure(
                "the signature names the algorithm \(envelope.algorithm), but its key \(chain.leaf.publicKey.kind) signs "
                    + "with \(key.algorithm)")
        }
        guard key.isValid(envelope.signature, over: envelope.signedParts) else {
            throw ValidationFailure(
                "the signature is wrong: what was signed, or the signature, has been altered since "
                    + "\"\(chain.leaf.subject)\" signed")
        }
        return (envelope, chain)
    }

    /// The failure of a signature that demands a plugin, or has critical attributes that are not known here (signature
    /// specification, "Extended attributes"). It fails the signature at every level.
    private func unsupportedDemand(_ attributes: SignedAttributes) -> ValidationFailure? {
        if let plugin = attributes.requiredPlugin {
            return ValidationFailure(
                "the signature demands the verification plugin \"\(plugin.quoted)\", and plugins are not supported; "
                    + "have the artifact signed without a plugin",
                advice: "Sign the image again without a plugin")
        }
        guard !attributes.unknownCritical.isEmpty else { return nil }
        return ValidationFailure(
            "the signature has critical attributes that are not known here: "
                + attributes.unknownCritical.map { "\"\($0.quoted)\"" }.sorted().joined(separator: ", "),
            advice: "Sign the image again without these attributes")
    }

    /// Validate Expiry: expired when the time is not before the expiry.
    private func expiry(_ envelope: SignatureEnvelope, _ now: Date) -> ValidationFailure? {
        guard let expiry = envelope.attributes.expiry, now >= expiry else { return nil }
        return ValidationFailure("the signature expired at \(RFC3339.text(expiry)); the artifact must be signed again")
    }

    /// "Make sure the artifact's digest, media type and size match the ones present in the signature envelope", and the
    /// metadata that is asked for; both fail at every level.
    private func comparePayload(
        _ outcome: inout SignatureOutcome, _ envelope: SignatureEnvelope, _ subject: Descriptor,
        _ userMetadata: [String: String]
    ) {
        let payload: SignaturePayload
        do { payload = try SignaturePayload(envelope) } catch {
            outcome.failure = ValidationFailure("the signature's payload cannot be read: \(error)")
            return
        }
        outcome.content?.payload = payload
        if !payload.isAbout(subject) {
            let target = payload.targetArtifact
            outcome.failure = ValidationFailure(
                "the signature is about another artifact: \(target.digest) (\(target.mediaType.quotedMediaType), \(target.size) "
                    + "bytes), not \(subject.digest) (\(subject.mediaType.quotedMediaType), \(subject.size) bytes)",
                contradictsDescriptor: target.digest == subject.digest)
        } else if let name = payload.firstMissing(of: userMetadata) {
            outcome.failure = ValidationFailure(
                "the signature does not have the metadata \"\(name.quoted)\" with the value \"\((userMetadata[name] ?? "").quoted)\"; "
                    + (payload.targetArtifact.annotations.isEmpty
                        ? "no metadata was signed"
                        : "what was signed is "
                            + payload.targetArtifact.annotations.sorted { $0.key < $1.key }.prefix(4)
                            .map { "\"\($0.key.quoted)=\($0.value.quoted)\"" }.joined(separator: ", ")),
                advice:
                    "Ask for the metadata that was signed; or, if the image must have this one, sign it again with this metadata"
            )
        }
    }
}
