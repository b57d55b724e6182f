import Concurrency
import FoundationEssentials
import OCI
import Quotation

/// Verifies the signatures of an image in a registry or image layout.
///
/// ```swift
/// let verifier = ImageVerifier(
///     store: registry, policy: try TrustPolicyDocument(json: policyBytes),
///     verifier: SignatureVerifier(trustStore: DirectoryTrustStore(directory: "truststore")))
/// let outcome = await verifier.verify(
///     try ImageReference(parsing: "registry.example.com/app:v1"), now: Date(), deadline: .now + .seconds(3))
/// ```
public struct ImageVerifier: Sendable {
    /// How much is done for one image.
    public struct Limits: Sendable {
        /// How many signatures are tried.
        public var maximumSignatures: Int
        /// How many signatures are fetched at the same time.
        public var parallelFetches: Int

        /// Limits; 100 signatures by default, as in the reference implementation.
        public init(maximumSignatures: Int = 100, parallelFetches: Int = 8) {
            self.maximumSignatures = maximumSignatures
            self.parallelFetches = max(1, parallelFetches)
        }
    }

    /// Where the image and its signatures are.
    public let store: any ReferrerStore
    /// The trust policy.
    public let policy: TrustPolicyDocument
    /// What verifies each envelope.
    public let verifier: SignatureVerifier
    /// How much is done.
    public let limits: Limits

    /// A verifier of images.
    public init(
        store: any ReferrerStore, policy: TrustPolicyDocument, verifier: SignatureVerifier, limits: Limits = Limits()
    ) {
        self.store = store
        self.policy = policy
        self.verifier = verifier
        self.limits = limits
    }

    /// Verifies an image: lists its signatures once, and tries them in that order until one is good.
    ///
    /// A signature that cannot be fetched, or whose manifest is broken, counts as one that is not good; the others are
    /// tried nevertheless. (The reference verifier ends at it. "Signature verification workflow succeeds if
    /// verification succeeds for at least one signature", says the trust policy specification's FAQ.)
    ///
    /// - Parameters:
    ///   - subject: the image's manifest, when it has been resolved already.
    ///   - userMetadata: metadata that must have been signed.
    ///   - maximumSignatures: how many signatures are tried, if not as many as ``limits`` say.
    ///   - now: the time of verification.
    ///   - deadline: when the verification must have come to an end.
    public func verify(
        _ reference: ImageReference, subject: Descriptor? = nil, userMetadata: [String: String] = [:],
        maximumSignatures: Int? = nil, now: Date, deadline: ContinuousClock.Instant
    ) async -> ImageOutcome {
        let reference = reference.over(store.transport ?? reference.transport)
        func end(
            _ failure: ValidationFailure?, _ subject: Descriptor?, _ statement: TrustPolicyStatement? = nil
        ) -> ImageOutcome {
            ImageOutcome(
                reference: reference, subject: subject, statement: statement, signatures: [], signatureCount: 0,
                failure: failure)
        }
        let statement: TrustPolicyStatement
        do { statement = try policy.statement(for: reference) } catch {
            return end(ValidationFailure(error.description), subject)
        }
        // "If signatureVerification level is set to skip in the trust policy, return success": nobody is asked.
        guard !statement.level.isSkip else { return end(nil, subject, statement) }
        let resolved: Descriptor
        let listed: [Descriptor]
        do throws(RegistryError) {
            if let subject {
                resolved = subject
            } else {
                resolved = try await store.resolve(reference, deadline: deadline)
            }
        } catch { return end(Self.failure(error), subject, statement) }
        do throws(RegistryError) {
            listed = try await store.referrers(
                of: resolved, in: reference, artifactType: MediaType.notationSignature, deadline: deadline)
        } catch { return end(Self.failure(error), resolved, statement) }
        guard !listed.isEmpty else {
            return end(
                ValidationFailure(
                    "\(reference.with(digest: resolved.digest)) has no signature; sign it, or check that its signatures "
                        + "were copied with it"), resolved, statement)
        }
        let limit = max(0, maximumSignatures ?? limits.maximumSignatures)
        let outcomes = await verify(
            Array(listed.prefix(limit)), of: resolved, in: reference, statement, userMetadata, now, deadline)
        var failure: ValidationFailure?
        if listed.count > limit, !outcomes.contains(where: \.isVerified) {
            failure = ValidationFailure(
                "none of the first \(limit) of \(listed.count) signatures is good, and no more are tried: remove "
                    + "signatures that are out of date, or raise the limit"
                    + (outcomes.first?.refusal).map { "; the first one: \($0)" }.orEmpty,
                isConfiguration: outcomes.contains { $0.refusal?.isConfiguration == true })
        }
        return ImageOutcome(
            reference: reference, subject: resolved, statement: statement, signatures: outcomes,
            signatureCount: listed.count, failure: failure)
    }

    /// Verifies one signature of an image.
    ///
    /// - Parameter manifest: the descriptor of the signature's manifest, as listed.
    public func verify(
        signature manifest: Descriptor, of subject: Descriptor, in reference: ImageReference,
        statement: TrustPolicyStatement, userMetadata: [String: String] = [:], now: Date,
        deadline: ContinuousClock.Instant
    ) async -> SignatureOutcome {
        let fetched = await fetch(manifest, of: subject, in: reference, deadline)
        return await verify(fetched, manifest, subject, statement, userMetadata, now, deadline)
    }

    /// A fetched envelope with its descriptor and its part of the budget for memory, or why there is none.
    private typealias Fetched = Result<(Descriptor, [UInt8], ResponseBodyBudget.Share), ValidationFailure>

    /// Fetches side by side, verifies one after the other in the order of the listing, ends with the first good one.
    private func verify(
        _ manifests: [Descriptor], of subject: Descriptor, in reference: ImageReference,
        _ statement: TrustPolicyStatement, _ userMetadata: [String: String], _ now: Date,
        _ deadline: ContinuousClock.Instant
    ) async -> [SignatureOutcome] {
        if manifests.count == 1 {
            let fetched = await fetch(manifests[0], of: subject, in: reference, deadline)
            return [await verify(fetched, manifests[0], subject, statement, userMetadata, now, deadline)]
        }
        return await withTaskGroup(of: (Int, Fetched).self) { group in
            var outcomes: [SignatureOutcome] = []
            var waiting: [Int: Fetched] = [:]
            var started = 0
            for (index, manifest) in manifests.enumerated() {
                while started < min(manifests.count, index + limits.parallelFetches) {
                    let number = started
                    group.addTask { (number, await fetch(manifests[number], of: subject, in: reference, deadline)) }
                    started += 1
                }
                while waiting[index] == nil, let (number, fetched) = await group.next() { waiting[number] = fetched }
                guard let fetched = waiting.removeValue(forKey: index) else { break }
                let outcome = await verify(fetched, manifest, subject, statement, userMetadata, now, deadline)
                outcomes.append(outcome)
                if outcome.isVerified { break }
            }
            group.cancelAll()
            return outcomes
        }
    }

    private func verify(
        _ fetched: Fetched, _ manifest: Descriptor, _ subject: Descriptor, _ statement: TrustPolicyStatement,
        _ userMetadata: [String: String], _ now: Date, _ deadline: ContinuousClock.Instant
    ) async -> SignatureOutcome {
        var outcome: SignatureOutcome
        switch fetched {
        case .success((let descriptor, let bytes, let share)):
            outcome = await verifier.verify(
                envelope: bytes, mediaType: descriptor.mediaType, subject: subject, statement: statement,
                userMetadata: userMetadata, now: now, deadline: deadline)
            withExtendedLifetime(share) {}
            outcome.envelope = descriptor
        case .failure(let failure):
            outcome = SignatureOutcome(level: statement.level)
            outcome.failure = failure
        }
        outcome.manifest = manifest
        return outcome
    }

    /// The envelope of a signature and its descriptor.
    private func fetch(
        _ manifest: Descriptor, of subject: Descriptor, in reference: ImageReference,
        _ deadline: ContinuousClock.Instant
    ) async -> Fetched {
        guard SignatureManifest.isPossible(manifest.mediaType) else {
            return .failure(
                ValidationFailure(
                    "the signature manifest \(manifest.digest) is of the media type "
                        + "\"\(manifest.mediaType.quotedMediaType)\", which signatures do not have"))
        }
        guard manifest.size <= SignatureManifest.maximumBytes else {
            return .failure(
                ValidationFailure(
                    "the signature manifest \(manifest.digest) has \(manifest.size) bytes; at most "
                        + "\(SignatureManifest.maximumBytes) are accepted"))
        }
        do throws(RegistryError) {
            let content = try await store.manifest(manifest, in: reference, deadline: deadline)
            let signature: SignatureManifest
            do throws(ValidationFailure) {
                signature = try SignatureManifest(
                    parsing: content, descriptor: manifest, subject: subject,
                    maximumEnvelopeBytes: verifier.maximumEnvelopeBytes)
            } catch { return .failure(error) }
            let envelope = try await store.blob(
                signature.envelope, in: reference, maximumBytes: verifier.maximumEnvelopeBytes, deadline: deadline)
            // It waits for those that are listed before it, which may never come.
            guard let share = ResponseBodyBudget.process.hold(reference.endpoint, envelope.count) else {
                return .failure(
                    ValidationFailure(
                        "the envelope \(signature.envelope.digest) has \(envelope.count) bytes, and there is no room for it "
                            + "beside those that wait to be judged; ask again in a moment", isTransient: true))
            }
            return .success((signature.envelope, envelope, share))
        } catch { return .failure(Self.failure(error)) }
    }

    private static func failure(_ error: RegistryError) -> ValidationFailure {
        ValidationFailure(
            error.description, isTransient: error.isTransient, isConfiguration: error.isConfiguration)
    }
}

extension String? {
    /// The text, or an empty one.
    fileprivate var orEmpty: String { self ?? "" }
}
