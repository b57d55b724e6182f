import Foundation
import KeyManagement
import OCI
import PKI
import TestSupport
import Testing

@testable import ConfigurationModel
@testable import ServiceMetrics
@testable import Verification

/// What is remembered, when what is trusted changes.
@Suite final class TrustChangeTests {
    /// Admits when a key is among those of the provider `keys`.
    private struct KeyVerifier: ArtifactVerifier {
        let trusted: TrustedCertificates
        let signer: PublicKey
        let name = "keyed"
        let type = "keyed"
        let artifactTypes = [ScriptedStore.signatureType]

        func waiver(for reference: ImageReference) -> VerifierReport? { nil }

        func verify(
            artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
            deadline: ContinuousClock.Instant
        ) async -> ArtifactOutcome {
            let keys = (try? trusted.keys(named: "keys")) ?? []
            return keys.contains { $0.key == signer } ? ScriptedVerifier.good() : ScriptedVerifier.bad()
        }
    }

    private struct Source: ConfigurationSource {
        let current: ConfigurationSnapshot
        let trusted: TrustedCertificates
        func trustGeneration(for namespace: String?) -> UInt64 { trusted.generation }
        var readiness: Readiness { get async { .ready } }
        func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
            .success(current)
        }
    }

    private let directory: TemporaryDirectory
    init() throws { directory = try TemporaryDirectory() }
    deinit { directory.remove() }

    /// An admission lasts as long as the key that it rests on, not as long as it is cached.
    @Test func noDecisionOutlivesAKeyThatWasRotatedOrTakenAway() async throws {
        let keys = try (0..<2).map { _ in try PrivateKey.generate(.ec(.p256)).publicKey }
        func write(_ key: PublicKey) { directory.write(PEM(label: "PUBLIC KEY", der: key.spkiDER).text, to: "key") }
        write(keys[0])
        let files = try FileKeys(name: "keys", paths: [directory.path("key")])
        files.load()
        let trusted = TrustedCertificates([files])
        let artifact = ScriptedStore.signature("s")
        let store = ScriptedStore(listing: .success([artifact]))
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [store], verifiers: [KeyVerifier(trusted: trusted, signer: keys[0])],
            policy: ConfigPolicy(defaultRule: .any), settings: ServiceSettings())
        let service = PipelineService(
            source: Source(current: snapshot, trusted: trusted), cache: DecisionCache(timeToLive: .seconds(3600)),
            metrics: MetricsRegistry())
        let image = try ImageKey(parsing: "r.example/a:v1")
        func isAdmitted() async -> Bool {
            guard case .decided(let decision) = await service.verify(image, deadline: .now + .seconds(10)) else {
                return false
            }
            return decision.isSuccess
        }
        #expect(await isAdmitted())
        #expect(await isAdmitted())
        #expect(store.log.count { $0 == "resolve" } == 1)
        write(keys[1])
        files.load()
        #expect(await !isAdmitted())
        // Nor does a denial outlive the key's return.
        write(keys[0])
        files.load()
        #expect(await isAdmitted())
        trusted.remove(named: "keys")
        #expect(await !isAdmitted())
    }
}
