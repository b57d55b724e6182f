import FoundationEssentials
import OCI
import StrictJSON

/// One configuration, frozen: what answers a request from its beginning to its end, even when a new configuration
/// arrives meanwhile.
package struct ConfigurationSnapshot: Sendable {
    /// Grows with each configuration that comes into force.
    package let generation: UInt64
    /// The same in every replica with the same configuration and version of the program; `nil` when its decisions
    /// cannot be shared.
    package let fingerprint: String?
    /// Where images and their signatures are looked up: the first store that has the image serves it.
    package let stores: [any ReferrerStore]
    /// Who judges artifacts: the first verifier that can judge an artifact does.
    package let verifiers: [any ArtifactVerifier]
    /// What their reports mean.
    package let policy: any PolicyEnforcer
    /// Deadlines and trace headers.
    package let settings: ServiceSettings
    /// How many artifacts of one image are judged at most.
    package let maximumArtifacts: Int

    /// A snapshot with the given parts.
    package init(
        generation: UInt64, stores: [any ReferrerStore], verifiers: [any ArtifactVerifier],
        policy: any PolicyEnforcer, settings: ServiceSettings, maximumArtifacts: Int = 100,
        fingerprint: String? = nil
    ) {
        self.generation = generation
        self.fingerprint = fingerprint
        self.stores = stores
        self.verifiers = verifiers
        self.policy = policy
        self.settings = settings
        self.maximumArtifacts = maximumArtifacts
    }
}

/// What the pipeline made of an image.
package enum PipelineResult: Sendable {
    /// A definite verdict; `validUntil` is the earliest moment that can change it, when one is known.
    case decided(Decision, validUntil: Date?)
    /// Not known now.
    case fault(PassingFault)

    /// Whether it is a denial because the registry and a signature describe the image in two ways.
    var contradictsDescriptor: Bool {
        guard case .decided(let decision, _) = self, !decision.isSuccess else { return false }
        return decision.reports.contains(where: \.contradictsDescriptor)
    }
}

/// The way of one image through one configuration: resolve it, list its artifacts once, judge each, ask the policy.
package struct Pipeline: Sendable {
    private let snapshot: ConfigurationSnapshot
    private let metrics: MetricsRegistry
    private let onStage: @Sendable (PassingFault.Stage) -> Void

    /// How many artifacts of one image are judged side by side.
    private static let parallelism = 8

    /// A pipeline over one configuration.
    ///
    /// - Parameter onStage: told which step begins, for whoever does not wait for the end.
    package init(
        snapshot: ConfigurationSnapshot, metrics: MetricsRegistry,
        onStage: @escaping @Sendable (PassingFault.Stage) -> Void = { _ in }
    ) {
        self.snapshot = snapshot
        self.metrics = metrics
        self.onStage = onStage
    }

    /// The image's descriptor, and the store that has it.
    ///
    /// A store that says "not found" passes the question on; any other trouble ends the search: the next store might
    /// know another image by the same name.
    package func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> (descriptor: Descriptor, store: any ReferrerStore) {
        var missing: RegistryError?
        for store in snapshot.stores {
            do {
                return (try await store.resolve(reference, deadline: deadline), store)
            } catch {
                guard error.kind == .notFound else { throw error }
                missing = missing ?? error
            }
        }
        throw missing
            ?? RegistryError(
                .notFound, host: reference.endpoint, subject: reference.description,
                detail: "no store is configured to look it up")
    }

    /// The verdict on an image.
    package func run(_ reference: ImageReference, deadline: ContinuousClock.Instant) async -> PipelineResult {
        let waivers = snapshot.verifiers.compactMap { $0.waiver(for: reference) }
        if !waivers.isEmpty, waivers.count == snapshot.verifiers.count {
            // Trust policy specification, level "skip": no look at the image at all.
            return .decided(
                Decision(
                    isSuccess: true, reference: reference.description, digest: reference.digest, reports: waivers),
                validUntil: nil)
        }
        let (first, subject) = await look(at: reference, waivers: waivers, deadline: deadline)
        guard let (descriptor, store) = subject, first.contradictsDescriptor else { return first }
        // Before an image is denied because its registry describes it otherwise than its signature: that may have been said
        // long ago, or by mistake, so it must be said twice.
        store.forget(descriptor, of: reference)
        let (second, again) = await look(
            at: reference, waivers: waivers, deadline: deadline, since: (descriptor, first))
        if let (descriptor, store) = again, second.contradictsDescriptor { store.forget(descriptor, of: reference) }
        return second
    }

    /// What is known of an image once it has been resolved.
    private typealias Subject = (descriptor: Descriptor, store: any ReferrerStore)

    /// Resolves an image, lists its artifacts and judges them.
    ///
    /// - Parameter since: an earlier look, whose result stands if the image is described as it was then.
    private func look(
        at reference: ImageReference, waivers: [VerifierReport], deadline: ContinuousClock.Instant,
        since earlier: (descriptor: Descriptor, result: PipelineResult)? = nil
    ) async -> (PipelineResult, Subject?) {
        let descriptor: Descriptor
        let store: any ReferrerStore
        var start = ContinuousClock.now
        onStage(.resolve)
        do {
            defer { took(.resolve, &start, reference) }
            (descriptor, store) = try await resolve(reference, deadline: deadline)
        } catch {
            return (failed(reference, digest: reference.digest, stage: .resolve, error), nil)
        }
        let subject = (descriptor, store)
        if let earlier, earlier.descriptor == descriptor { return (earlier.result, subject) }
        let artifacts: [Descriptor]
        onStage(.referrers)
        do {
            defer { took(.referrers, &start, reference) }
            artifacts = try await self.artifacts(of: descriptor, reference: reference, store: store, deadline: deadline)
        } catch {
            return (failed(reference, digest: descriptor.digest, stage: .referrers, error), subject)
        }
        onStage(.fetch)
        defer { took(.judge, &start, reference) }
        let result = await judge(
            artifacts, waivers: waivers, subject: descriptor, reference: reference, store: store, deadline: deadline)
        return (result, subject)
    }

    /// Observes how long a stage took, and begins the next one.
    private func took(_ stage: WorkStage, _ start: inout ContinuousClock.Instant, _ reference: ImageReference) {
        let now = ContinuousClock.now
        metrics.observe(stage, at: reference.endpoint, start.duration(to: now))
        start = now
    }

    /// The artifacts that some verifier judges, listed once.
    private func artifacts(
        of subject: Descriptor, reference: ImageReference, store: any ReferrerStore, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        let wanted = Set(snapshot.verifiers.flatMap(\.artifactTypes))
        // One type can be asked for by name, which spares pages of SBOMs and scan reports.
        let filter = wanted.count == 1 && !wanted.contains("*") ? wanted.first : nil
        let all = try await store.referrers(of: subject, in: reference, artifactType: filter, deadline: deadline)
        return all.filter { artifact in
            snapshot.verifiers.contains { $0.canVerify(artifactType: artifact.artifactType ?? "") }
        }
    }

    private func judge(
        _ artifacts: [Descriptor], waivers: [VerifierReport], subject: Descriptor, reference: ImageReference,
        store: any ReferrerStore, deadline: ContinuousClock.Instant
    ) async -> PipelineResult {
        var reports = waivers
        var evidence = waivers.map { PolicyEvidence(artifactType: $0.artifactType ?? "", isSuccess: true) }
        guard !artifacts.isEmpty || !waivers.isEmpty else {
            return .decided(unsigned(reference, subject: subject), validUntil: nil)
        }
        var faults: [PassingFault] = []
        var validUntil: Date?
        let examined = Array(artifacts.prefix(snapshot.maximumArtifacts))
        for outcome in await outcomes(
            of: examined, subject: subject, reference: reference, store: store, deadline: deadline)
        {
            switch outcome.result {
            case .judged(var report, let until):
                report.extensions["subjectDigest"] = .string(subject.digest.description)
                reports.append(report)
                evidence.append(PolicyEvidence(artifactType: outcome.type, isSuccess: report.isSuccess))
                if let until { validUntil = min(validUntil ?? until, until) }
            case .fault(let fault):
                faults.append(fault)
                evidence.append(PolicyEvidence(artifactType: outcome.type, isSuccess: nil))
                var report = VerifierReport(
                    subject: reference.description, isSuccess: false, referenceDigest: outcome.digest.description,
                    artifactType: outcome.type, message: "Could not be judged this time",
                    errorReason: fault.description, remediation: "Ask again in a moment")
                report.isUndetermined = true
                reports.append(report)
            }
        }
        for skipped in artifacts.dropFirst(examined.count) {
            evidence.append(PolicyEvidence(artifactType: skipped.artifactType ?? "", isSuccess: false))
        }
        if artifacts.count > examined.count { reports.append(tooMany(artifacts.count, reference)) }

        switch snapshot.policy.verdict(on: evidence) {
        case .undecided:
            return .fault(
                faults.first
                    ?? PassingFault(stage: .verify, host: nil, cause: "an outcome is missing; ask again in a moment"))
        case let verdict:
            return .decided(
                Decision(
                    isSuccess: verdict == .success, reference: reference.description, digest: subject.digest,
                    reports: reports),
                validUntil: validUntil)
        }
    }

    private struct Outcome: Sendable {
        let index: Int
        let type: String
        let digest: Digest
        let result: ArtifactOutcome
    }

    /// The outcome of each artifact, in their order, a few at a time.
    private func outcomes(
        of artifacts: [Descriptor], subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> [Outcome] {
        @Sendable func judged(_ index: Int) async -> Outcome {
            let artifact = artifacts[index]
            return Outcome(
                index: index, type: artifact.artifactType ?? "", digest: artifact.digest,
                result: await outcome(
                    of: artifact, subject: subject, reference: reference, store: store, deadline: deadline))
        }
        // Nearly always there is one: this task can judge it as well as another.
        if artifacts.count == 1 { return [await judged(0)] }
        return await withTaskGroup(of: Outcome.self) { group in
            var next = 0
            func startNext() {
                guard next < artifacts.count else { return }
                let index = next
                next += 1
                group.addTask { await judged(index) }
            }
            for _ in 0..<Pipeline.parallelism { startNext() }
            var outcomes: [Outcome] = []
            for await outcome in group {
                outcomes.append(outcome)
                startNext()
            }
            return outcomes.sorted { $0.index < $1.index }
        }
    }

    private func outcome(
        of artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        guard
            let verifier = snapshot.verifiers.first(where: { $0.canVerify(artifactType: artifact.artifactType ?? "") })
        else {
            // Cannot happen after `artifacts(of:)`; and if it did, it must not admit.
            return .fault(PassingFault(stage: .verify, host: nil, cause: "no verifier for \(artifact.digest)"))
        }
        let start = ContinuousClock.now
        let outcome = await verifier.verify(
            artifact: artifact, subject: subject, reference: reference, store: store, deadline: deadline)
        var isSuccess = false
        var isFault = true
        if case .judged(let report, _) = outcome { (isSuccess, isFault) = (report.isSuccess, false) }
        metrics.observe(
            "ratify_verifier_duration",
            [("verifier", verifier.name), ("success", "\(isSuccess)"), ("error", "\(isFault)")],
            start.duration(to: .now).milliseconds, help: "Time to judge one artifact, in milliseconds.")
        return outcome
    }
}

// MARK: - Reports of the pipeline itself

extension Pipeline {
    /// What a fault of the store means: a verdict when it is definite, a passing fault when it is not.
    private func failed(
        _ reference: ImageReference, digest: Digest?, stage: PassingFault.Stage, _ error: RegistryError
    ) -> PipelineResult {
        if error.isPassing {
            return .fault(PassingFault(stage: stage, host: error.host, cause: error.description))
        }
        let remediation =
            error.kind == .notFound
            ? "Check the image's name, and that it was pushed to the registry that the name says"
            : "Check the registry's credentials in the store configuration, and what the registry serves"
        var report = VerifierReport(
            subject: reference.description, isSuccess: false,
            message: "failed to verify artifact: \(reference)", errorReason: error.description,
            remediation: remediation)
        report.failureClass = error.kind == .notFound ? "not found" : "registry"
        return .decided(
            Decision(isSuccess: false, reference: reference.description, digest: digest, reports: [report]),
            validUntil: nil)
    }

    private func unsigned(_ reference: ImageReference, subject: Descriptor) -> Decision {
        var report = VerifierReport(
            subject: reference.description, isSuccess: false,
            message: "failed to verify artifact: \(reference)",
            errorReason: "\(VerifierReport.unsigned) \"\(reference.with(digest: subject.digest))\"",
            remediation:
                "Sign the image with notation or countersign sign, and push the signature to the same repository",
            extensions: ["subjectDigest": .string(subject.digest.description)])
        report.failureClass = "unsigned"
        return Decision(
            isSuccess: false, reference: reference.description, digest: subject.digest, reports: [report])
    }

    private func tooMany(_ count: Int, _ reference: ImageReference) -> VerifierReport {
        VerifierReport(
            subject: reference.description, isSuccess: false,
            message: "failed to verify artifact: \(reference)",
            errorReason:
                "the image has \(count) artifacts to judge; only the first \(snapshot.maximumArtifacts) were looked at",
            remediation: "Delete signatures that are no longer of use from the repository")
    }
}

extension Duration {
    /// This duration in milliseconds, with fractions.
    package var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15
    }
}
