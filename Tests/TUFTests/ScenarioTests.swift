import Foundation
import StrictJSON
import TestSupport
import Testing

@testable import TUF

/// Real repositories by the reference implementation, good ones and attacks, each phase with the answer that must come.
@Suite struct ScenarioTests {
    private static let deadline = Duration.seconds(60)

    @Test func areMade() throws {
        let scenarios = try Scenario.made.get()
        #expect(scenarios.filter { $0.name.hasPrefix("good") }.count >= 14)
        #expect(scenarios.filter { !$0.name.hasPrefix("good") }.count >= 60)
        #expect(Set(Scenario.published.keys).isSubset(of: scenarios.map(\.name)))
        for scenario in scenarios {
            let isAttack = scenario.phases.contains { $0.step != nil }
            #expect(Scenario.published[scenario.name] == nil || isAttack)
            #expect(isAttack == !scenario.name.hasPrefix("good") || scenario.name == "good_same_version_is_nothing_new")
        }
    }

    /// One client for all phases, and a new one for each, over what the one before has left in a directory.
    @Test(arguments: Scenario.all, [false, true]) func answers(_ scenario: Scenario, startsAgain: Bool) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let repository = MemoryRepository()
        let store = DirectoryMetadataStore(path: directory.path("tuf"))
        func client() -> TUFClient {
            TUFClient(trustedRoot: scenario.root, fetcher: repository, store: store, limits: scenario.limits)
        }
        var one = client()
        var good: TrustedTargets?
        for (number, phase) in scenario.phases.enumerated() {
            await repository.serve(phase.files)
            if startsAgain { one = client() }
            let place: Comment = "phase \(number)"
            do {
                let targets = try await one.update(
                    targets: [scenario.target], at: phase.time, deadline: .now + Self.deadline)
                #expect(
                    targets.contents[scenario.target].map { String(decoding: $0, as: UTF8.self) } == phase.content,
                    place)
                #expect(phase.content != nil, place)
                #expect(targets.validUntil > phase.time)
                good = targets
            } catch {
                #expect(error.step.rawValue == phase.step, "\(error)")
                #expect(error.role == phase.role, "\(error)")
                #expect(error.problem.name == phase.problem, "\(error)")
                #expect("\(error)".contains("step \(error.step.rawValue) "))
            }
            #expect(await one.storeFaults.isEmpty)
            // A root that its owners signed has taken the keys away that signed what was good.
            if scenario.name.contains("revoked"), number > 0 { good = nil }
            try await expectLastGood(good, one, scenario, at: phase.time)
        }
    }

    /// What was good last is there until its expiry, whatever the repository did since.
    private func expectLastGood(
        _ good: TrustedTargets?, _ client: TUFClient, _ scenario: Scenario, at time: Date
    ) async throws {
        guard let good, good.validUntil > time else {
            await #expect(throws: TUFError.self) { try await client.lastGood(targets: [scenario.target], at: time) }
            return
        }
        let last = try await client.lastGood(targets: [scenario.target], at: time)
        #expect(last.contents == good.contents)
        await #expect(throws: TUFError.self) {
            try await client.lastGood(targets: [scenario.target], at: good.validUntil)
        }
    }

    /// Where the reference client answers differently, the scenario says why; elsewhere the two agree.
    @Test(arguments: Scenario.all) func referenceClientAgrees(_ scenario: Scenario) {
        let isDifferent = scenario.phases.contains { $0.content != $0.referenceContent }
        // One error of the reference client has another reason here: the server that it asks is a directory.
        #expect(isDifferent == (scenario.differs != nil) || scenario.name == "target_above_the_repository")
    }
}
