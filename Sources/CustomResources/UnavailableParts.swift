import OCI
import Verification

/// Stands for a store that is not valid: an image that no other store has may be in this one, so nothing is known of
/// it.
struct UnavailableStore: ReferrerStore {
    let name: String
    let reason: String
    /// Nobody knows; nothing is said of it.
    let listsCosignSignatures = true

    private func fault<Value>(_ reference: ImageReference) throws(RegistryError) -> Value {
        throw RegistryError(.unavailable, host: reference.endpoint, subject: reference.description, detail: reason)
    }

    func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor { try fault(reference) }

    func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] { try fault(reference) }

    func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] { try fault(reference) }

    func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] { try fault(reference) }
}

/// Stands for a verifier that is not valid: nobody knows what it would have said of the artifacts that it is for.
struct UnavailableVerifier: ArtifactVerifier {
    let name: String
    let type: String
    let artifactTypes: [String]
    let reason: String

    func waiver(for reference: ImageReference) -> VerifierReport? { nil }

    var degradedReason: TransientFault? { TransientFault(stage: .configuration, host: nil, cause: reason) }

    func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        .fault(TransientFault(stage: .configuration, host: nil, cause: reason))
    }
}
