import Concurrency
import FoundationEssentials
import OCI
import ServiceMetrics
import StrictJSON

/// What the pipeline made of an image.
package enum PipelineResult: Sendable {
    /// A definite verdict; `validUntil` is the earliest moment that can change it, when one is known.
    case decided(Decision, validUntil: Date?)
    /// No verdict: something failed that says nothing about the image.
    case fault(TransientFault)

    /// Whether it is a denial because the registry and a signature disagree about the image's media type or size.
    var contradictsDescriptor: Bool {
        guard case .decided(let decision, _) = self, !decision.isSuccess else { return false }
        return decision.contradictsDescriptor
    }
}

/// Verifies one image by one configuration: resolves it, lists its artifacts once, has each judged, and asks the
/// policy.
package struct Pipeline: Sendable {
    let snapshot: ConfigurationSnapshot
    private let metrics: MetricsRegistry
    private let onStage: @Sendable (TransientFault.Stage) -> Void

    /// How many artifacts of one image are judged side by side.
    private static let parallelism = 4

    /// A pipeline over one configuration.
    ///
    /// - Parameter onStage: called when a step begins, so that a caller whose time is up can say which one was slow.
    package init(
        snapshot: ConfigurationSnapshot, metrics: MetricsRegistry,
        onStage: @escaping @Sendable (TransientFault.Stage) -> Void = { _ in }
    ) {
        self.snapshot = snapshot
        self.metrics = metrics
        self.onStage = onStage
    }

    /// The image's descriptor, and the store that has it.
    ///
    /// Only "not found" leads to the next store. Any other error ends the search: the next store might have another
    /// image by the same name.
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
        let reference = reference.over(snapshot.transport)
        let selection = VerifierSelection(snapshot.verifiers, reference)
        if !selection.verifiers.isEmpty, selection.active.isEmpty {
            // Trust policy specification, level "skip": no look at the image at all.
            return verdict(selection, [:], [], reference, digest: reference.digest, validUntil: nil)
        }
        let (first, subject) = await look(at: reference, selection: selection, deadline: deadline)
        guard let (descriptor, store) = subject, first.contradictsDescriptor else { return first }
        // The registry and a signature disagree about the image's media type or size. The registry's answer may be old
        // or a mistake, so the registry is asked once more before the image is denied, and its second answer counts.
        store.forget(descriptor, of: reference)
        let (second, again) = await look(
            at: reference, selection: selection, deadline: deadline, since: (descriptor, first))
        if let (descriptor, store) = again, second.contradictsDescriptor { store.forget(descriptor, of: reference) }
        return second
    }

    /// A resolved image, and the store that has it.
    private typealias Subject = (descriptor: Descriptor, store: any ReferrerStore)

    /// Resolves an image, lists its artifacts and judges them.
    ///
    /// - Parameter since: an earlier look, whose result stands if the registry still describes the image in the same
    ///   way.
    private func look(
        at reference: ImageReference, selection: VerifierSelection, deadline: ContinuousClock.Instant,
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
            artifacts = try await self.artifacts(
                of: descriptor, selection: selection, reference: reference, store: store, deadline: deadline)
        } catch {
            return (failed(reference, digest: descriptor.digest, stage: .referrers, error), subject)
        }
        onStage(.fetch)
        defer { took(.judge, &start, reference) }
        let result = await judge(
            artifacts, selection: selection, subject: descriptor, reference: reference, store: store, deadline: deadline
        )
        return (result, subject)
    }

    /// Records how long a stage took, and sets the start of the next one.
    private func took(_ stage: WorkStage, _ start: inout ContinuousClock.Instant, _ reference: ImageReference) {
        let now = ContinuousClock.now
        metrics.observe(stage, at: reference.endpoint, start.duration(to: now))
        start = now
    }

    /// The artifacts that some verifier judges, listed once.
    private func artifacts(
        of subject: Descriptor, selection: VerifierSelection, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        let wanted = Set(selection.active.flatMap { selection.verifiers[$0].artifactTypes })
        // One type can be asked for by name, which spares pages of SBOMs and scan reports.
        let filter = wanted.count == 1 && !wanted.contains("*") ? wanted.first : nil
        let all = try await store.referrers(of: subject, in: reference, artifactType: filter, deadline: deadline)
        // The descriptors stay in memory until the image is judged, and annotations can be megabytes.
        return all.filter { !selection.judges(of: $0).isEmpty }.map(\.withoutAnnotations)
    }

    private func judge(
        _ artifacts: [Descriptor], selection: VerifierSelection, subject: Descriptor, reference: ImageReference,
        store: any ReferrerStore, deadline: ContinuousClock.Instant
    ) async -> PipelineResult {
        var findings: [Int: Findings] = [:]
        var validUntil: Date?
        var faults: [TransientFault] = []
        let examined = Array(artifacts.prefix(snapshot.maximumArtifacts))
        for outcome in await outcomes(
            of: examined, selection: selection, subject: subject, reference: reference, store: store, deadline: deadline
        ) {
            switch outcome.result {
            case .judged(var report, let until):
                report.extensions["subjectDigest"] = .string(subject.digest.description)
                findings[outcome.verifier, default: Findings()].add(report, outcome.type, report.isSuccess)
                if let until { validUntil = min(validUntil ?? until, until) }
            case .fault(let fault):
                faults.append(fault)
                findings[outcome.verifier, default: Findings()].add(
                    undetermined(outcome, selection, reference, fault), outcome.type, nil)
            }
        }
        for skipped in artifacts.dropFirst(examined.count) {
            for index in selection.judges(of: skipped) {
                findings[index, default: Findings()].outcomes.append(
                    PolicyEvidence(artifactType: selection.type(of: skipped, for: index), isSuccess: false))
            }
        }
        faults += selection.active.compactMap { selection.verifiers[$0].degradedReason }
        var others: [VerifierReport] = []
        if artifacts.count > examined.count { others.append(tooMany(artifacts.count, reference)) }
        return verdict(
            selection, findings, others, reference, digest: subject.digest, validUntil: validUntil, faults: faults)
    }

    /// One verifier and one artifact.
    struct Outcome: Sendable {
        let index: Int
        let verifier: Int
        let type: String
        let digest: Digest
        let result: ArtifactOutcome
    }

    /// The outcome of each artifact with each verifier that judges its type, in their order, a few at a time.
    private func outcomes(
        of artifacts: [Descriptor], selection: VerifierSelection, subject: Descriptor, reference: ImageReference,
        store: any ReferrerStore, deadline: ContinuousClock.Instant
    ) async -> [Outcome] {
        let questions = artifacts.flatMap { artifact in
            selection.judges(of: artifact).map { (artifact: artifact, verifier: $0) }
        }
        @Sendable func judged(_ index: Int) async -> Outcome {
            let (artifact, verifier) = questions[index]
            return Outcome(
                index: index, verifier: verifier, type: selection.type(of: artifact, for: verifier),
                digest: artifact.digest,
                result: await outcome(
                    of: artifact, by: selection.verifiers[verifier], subject: subject, reference: reference,
                    store: store,
                    deadline: deadline))
        }
        // Nearly always there is one: this task can judge it as well as another.
        if questions.count == 1 { return [await judged(0)] }
        return await withTaskGroup(of: Outcome.self) { group in
            var next = 0
            func startNext() {
                guard next < questions.count else { return }
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
        of artifact: Descriptor, by verifier: any ArtifactVerifier, subject: Descriptor, reference: ImageReference,
        store: any ReferrerStore, deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
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

    /// What the policy makes of all that was found.
    private func verdict(
        _ selection: VerifierSelection, _ findings: [Int: Findings], _ others: [VerifierReport],
        _ reference: ImageReference,
        digest: Digest?, validUntil: Date?, faults: [TransientFault] = []
    ) -> PipelineResult {
        let evidence = selection.verifiers.indices.map { index in
            VerifierEvidence(
                artifactTypes: selection.verifiers[index].artifactTypes, isWaived: selection.waivers[index] != nil,
                isDegraded: selection.verifiers[index].degradedReason != nil, outcomes: findings[index]?.outcomes ?? [])
        }
        let verdict = snapshot.policy.verdict(on: evidence)
        guard verdict != .undecided else {
            return .fault(
                faults.first
                    ?? TransientFault(stage: .verify, host: nil, cause: "an outcome is missing; ask again in a moment"))
        }
        var reports = selection.waivers.compactMap(\.self)
        var reasons: [VerifierReport] = []
        for (index, evidence) in evidence.enumerated() where !evidence.isWaived {
            var own = findings[index]?.reports ?? []
            guard !evidence.isDegraded else {
                reports += own
                continue
            }
            own += absences(
                of: selection.verifiers[index], evidence, isAlone: selection.verifiers.count == 1, reference, digest)
            // The first failed report is shown as the reason, so it must be one that counts against the image.
            if snapshot.policy.verdict(of: evidence) == .failure { reasons += own } else { reports += own }
        }
        reports = reasons + reports + others
        if verdict == .failure { reports += unjudged(evidence, reference) }
        if reports.isEmpty { reports = [unsigned(reference, digest, by: nil)] }
        return .decided(
            Decision(
                isSuccess: verdict == .success, reference: reference.description, digest: digest, reports: reports),
            validUntil: validUntil)
    }
}
