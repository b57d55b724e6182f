import FoundationEssentials
import OCI
import TestSupport
import Testing

@testable import ConfigurationModel
@testable import ServiceMetrics
@testable import Verification

/// Which digests of an image must be signed (`signedBy`).
@Suite struct SubjectSelectionTests {
    private typealias Parts = Set<PlatformImage.Part>

    private static let subsets: [Set<PlatformImage.Part>] = (0..<8).map { bits in
        Set(PlatformImage.Part.allCases.enumerated().filter { bits >> $0.offset & 1 == 1 }.map(\.element))
    }
    private static let platforms: Set<PlatformImage.Part> = [.amd64, .arm64]

    /// Every combination of what is signed, for each setting, by each name that the image can be asked for.
    @Test(arguments: subsets) func everyCombination(signed: Set<PlatformImage.Part>) async throws {
        let image = try await PlatformImage(signed: signed)
        let (index, manifest) = (image.index.digest, image.amd64.digest)
        for name in [":v1", "@\(index)", ":v1@\(index)"] {
            let expected: [(SubjectSelection?, Bool)] = [
                (nil, signed.contains(.index)), (.manifest, signed.isSuperset(of: Self.platforms)),
                (.index, signed.contains(.index)),
                (.either, signed.contains(.index) || signed.isSuperset(of: Self.platforms)),
            ]
            for (selection, isAdmitted) in expected {
                let decision = try await image.decision(name, image.snapshot(selection))
                #expect(decision.isSuccess == isAdmitted, "\(name), \(String(describing: selection))")
                #expect(decision.digest == index)
            }
        }
        let expected: [(SubjectSelection?, alone: Bool, withTag: Bool)] = [
            (nil, signed.contains(.amd64), signed.contains(.amd64)),
            (.manifest, signed.contains(.amd64), signed.contains(.amd64)),
            (.index, false, signed.contains(.index)),
            (.either, signed.contains(.amd64), signed.contains(.amd64) || signed.contains(.index)),
        ]
        for (selection, alone, withTag) in expected {
            for (name, isAdmitted) in [("@\(manifest)", alone), (":v1@\(manifest)", withTag)] {
                let decision = try await image.decision(name, image.snapshot(selection))
                #expect(decision.isSuccess == isAdmitted, "\(name), \(String(describing: selection))")
                #expect(decision.digest == manifest)
            }
        }
    }

    /// An image without an index is judged by its own signature, where its tag shows that it has none.
    @Test(arguments: [nil] + SubjectSelection.allCases) func anImageForOnePlatform(selection: SubjectSelection?)
        async throws
    {
        let image = try await PlatformImage()
        for isSigned in [false, true] {
            let single = try await image.push("single \(isSigned)")
            try await image.tag(single, "single")
            if isSigned { try await image.sign(single) }
            let snapshot = image.snapshot(selection)
            for name in [":single", ":single@\(single.digest)", "@\(single.digest)"] {
                let isAlone = name.hasPrefix("@")
                let decision = try await image.decision(name, snapshot)
                #expect(decision.isSuccess == (isSigned && !(isAlone && selection == .index)), "\(name)")
            }
        }
    }

    @Test func everyReportSaysWhichDigestItIsAbout() async throws {
        let image = try await PlatformImage(signed: [.amd64])
        try await image.sign(image.arm64, "bad")
        let decision = try await image.decision(":v1", image.snapshot(.manifest))
        #expect(!decision.isSuccess)
        #expect(decision.digest == image.index.digest)
        let reports = decision.reports
        #expect(reports.count == 2)
        // What counts against the image comes first.
        #expect(reports.first?.extensions["subjectDigest"]?.string == image.arm64.digest.description)
        #expect(reports.first?.extensions["platform"]?.string == "linux/arm64/v8")
        #expect(
            reports.first?.errorReason == "the signature is bad (the image's manifest for linux/arm64/v8)")
        #expect(reports.last?.isSuccess == true)
        #expect(reports.last?.extensions["subjectDigest"]?.string == image.amd64.digest.description)
        // Of `either`, what was in vain is said only where nothing suffices.
        let denied = try await image.decision(":v1", image.snapshot(.either))
        #expect(
            Set(denied.reports.compactMap { $0.extensions["subjectDigest"]?.string })
                == Set([image.index, image.amd64, image.arm64].map(\.digest.description)))
        #expect(denied.reason?.hasPrefix("no signature is associated with") == true)
        try await image.sign(image.arm64)
        let admitted = try await image.decision(":v1", image.snapshot(.either))
        #expect(admitted.isSuccess)
        #expect(!admitted.reports.contains { $0.extensions["subjectDigest"]?.string == image.index.digest.description })
    }

    @Test func theReasonNamesThePlatformAndTheDigest() async throws {
        let image = try await PlatformImage(signed: [.index, .amd64])
        let decision = try await image.decision(":v1", image.snapshot(.manifest))
        let reason = try #require(decision.reason)
        #expect(reason.hasPrefix("no signature is associated with"))
        #expect(reason.contains(image.arm64.digest.description) && reason.contains("linux/arm64/v8"))
        #expect(decision.failureClass == .unsigned)
    }

    /// `any` and `all` are about the signatures of each digest, not of all together.
    @Test func theRulesHoldForEachDigest() async throws {
        let image = try await PlatformImage(signed: [.amd64, .arm64])
        try await image.sign(image.arm64, "bad")
        #expect(try await image.decision(":v1", image.snapshot(.manifest, rule: .any)).isSuccess)
        #expect(try await !image.decision(":v1", image.snapshot(.manifest, rule: .all)).isSuccess)
        // Two good signatures of one do not make up for the other.
        let other = try await PlatformImage(signed: [.amd64])
        try await other.sign(other.amd64, "good too")
        #expect(try await !other.decision(":v1", other.snapshot(.manifest, rule: .any)).isSuccess)
    }

    /// The limit of artifacts is one for all digests of an image.
    @Test func theLimitHoldsForAllDigestsTogether() async throws {
        let image = try await PlatformImage()
        for number in 0..<3 {
            for subject in [image.amd64, image.arm64] { try await image.sign(subject, "good \(number)") }
        }
        #expect(try await image.decision(":v1", image.snapshot(.manifest, rule: .all, maximumArtifacts: 6)).isSuccess)
        let denied = try await image.decision(":v1", image.snapshot(.manifest, rule: .all, maximumArtifacts: 5))
        #expect(!denied.isSuccess)
        #expect(denied.reports.count { $0.referenceDigest != nil } == 5)
        #expect(denied.reports.last?.errorReason?.contains("6 artifacts to judge; only the first 5") == true)
        // What the index's signatures used up is not there for the manifests.
        for number in 0..<4 { try await image.sign(image.index, "bad \(number)") }
        #expect(try await image.decision(":v1", image.snapshot(.either, maximumArtifacts: 10)).isSuccess)
        #expect(try await !image.decision(":v1", image.snapshot(.either, maximumArtifacts: 7)).isSuccess)
    }

    @Test func theVerdictLastsAsLongAsAllThatItRestsOn() async throws {
        let image = try await PlatformImage(signed: [.amd64, .arm64])
        let (soon, later) = (Date(timeIntervalSinceNow: 100), Date(timeIntervalSinceNow: 200))
        let verifier = AnnotationVerifier(ends: [image.amd64.digest: later, image.arm64.digest: soon])
        guard
            case .decided(let decision, let end) = try await image.run(
                ":v1", image.snapshot(.manifest, verifiers: [verifier]))
        else {
            Issue.record("not decided")
            return
        }
        #expect(decision.isSuccess && end == soon)
    }

    @Test func aWaiverIsSaidOnceAndSpeaksForItselfAlone() async throws {
        let image = try await PlatformImage(signed: [.amd64])
        let verifiers: [any ArtifactVerifier] = [AnnotationVerifier(), ScriptedVerifier(name: "waiving", skips: true)]
        let denied = try await image.decision(":v1", image.snapshot(.manifest, verifiers: verifiers))
        #expect(!denied.isSuccess)
        #expect(denied.reports.count { $0.message == "skipped by policy" } == 1)
        try await image.sign(image.arm64)
        #expect(try await image.decision(":v1", image.snapshot(.manifest, verifiers: verifiers)).isSuccess)
    }

    // MARK: Tags

    /// An index speaks for a manifest only as long as the tag means it.
    @Test func aTagThatMeansAnotherImageProvesNothing() async throws {
        for selection in [SubjectSelection.index, .either] {
            let image = try await PlatformImage(signed: [.index])
            let name = ":v1@\(image.amd64.digest)"
            #expect(try await image.decision(name, image.snapshot(selection)).isSuccess)
            // Another signed image, another signed index, and no tag at all.
            let other = try await image.push("another")
            try await image.sign(other)
            try await image.tag(other, "v1")
            let single = try await image.decision(name, image.snapshot(selection))
            #expect(!single.isSuccess)
            #expect(single.reports.contains { $0.reason.contains("the tag v1 means \(other.digest) now") })
            try await image.sign(try await image.push(Index(manifests: [image.arm64, other]), tag: "v1"))
            #expect(try await !image.decision(name, image.snapshot(selection)).isSuccess)
            let gone = try await image.decision(":gone@\(image.amd64.digest)", image.snapshot(selection))
            #expect(!gone.isSuccess)
            #expect(gone.reports.contains { $0.failureClass == .notFound })
        }
    }

    @Test func whoAsksByDigestAloneIsToldWhatToDo() async throws {
        let image = try await PlatformImage(signed: [.index])
        for selection in [SubjectSelection.index, .either] {
            let decision = try await image.decision("@\(image.amd64.digest)", image.snapshot(selection))
            let report = try #require(decision.reports.first { $0.failureClass == .policy })
            #expect(report.reason.contains("by its digest alone"))
            #expect(report.remediation?.contains("name:tag@sha256:") == true)
        }
    }

    /// While the registry is down, an earlier admission stands in for a digest: not one that the tag has led to.
    @Test func whatATagHasProvenIsNotKeptForTheDigest() async throws {
        let image = try await PlatformImage(signed: [.index])
        let single = try await image.push("single")
        try await image.tag(single, "single")
        try await image.sign(single)
        let settings = ServiceSettings(staleIfError: .seconds(600))
        func kept(_ name: String) async throws -> Int {
            let verified = VerifiedImages()
            let service = PipelineService(
                source: PipelineServiceTests.Source(current: .success(image.snapshot(.index, settings: settings))),
                cache: DecisionCache(timeToLive: .seconds(300)), metrics: MetricsRegistry(), verified: verified)
            guard
                case .decided(let decision) = await service.verify(
                    try ImageKey(parsing: "r.example/app\(name)"), deadline: .now + .seconds(60)), decision.isSuccess
            else {
                Issue.record("\(name) is not admitted")
                return 0
            }
            return verified.counts.entries
        }
        #expect(try await kept(":v1") == 1)
        #expect(try await kept(":v1@\(image.amd64.digest)") == 0)
        #expect(try await kept(":single") == 0)
    }

    // MARK: Faults

    @Test(arguments: [SubjectSelection.manifest, .either]) func whatHidesAPlatformIsAFault(
        selection: SubjectSelection
    ) async throws {
        let error = RegistryError(.unavailable, host: "r.example", detail: "503")
        let image = try await PlatformImage(signed: [.amd64, .arm64])
        let store = FaultyStore(store: image.layout, referrers: [image.arm64.digest: error])
        guard case .fault(let fault) = try await image.run(":v1", image.snapshot(selection, store: store)) else {
            Issue.record("decided without knowing")
            return
        }
        #expect(fault.stage == .referrers && fault.cause.contains("503"))
        // A definite failure decides, whatever a fault hides elsewhere.
        let unsigned = try await PlatformImage()
        let broken = FaultyStore(store: unsigned.layout, referrers: [unsigned.arm64.digest: error])
        #expect(try await !unsigned.decision(":v1", unsigned.snapshot(selection, store: broken)).isSuccess)
    }

    @Test func theDeadlineDuringTheSecondPlatformIsAFault() async throws {
        let image = try await PlatformImage(signed: [.amd64, .arm64])
        let store = FaultyStore(store: image.layout, hanging: [image.arm64.digest])
        let result = await Pipeline(snapshot: image.snapshot(.manifest, store: store), metrics: MetricsRegistry())
            .run(image.reference, deadline: .now + .seconds(1))
        guard case .fault(let fault) = result else {
            Issue.record("decided without knowing: \(result)")
            return
        }
        #expect(fault.host == "r.example")
    }

    /// A gap decides against success only where it matters.
    @Test func aTagThatCannotBeResolvedMattersOnlyWithoutAnotherSignature() async throws {
        let error = RegistryError(.throttled, host: "r.example", detail: "429")
        let image = try await PlatformImage(signed: [.index])
        let store = FaultyStore(store: image.layout, tag: error)
        let name = ":v1@\(image.amd64.digest)"
        for selection in [SubjectSelection.index, .either] {
            guard case .fault(let fault) = try await image.run(name, image.snapshot(selection, store: store)) else {
                Issue.record("decided without knowing")
                return
            }
            #expect(fault.stage == .resolve)
        }
        try await image.sign(image.amd64)
        #expect(try await image.decision(name, image.snapshot(.either, store: store)).isSuccess)
    }
}
