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

/// Verifies one image by one configuration: resolves it, finds the digests that must be signed, lists the artifacts of
/// each once, has each judged, and asks the policy.
package struct Pipeline: Sendable {
    let snapshot: ConfigurationSnapshot
    private let metrics: MetricsRegistry
    let onStage: @Sendable (TransientFault.Stage) -> Void

    /// How many artifacts of one image are judged side by side, and of how many digests they are listed.
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

    /// What belongs to the whole of one look at an image.
    struct Look: Sendable {
        let selection: VerifierSelection
        let reference: ImageReference
        let store: any ReferrerStore
        let deadline: ContinuousClock.Instant
    }

    /// The verdict on an image.
    package func run(_ reference: ImageReference, deadline: ContinuousClock.Instant) async -> PipelineResult {
        let reference = reference.over(snapshot.transport)
        let selection = VerifierSelection(snapshot.verifiers, reference)
        if !selection.verifiers.isEmpty, selection.active.isEmpty {
            // Trust policy specification, level "skip": no look at the image at all.
            return result(judgement(on: nil, selection, [:], reference), reference, digest: reference.digest)
        }
        let (first, resolved) = await look(at: reference, selection: selection, deadline: deadline)
        guard let (descriptor, store) = resolved, first.contradictsDescriptor else { return first }
        // The registry and a signature disagree about the image's media type or size. The registry's answer may be old
        // or a mistake, so the registry is asked once more before the image is denied, and its second answer counts.
        store.forget(descriptor, of: reference)
        let (second, again) = await look(
            at: reference, selection: selection, deadline: deadline, since: (descriptor, first))
        if let (descriptor, store) = again, second.contradictsDescriptor { store.forget(descriptor, of: reference) }
        return second
    }

    /// A resolved image, and the store that has it.
    private typealias Resolved = (descriptor: Descriptor, store: any ReferrerStore)

    /// Resolves an image, lists its artifacts and judges them.
    ///
    /// - Parameter since: an earlier look, whose result stands if the registry still describes the image in the same
    ///   way.
    private func look(
        at reference: ImageReference, selection: VerifierSelection, deadline: ContinuousClock.Instant,
        since earlier: (descriptor: Descriptor, result: PipelineResult)? = nil
    ) async -> (PipelineResult, Resolved?) {
        let resolved: Resolved
        var start = ContinuousClock.now
        onStage(.resolve)
        do {
            defer { took(.resolve, &start, reference) }
            resolved = try await resolve(reference, deadline: deadline)
        } catch {
            let failure = failed(reference, digest: reference.digest, stage: .resolve, error)
            return (result(failure, reference, digest: reference.digest), nil)
        }
        let (descriptor, store) = resolved
        if let earlier, earlier.descriptor == descriptor { return (earlier.result, resolved) }
        let look = Look(selection: selection, reference: reference, store: store, deadline: deadline)
        let judgement = await judgement(on: descriptor, by: snapshot.policy.signedBy, look)
        return (result(judgement, reference, digest: descriptor.digest), resolved)
    }

    private func result(_ judgement: Judgement, _ reference: ImageReference, digest: Digest?) -> PipelineResult {
        guard judgement.verdict != .undecided else {
            return .fault(
                judgement.faults.first
                    ?? TransientFault(stage: .verify, host: nil, cause: "an outcome is missing; ask again in a moment"))
        }
        return .decided(
            Decision(
                isSuccess: judgement.verdict == .success, reference: reference.description, digest: digest,
                reports: judgement.reports, restsOnTag: judgement.restsOnTag),
            validUntil: judgement.validUntil)
    }

    /// Records how long a stage took, and sets the start of the next one.
    private func took(_ stage: WorkStage, _ start: inout ContinuousClock.Instant, _ reference: ImageReference) {
        let now = ContinuousClock.now
        metrics.observe(stage, at: reference.endpoint, start.duration(to: now))
        start = now
    }

    /// The artifacts of a subject that some verifier judges, listed once.
    private func artifacts(of subject: Subject, _ look: Look) async -> Result<[Descriptor], RegistryError> {
        do throws(RegistryError) {
            if case .manifest = subject.role { try await check(subject.descriptor, look) }
            let wanted = Set(look.selection.active.flatMap { look.selection.verifiers[$0].artifactTypes })
            // One type can be asked for by name, which spares pages of SBOMs and scan reports.
            let filter = wanted.count == 1 && !wanted.contains("*") ? wanted.first : nil
            let all = try await look.store.referrers(
                of: subject.descriptor, in: look.reference, artifactType: filter, deadline: look.deadline)
            // The descriptors stay in memory until the image is judged, and annotations can be megabytes.
            return .success(all.filter { !look.selection.judges(of: $0).isEmpty }.map(\.withoutAnnotations))
        } catch { return .failure(error) }
    }

    /// What the policy makes of digests of an image, of each by itself: it must be satisfied with all of them.
    ///
    /// - Parameter budget: how many artifacts may still be judged of the image; what is judged is taken off.
    func judgement(on subjects: [Subject], _ look: Look, budget: inout Int) async -> Judgement {
        var start = ContinuousClock.now
        onStage(.referrers)
        let listings = await subjects.concurrentMap(atMost: Pipeline.parallelism) { await artifacts(of: $0, look) }
        took(.referrers, &start, look.reference)
        onStage(.fetch)
        defer { took(.judge, &start, look.reference) }
        let found = listings.indices.flatMap { subject in
            ((try? listings[subject].get()) ?? []).map { (subject: subject, artifact: $0) }
        }
        let examined = found.prefix(budget)
        budget -= examined.count
        let questions = examined.flatMap { subject, artifact in
            look.selection.judges(of: artifact).map { Question(subject: subject, artifact: artifact, verifier: $0) }
        }
        let outcomes = await questions.concurrentMap(atMost: Pipeline.parallelism) { question in
            await outcome(of: question, subject: subjects[question.subject].descriptor, look)
        }
        var judgements: [Judgement] = []
        for (index, subject) in subjects.enumerated() {
            if case .failure(let error) = listings[index] {
                judgements.append(
                    failed(look.reference, digest: subject.descriptor.digest, stage: .referrers, error))
            } else {
                let own = zip(questions, outcomes).filter { $0.0.subject == index }
                let skipped = found.dropFirst(examined.count).filter { $0.subject == index }.map(\.artifact)
                judgements.append(judgement(on: subject.descriptor.digest, own, skipped: skipped, look))
            }
            judgements[index].explain(subject)
        }
        var judgement = Judgement.all(judgements)
        // After a list that took all the time nothing can be fetched: the list is the cause.
        let isOfAList: (TransientFault) -> Bool = { $0.stage == .referrers }
        judgement.faults = judgement.faults.filter(isOfAList) + judgement.faults.filter { !isOfAList($0) }
        if found.count > examined.count {
            judgement.reports.append(tooMany(found.count, examined: examined.count, look.reference))
        }
        return judgement
    }

    /// One verifier and one artifact of a subject.
    struct Question: Sendable {
        let subject: Int
        let artifact: Descriptor
        let verifier: Int
    }

    private func outcome(of question: Question, subject: Descriptor, _ look: Look) async -> ArtifactOutcome {
        let verifier = look.selection.verifiers[question.verifier]
        let start = ContinuousClock.now
        let outcome = await verifier.verify(
            artifact: question.artifact, subject: subject, reference: look.reference, store: look.store,
            deadline: look.deadline)
        let (isSuccess, isFault): (Bool, Bool)
        switch outcome {
        case .judged(let report, _): (isSuccess, isFault) = (report.isSuccess, false)
        case .fault: (isSuccess, isFault) = (false, true)
        case .notJudged: return outcome
        }
        metrics.observe(
            "ratify_verifier_duration",
            [("verifier", verifier.name), ("success", "\(isSuccess)"), ("error", "\(isFault)")],
            start.duration(to: .now).milliseconds, help: "Time to judge one artifact, in milliseconds.")
        return outcome
    }

    /// What the policy makes of one digest.
    ///
    /// - Parameter skipped: artifacts that nobody looked at, because there are too many: they count against the image.
    private func judgement(
        on digest: Digest, _ outcomes: [(Question, ArtifactOutcome)], skipped: [Descriptor], _ look: Look
    ) -> Judgement {
        let selection = look.selection
        var findings: [Int: Findings] = [:]
        var validUntil: Date?
        var faults: [TransientFault] = []
        for (question, outcome) in outcomes {
            let type = selection.type(of: question.artifact, for: question.verifier)
            switch outcome {
            case .judged(var report, let until):
                report.subjectDigest = digest.description
                findings[question.verifier, default: Findings()].add(report, type, report.isSuccess)
                if let until { validUntil = min(validUntil ?? until, until) }
            case .notJudged: continue
            case .fault(let fault):
                faults.append(fault)
                findings[question.verifier, default: Findings()].add(
                    undetermined(
                        question.artifact, of: digest, type, selection.verifiers[question.verifier], look.reference,
                        fault), type, nil)
            }
        }
        for artifact in skipped {
            for index in selection.judges(of: artifact) {
                findings[index, default: Findings()].outcomes.append(
                    PolicyEvidence(artifactType: selection.type(of: artifact, for: index), isSuccess: false))
            }
        }
        faults += selection.active.compactMap { selection.verifiers[$0].degradedReason }
        var judgement = judgement(on: digest, selection, findings, look.reference)
        (judgement.validUntil, judgement.faults) = (validUntil, faults)
        judgement.restsOnTag = judgement.reports.contains(where: \.isBoundToTag)
        return judgement
    }

    /// What the policy makes of all that was found.
    private func judgement(
        on digest: Digest?, _ selection: VerifierSelection, _ findings: [Int: Findings], _ reference: ImageReference
    ) -> Judgement {
        let evidence = selection.verifiers.indices.map { index in
            VerifierEvidence(
                artifactTypes: selection.verifiers[index].countedTypes, isWaived: selection.waivers[index] != nil,
                isDegraded: selection.verifiers[index].degradedReason != nil, outcomes: findings[index]?.outcomes ?? [])
        }
        let verdict = snapshot.policy.verdict(on: evidence)
        guard verdict != .undecided else { return Judgement(verdict: .undecided) }
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
        reports = reasons + reports
        if verdict == .failure { reports += unjudged(evidence, reference) }
        if reports.isEmpty { reports = [unsigned(reference, digest, by: nil)] }
        return Judgement(verdict: verdict, reports: reports)
    }
}
