import Foundation
import TestSupport
import Testing

@testable import TUF

/// What no repository alone shows: stores, deadlines, and what a client does between updates.
@Suite struct TUFClientTests {
    private func scenario(_ name: String) throws -> Scenario {
        try #require(try Scenario.made.get().first { $0.name == name })
    }

    /// A fetcher that never answers, until its task is cancelled.
    private struct Silence: RepositoryFetcher {
        func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
            try await Task.sleep(for: .seconds(600))
            return nil
        }
    }

    private struct Broken: RepositoryFetcher {
        struct Fault: Error, CustomStringConvertible { let description = "connection refused" }

        func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? { throw Fault() }
    }

    /// A fetcher that does not keep to the length it is given.
    private struct Careless: RepositoryFetcher {
        func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
            [UInt8](repeating: 0x20, count: maximumLength + 1)
        }
    }

    private func updated(
        _ scenario: Scenario, _ fetcher: any RepositoryFetcher, _ store: any MetadataStore = MemoryStore(),
        within duration: Duration = .seconds(60)
    ) async throws -> TrustedTargets {
        let client = TUFClient(trustedRoot: scenario.root, fetcher: fetcher, store: store, limits: scenario.limits)
        return try await client.update(
            targets: [scenario.target], at: scenario.phases[0].time, deadline: .now + duration)
    }

    @Test func deadlineEndsAnUpdate() async throws {
        let scenario = try scenario("good_updates")
        let start = ContinuousClock.now
        let error = await #expect(throws: TUFError.self) {
            try await updated(scenario, Silence(), within: .milliseconds(200))
        }
        #expect(error?.problem == .deadline)
        #expect(error?.step == .downloadRoot)
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func deadlineThatIsOverAsksNobody() async throws {
        let scenario = try scenario("good_updates")
        let repository = MemoryRepository()
        let error = await #expect(throws: TUFError.self) {
            try await updated(scenario, repository, within: .seconds(-1))
        }
        #expect(error?.problem == .deadline)
        #expect(await repository.asked.isEmpty)
    }

    @Test func fetchersWordsAreInTheError() async throws {
        let error = await #expect(throws: TUFError.self) { try await updated(scenario("good_updates"), Broken()) }
        #expect(error?.problem == .fetchFailed("connection refused"))
    }

    @Test func fetcherThatGivesMoreIsNotBelieved() async throws {
        let error = await #expect(throws: TUFError.self) { try await updated(scenario("good_updates"), Careless()) }
        #expect(error?.problem == .tooLong(limit: TUFLimits().rootLength))
    }

    /// What was kept is used, not fetched again, and nothing is kept that is not needed any more.
    @Test func keepsWhatIsNeeded() async throws {
        let scenario = try scenario("good_delegation_by_path")
        let (repository, store) = (MemoryRepository(), MemoryStore())
        await repository.serve(scenario.phases[0].files)
        store.set(.snapshot(version: 99), [1])
        store.set(.target(sha256: String(repeating: "0", count: 64)), [1])
        _ = try await updated(scenario, repository, store)
        #expect(
            Set(store.stored.keys.map(\.fileName).filter { !$0.hasSuffix(".target") }) == [
                "timestamp.json", "newest-timestamp.json", "newest-snapshot.json", "1.snapshot.json", "1.targets.json",
                "1.project%20two.json",
            ])
        #expect(store.stored.keys.filter { $0.fileName.hasSuffix(".target") }.count == 1)
        let before = await repository.asked.count
        _ = try await updated(scenario, repository, store)
        let asked = await repository.asked
        #expect(asked[before...] == ["2.root.json", "timestamp.json"])
    }

    /// Each thing that was kept is changed in turn: the update gets the right one again, and what is offered offline is
    /// never what was changed.
    @Test func believesNothingThatWasKept() async throws {
        let scenario = try scenario("good_rotations_of_the_root")
        let (repository, store) = (MemoryRepository(), MemoryStore())
        let client = TUFClient(trustedRoot: scenario.root, fetcher: repository, store: store)
        let phase = scenario.phases[1]
        await repository.serve(phase.files)
        let good = try await client.update(targets: [scenario.target], at: phase.time, deadline: .now + .seconds(60))
        let kept = store.stored
        #expect(kept.count == 7 + 6 - 1)
        for (item, bytes) in kept {
            var changed = bytes
            changed[bytes.count / 2] ^= 1
            for wrong in [changed, [], Array(bytes.dropLast())] {
                store.set(item, wrong)
                if let last = try? await client.lastGood(targets: [scenario.target], at: phase.time) {
                    #expect(last == good)
                }
                let again = try await client.update(
                    targets: [scenario.target], at: phase.time, deadline: .now + .seconds(60))
                #expect(again == good)
            }
        }
    }

    /// Somebody who can write to the store cannot bring in a root of his own, however well it is signed.
    @Test func rootsThatWereKeptGoBackToTheFirst() async throws {
        let (mine, his) = (try scenario("good_expired_roots_on_the_way"), try scenario("good_rotations_of_the_root"))
        let store = MemoryStore()
        let repository = MemoryRepository()
        await repository.serve(his.phases[1].files)
        _ = try await TUFClient(trustedRoot: his.root, fetcher: repository, store: store).update(
            targets: [his.target], at: his.phases[1].time, deadline: .now + .seconds(60))
        let client = TUFClient(trustedRoot: mine.root, fetcher: repository, store: store)
        await #expect(throws: TUFError.self) {
            try await client.lastGood(targets: [mine.target], at: mine.phases[0].time)
        }
        let error = await #expect(throws: TUFError.self) {
            try await client.update(targets: [mine.target], at: mine.phases[0].time, deadline: .now + .seconds(60))
        }
        #expect(error?.step == .rootSignatures)
        await repository.serve(mine.phases[0].files)
        _ = try await client.update(targets: [mine.target], at: mine.phases[0].time, deadline: .now + .seconds(60))
    }

    /// A store that cannot be written harms nothing while the process lives, rollback protection included.
    @Test(arguments: ["rollback_of_the_timestamp", "rollback_of_the_targets", "key_that_was_revoked"])
    func storeThatTakesNothing(_ name: String) async throws {
        let scenario = try scenario(name)
        let repository = MemoryRepository()
        let client = TUFClient(trustedRoot: scenario.root, fetcher: repository, store: MemoryStore(isFull: true))
        await repository.serve(scenario.phases[0].files)
        let good = try await client.update(
            targets: [scenario.target], at: scenario.phases[0].time, deadline: .now + .seconds(60))
        #expect(await !client.storeFaults.isEmpty)
        #expect(try await client.lastGood(targets: [scenario.target], at: scenario.phases[0].time) == good)
        await repository.serve(scenario.phases[1].files)
        let error = await #expect(throws: TUFError.self) {
            try await client.update(
                targets: [scenario.target], at: scenario.phases[1].time, deadline: .now + .seconds(60))
        }
        #expect(error?.step.rawValue == scenario.phases[1].step)
    }

    /// A fetcher that waits until it is let go.
    private actor Waiting: RepositoryFetcher {
        private var isReleased = false
        private(set) var isAsked = false

        func release() { isReleased = true }

        func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
            isAsked = true
            while !isReleased { try await Task.sleep(for: .milliseconds(1)) }
            return nil
        }
    }

    @Test(.timeLimit(.minutes(1))) func oneUpdateAtATime() async throws {
        let scenario = try scenario("good_updates")
        let fetcher = Waiting()
        let client = TUFClient(trustedRoot: scenario.root, fetcher: fetcher, store: MemoryStore())
        let time = scenario.phases[0].time
        let first = Task { try await client.update(targets: [], at: time, deadline: .now + .seconds(60)) }
        while await !fetcher.isAsked { try await Task.sleep(for: .milliseconds(1)) }
        let second = await #expect(throws: TUFError.self) {
            try await client.update(targets: [], at: time, deadline: .now + .seconds(60))
        }
        #expect(second?.problem == .busy)
        await fetcher.release()
        // There is no root after the first, and no timestamp either.
        let error = await #expect(throws: TUFError.self) { try await first.value }
        #expect(error?.step == .downloadTimestamp)
    }

    @Test func cancellationEndsAnUpdate() async throws {
        let scenario = try scenario("good_updates")
        let fetcher = Waiting()
        let client = TUFClient(trustedRoot: scenario.root, fetcher: fetcher, store: MemoryStore())
        let time = scenario.phases[0].time
        let task = Task { try await client.update(targets: [], at: time, deadline: .now + .seconds(60)) }
        while await !fetcher.isAsked { try await Task.sleep(for: .milliseconds(1)) }
        task.cancel()
        await #expect(throws: TUFError.self) { try await task.value }
    }

    @Test func rootThatIsNotSigned() async throws {
        let client = TUFClient(
            trustedRoot: Array(#"{"signed":{},"signatures":[]}"#.utf8), fetcher: Silence(), store: MemoryStore())
        let error = await #expect(throws: TUFError.self) {
            try await client.update(targets: [], at: Date(), deadline: .now + .seconds(60))
        }
        #expect(error?.step == .loadTrustedRoot)
    }
}
