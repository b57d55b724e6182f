import OCI
import TestSupport
import Testing

/// What meters can tell apart.
@Suite struct MetricsServiceTests {
    @Test func verdictsByReasonStagesAndCaches() async throws {
        try await withRegistry { registry in
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("good", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            try await app.push("tampered", signedBy: signers.release, .jws, .tampered)
            try await app.push("expired", signedBy: signers.other, .cose, .expired)
            try await app.push("stranger", signedBy: signers.stranger)
            let configuration = try ConfigurationText.trustingRelease()
            try await withService(configuration) { service in
                for tag in ["good", "unsigned", "tampered", "expired", "stranger", "missing"] {
                    _ = try await service.verify(app.name(tag))
                }
                _ = try await service.verify("not a reference")
                registry.inject(.status(503))
                _ = try await service.verify(app.name("other"))
                registry.clearFaults()
                for (verdict, reason) in [
                    ("pass", "verified"), ("fail", "unsigned"), ("fail", "integrity"), ("fail", "expiry"),
                    ("fail", "authenticity"), ("fail", "not found"), ("refused", "reference"), ("fault", "resolve"),
                ] {
                    let line = "countersign_verdicts_total{verdict=\"\(verdict)\",reason=\"\(reason)\"} 1"
                    #expect(try await service.hasMetric(line), "\(line)")
                }
                let stage = "stage=\"resolve\",host=\"\(registry.endpoint)\""
                #expect(try await service.hasMetric("countersign_stage_duration_milliseconds_count{\(stage)} 7"))
                // Once for each question: the seven images that were looked for.
                #expect(try await service.hasMetric("countersign_decision_cache_misses_total 7"))
                let cache = "store=\"oras\",cache=\"content\""
                // Four signatures: a manifest and an envelope each.
                #expect(
                    try await service.hasMetric(
                        "countersign_registry_cache_events_total{\(cache),event=\"miss\"} 8"))
                // A new configuration begins with empty caches, and takes the place of the former one.
                var other = configuration
                other.verificationTimeout += 1
                try service.write(other)
                #expect(try await service.hasMetric("countersign_registry_cache_size{\(cache)} 0"))
            }
        }
    }
}
