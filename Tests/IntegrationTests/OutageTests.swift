import OCI
import StrictJSON
import TestSupport
import Testing

/// `cache.staleIfError`: images that were verified a short time ago, while the registry is down.
@Suite struct OutageTests {
    private func withOutage(
        window: String?, signedBy signer: TestSigner? = nil,
        _ body: (RunningService, FaultyRegistry, _ pinned: String, _ tag: String, ConfigurationText) async throws ->
            Void
    ) async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let image = try await app.push("v1", signedBy: try signer ?? Signers.shared.get().release)
            var configuration = try ConfigurationText.trustingRelease()
            configuration.staleIfError = window
            // A registry that throttles is asked again for as long as this.
            configuration.verificationTimeout = 4000
            try await withService(configuration, remembers: .zero) { service in
                try await body(
                    service, registry, "\(app.reference.scopeName)@\(image.digest)", app.name("v1"), configuration)
            }
        }
    }

    private let faults: [RegistryFault.Kind] = [.status(503), .tooManyRequests(retryAfter: "1")]

    @Test func aVerifiedDigestIsAdmittedAndTheAnswerSaysWhy() async throws {
        try await withOutage(window: "5m") { service, registry, pinned, tag, _ in
            expectAdmitted(try await service.verify(tag))
            for fault in faults {
                registry.inject(fault)
                let answer = try await service.verify(pinned)
                expectAdmitted(answer)
                let report = try #require(answer.reports().first)
                #expect(report["extensions"]?["stale"]?["cause"]?.string?.contains(registry.endpoint) == true)
                #expect(
                    report["message"]?.string?.contains("which counts while this lasts: listing signatures") == true)
                // The tag may have moved: nobody can tell.
                expectFault(try await service.verify(tag), nil, "resolving the image", registry.endpoint)
                registry.clearFaults()
            }
            #expect(try await service.hasMetric("countersign_stale_admissions_total 2"))
            // The registry that throttled is asked again at its pace.
            let after = try await service.verify(pinned) { $0.reports().first?["extensions"]?["stale"] == nil }
            expectAdmitted(after)
            #expect(after.reports().first?["extensions"]?["stale"] == nil)
        }
    }

    @Test func aRegistryThatHangsIsNotWaitedForLonger() async throws {
        try await withOutage(window: "5m") { service, registry, pinned, _, configuration in
            expectAdmitted(try await service.verify(pinned))
            var hurried = configuration
            hurried.verificationTimeout = 1000
            try service.write(hurried)
            // Another configuration: what was verified under the former one does not count.
            registry.inject(.status(503))
            _ = try await service.verify(pinned) { !$0.admits() }
            registry.clearFaults()
            // What was asked while the registry was down may still be under way, and is not waited for twice.
            expectAdmitted(try await service.verify(pinned) { $0.admits() })
            registry.inject(.delay(.seconds(40)))
            let start = ContinuousClock.now
            expectAdmitted(try await service.verify(pinned))
            #expect(start.duration(to: .now) < .seconds(30))
        }
    }

    @Test func offUnlessConfigured() async throws {
        try await withOutage(window: nil) { service, registry, pinned, _, _ in
            expectAdmitted(try await service.verify(pinned))
            registry.inject(.status(503))
            expectFault(try await service.verify(pinned), nil, "503")
        }
    }

    @Test func neverADenial() async throws {
        try await withOutage(window: "5m", signedBy: try Signers.shared.get().stranger) {
            service, registry, pinned, _, _ in
            expectDenied(try await service.verify(pinned))
            registry.inject(.status(503))
            expectFault(try await service.verify(pinned), nil, "503")
        }
    }

    /// The last word of a whole verification counts, whichever name the image was asked for by.
    @Test(arguments: [false, true]) func neverAfterADenial(byTag: Bool) async throws {
        try await withOutage(window: "5m") { service, registry, pinned, tag, _ in
            expectAdmitted(try await service.verify(pinned))
            let digest = try #require(try ImageReference(parsing: pinned).digest)
            registry.removeReferrers(of: digest, in: "app")
            expectDenied(try await service.verify(byTag ? tag : pinned), nil, "no signature")
            registry.inject(.status(503))
            expectFault(try await service.verify(pinned), nil, "503")
        }
    }

    /// Trust that is withdrawn counts at once, outage or not.
    @Test func neverAcrossAChangeOfTrust() async throws {
        try await withOutage(window: "5m") { service, registry, pinned, _, configuration in
            expectAdmitted(try await service.verify(pinned))
            var other = configuration
            other.trustPolicies = [ConfigurationText.statement(identities: ["x509.subject: C=US, ST=WA, O=Nobody"])]
            registry.inject(.status(503))
            expectAdmitted(try await service.verify(pinned))
            try service.write(other)
            let answer = try await service.verify(pinned) { !$0.admits() }
            expectFault(answer, nil, "503")
        }
    }
}
