import Crypto
import Encoding
import Foundation
import HTTP
import KeyManagement
import Sigstore
import TestSupport
import Testing

@testable import SigstoreTrust

/// The trusted root of a repository of the reference implementation, over days.
@Suite struct RepositoryTrustedRootTests {
    private let phases: RepositoryPhases
    private let origins = TrustedRootOrigins()
    private let notices = NoticeList()

    init() throws { phases = try RepositoryPhases() }

    private func provider(shipped: String? = nil, directory: String? = nil) throws -> TrustedRootProvider {
        TrustedRootProvider(
            name: "sigstore",
            origin: try phases.origin(origins, shipped: shipped, directory: directory, notices: notices))
    }

    private func look(_ provider: TrustedRootProvider, phase: Int, day: Double) async -> String {
        phases.phase = phase
        phases.day = day
        await provider.refresh()
        return provider.status.error ?? ""
    }

    private func fingerprint(_ content: Int) -> String {
        Hex.text(SHA256.hash(data: Array(RepositoryPhases.contents[content].utf8)))
    }

    /// What a verifier gets.
    private func refusal(_ provider: TrustedRootProvider) -> KeyManagementError? {
        do throws(KeyManagementError) {
            _ = try TrustedCertificates([provider]).bundleVerifier(named: "sigstore")
            return nil
        } catch { return error }
    }

    @Test func isFetchedRefreshedAndReplaced() async throws {
        let provider = try provider()
        #expect(!provider.isReady && provider.status == .notRead && provider.generation == 0)
        #expect(refusal(provider)?.kind == .noTrustedRoot && refusal(provider)?.isConfiguration == false)
        var changes = provider.changes().makeAsyncIterator()

        #expect(await look(provider, phase: 1, day: 1).isEmpty)
        let first = provider.generation
        #expect(await changes.next() == first && first > 0)
        #expect(provider.isReady && refusal(provider) == nil && provider.status.isSuccess)
        #expect(provider.status.lastFetched == RepositoryPhases.date(1))
        let root = try #require(provider.status.trustedRoot)
        #expect(root.fingerprint == fingerprint(0) && root.source == "https://tuf.example.com")
        #expect(root.versions == ["root": 1, "timestamp": 1, "snapshot": 1, "targets": 1])
        #expect(root.validUntil == RepositoryPhases.date(7))
        let parts = provider.fingerprintParts

        // Newer metadata with the same trusted root: nothing that a verdict rests on has changed.
        #expect(await look(provider, phase: 2, day: 2).isEmpty)
        #expect(provider.generation == first && provider.fingerprintParts == parts)
        #expect(provider.status.trustedRoot?.validUntil == RepositoryPhases.date(9))
        #expect(provider.status.lastFetched == RepositoryPhases.date(2))

        #expect(await look(provider, phase: 3, day: 3).isEmpty)
        #expect(await changes.next() == provider.generation && provider.generation > first)
        #expect(provider.fingerprintParts != parts)
        #expect(provider.status.trustedRoot?.fingerprint == fingerprint(1))
        #expect(provider.status.trustedRoot?.versions["root"] == 2)
        #expect(notices.take() == ["fetched", "fetched"])
        #expect(provider.offersKeys == false && provider.offersCertificates == false && provider.current() == nil)
    }

    /// Nobody answers: the last good one stays, until its own expiry and no longer.
    @Test func outage() async throws {
        let provider = try provider()
        _ = await look(provider, phase: 1, day: 1)
        let (generation, parts) = (provider.generation, provider.fingerprintParts)
        let error = await look(provider, phase: 0, day: 6)
        #expect(error.contains("https://tuf.example.com: ") && error.contains("could not be fetched"), "\(error)")
        #expect(error.hasSuffix("the last good trusted root stays in force until 2026-01-08T00:00:00Z"), "\(error)")
        _ = await look(provider, phase: 0, day: 6.5)
        #expect(provider.isReady && provider.generation == generation && provider.fingerprintParts == parts)
        #expect(provider.status.lastFetched == RepositoryPhases.date(1))
        #expect(!provider.status.isSuccess && !provider.status.isConfiguration)

        // Nobody has looked: the moment itself takes it away, and who listens hears of it.
        var changes = provider.changes().makeAsyncIterator()
        phases.day = 7
        #expect(provider.generation > generation)
        #expect(await changes.next() == provider.generation)
        #expect(!provider.isReady && provider.verifier == nil && provider.status.trustedRoot == nil)
        #expect(provider.fingerprintParts != parts)
        let refusal = try #require(self.refusal(provider))
        #expect(refusal.kind == .noTrustedRoot && refusal.description.contains("2026-01-08T00:00:00Z"), "\(refusal)")

        // A look finds the same, and what is good again is in force again.
        #expect(await look(provider, phase: 0, day: 7.5).contains("cannot be used any more"))
        #expect(!provider.isReady)
        #expect(await look(provider, phase: 2, day: 8).isEmpty)
        #expect(provider.isReady && provider.fingerprintParts == parts)
        #expect(notices.take() == ["fetched", "failing", "failing", "fetched"])
    }

    /// Older, spoilt, or a stranger's: nothing changes.
    @Test(arguments: [(2, "step 5.4.2"), (4, "digest"), (6, "step 5.4.2")])
    func attack(_ phase: Int, _ words: String) async throws {
        let provider = try provider()
        _ = await look(provider, phase: 3, day: 3)
        let (generation, parts) = (provider.generation, provider.fingerprintParts)
        for _ in 0..<2 {
            let error = await look(provider, phase: phase, day: 4)
            #expect(error.contains(words) && error.contains("stays in force"), "\(error)")
            #expect(provider.generation == generation && provider.fingerprintParts == parts)
            #expect(provider.status.isConfiguration)
        }
        #expect(notices.take() == ["fetched", "failing"])
    }

    /// A stranger's repository from the beginning: there is no trusted root.
    @Test func nothingIsEverTrustedOfAStranger() async throws {
        let provider = try provider()
        let error = await look(provider, phase: 6, day: 1)
        #expect(error.contains("step 5.4.2"), "\(error)")
        #expect(!provider.isReady && provider.generation == 0 && refusal(provider)?.isConfiguration == true)
    }

    /// The root takes a key away that the last good metadata was signed with: it is not good any more.
    @Test func keysThatAreTakenAway() async throws {
        let provider = try provider()
        _ = await look(provider, phase: 3, day: 3)
        let generation = provider.generation
        let error = await look(provider, phase: 5, day: 4)
        #expect(error.contains("cannot be used any more") && error.contains("valid"), "\(error)")
        #expect(!provider.isReady && provider.generation > generation)
    }

    /// What the repository has signed is of a later format: the one before stays, no longer than its own metadata.
    @Test func contentThatCannotBeRead() async throws {
        let provider = try provider()
        _ = await look(provider, phase: 3, day: 3)
        let generation = provider.generation
        for phase in [7, 0] {
            let error = await look(provider, phase: phase, day: 4)
            #expect(error.contains("stays in force until 2026-01-13T00:00:00Z"), "\(error)")
            #expect(provider.isReady && provider.generation == generation && !provider.status.isSuccess)
        }
        phases.day = 12
        #expect(!provider.isReady)
        let error = await look(provider, phase: 7, day: 13)
        #expect(error.contains("media type") && !provider.isReady, "\(error)")
    }

    /// The one that is compiled in is in force at once, whether somebody answers or not, and never after a newer one.
    @Test func compiledIn() async throws {
        let provider = try provider(shipped: RepositoryPhases.contents[2])
        #expect(provider.isReady && provider.status.isSuccess && provider.status.error == nil)
        #expect(provider.status.lastFetched == nil && provider.status != .notRead)
        #expect(provider.status.trustedRoot?.source.hasPrefix("compiled in") == true)
        let shipped = provider.fingerprintParts
        for phase in [0, 6] {
            let error = await look(provider, phase: phase, day: 1000)
            #expect(error.hasSuffix("the trusted root that is compiled in is in force"), "\(error)")
            #expect(provider.isReady && provider.fingerprintParts == shipped && !provider.status.isSuccess)
        }
        #expect(await look(provider, phase: 1, day: 1).isEmpty)
        #expect(provider.status.trustedRoot?.fingerprint == fingerprint(0))
        _ = await look(provider, phase: 0, day: 8)
        #expect(!provider.isReady)
    }

    /// A later process goes on from what an earlier one has kept.
    @Test func directory() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let earlier = try provider(directory: directory.path("state"))
        #expect(await look(earlier, phase: 3, day: 3).isEmpty)

        let later = TrustedRootProvider(
            name: "sigstore", origin: try phases.origin(directory: directory.path("state")))
        let error = await look(later, phase: 1, day: 4)
        #expect(error.contains("step 5.4.2"), "\(error)")
        #expect(later.status.trustedRoot?.fingerprint == fingerprint(1))

        // Of its own it would have been taken in by what is older.
        let forgetful = TrustedRootProvider(name: "sigstore", origin: try phases.origin())
        #expect(await look(forgetful, phase: 1, day: 4).isEmpty)
        #expect(forgetful.status.trustedRoot?.fingerprint == fingerprint(0))
    }

    @Test("notation-go CVE-2024-51491: a directory that cannot be written")
    func directoryThatCannotBeWritten() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let provider = try provider(directory: directory.write("x", to: "file"))
        #expect(await look(provider, phase: 1, day: 1).isEmpty)
        #expect(provider.isReady && provider.status.isSuccess)
        #expect(provider.status.warnings.first?.contains("may accept what is older") == true)
        _ = await look(provider, phase: 2, day: 2)
        #expect(notices.take() == ["forgetful", "fetched"])
        // For the life of the process it is known.
        #expect(await look(provider, phase: 1, day: 3).contains("step 5.4.3"))
    }

    /// Providers of the same repository, those of a newer configuration too, share what is known and one look at a time.
    @Test func isShared() async throws {
        let (one, two) = (try provider(), try provider())
        phases.phase = 1
        async let first: Void = one.refresh()
        async let second: Void = two.refresh()
        _ = await (first, second)
        #expect(phases.takeAsked().filter { $0 == "timestamp.json" }.count <= 2)
        #expect(one.generation == two.generation && two.isReady)
        let other = TrustedRootProvider(name: "other", origin: try phases.origin())
        #expect(!other.isReady)
        // Another repository with the same trusted root: one verifier for both.
        await other.refresh()
        #expect(other.fingerprintParts == one.fingerprintParts)
    }

    // MARK: When it is asked

    @Test func waits() async throws {
        let origin = try phases.origin(origins)
        let provider = TrustedRootProvider(name: "sigstore", origin: origin)
        let day = Duration.seconds(86_400)
        #expect(origin.wait(interval: day) == .zero)
        _ = await look(provider, phase: 1, day: 1)
        let usual = try #require(origin.wait(interval: day))
        #expect(usual > day * 0.85 && usual < day * 1.11)
        // Well before it ends: it is good for six days.
        let long = try #require(origin.wait(interval: day * 100))
        #expect(long > day * 2.6 && long < day * 3.4)
        phases.day = 6.9999
        #expect(try #require(origin.wait(interval: day)) <= .seconds(60))

        var last = Duration.zero
        for failure in 1...12 {
            _ = await look(provider, phase: 0, day: 2)
            let wait = try #require(origin.wait(interval: day))
            let bound = min(5.0 * Double(1 << (failure - 1)), 600)
            #expect(wait <= .seconds(bound) && wait > .seconds(bound / 2 - 5), "\(failure): \(wait)")
            last = wait
        }
        #expect(last > .seconds(290))
        // Nothing is in force: it is asked more often.
        _ = await look(provider, phase: 0, day: 8)
        #expect(try #require(origin.wait(interval: day)) <= .seconds(30))
    }

    /// What expires while nobody looks is looked at again, and those who listen hear of it.
    @Test(.timeLimit(.minutes(1))) func runLooksAgain() async throws {
        let provider = TrustedRootProvider(
            name: "sigstore", origin: try phases.origin(origins, retry: .milliseconds(5)))
        var changes = provider.changes().makeAsyncIterator()
        let running = Task { await provider.run() }
        while phases.takeAsked().isEmpty { try await Task.sleep(for: .milliseconds(2)) }
        #expect(!provider.isReady)
        phases.phase = 1
        let first = try #require(await changes.next())
        #expect(provider.isReady && provider.generation == first)
        running.cancel()
        await running.value
    }

    /// Over HTTP, from a server that is well, then is down in several ways, then has a new trusted root.
    @Test(.timeLimit(.minutes(1))) func overHTTP() async throws {
        let phases = phases
        phases.phase = 1
        let server = try ScriptedServer { request in
            let phase = phases.phase
            switch phase {
            case -1: return [.reply(500, body: "down")]
            case -2: return [.reply(302, headers: [("Location", "/1/timestamp.json")])]
            case -3: return [.close]
            default:
                guard let file = phases.files["\(phase)\(request.target)"] else { return [.reply(404, body: "none")] }
                return [.content(200, type: "application/json", file)]
            }
        }
        defer { server.stop() }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        let url = "http://127.0.0.1:\(server.port)"
        let place = RepositoryTrustedRoot.Place(url: url, root: phases.root)
        let fetcher = try HTTPRepositoryFetcher(url, http: http, timeout: .seconds(20))
        let origin = try RepositoryTrustedRoot(
            place, fetcher: fetcher, origins: origins, now: { RepositoryPhases.date(phases.day) })
        let provider = TrustedRootProvider(name: "sigstore", origin: origin)
        #expect(await look(provider, phase: 1, day: 1).isEmpty)
        let generation = provider.generation
        for (phase, words) in [(-1, "status 500"), (-2, "redirects"), (-3, "could not be fetched")] {
            let error = await look(provider, phase: phase, day: 2)
            #expect(error.contains(words) && error.contains("stays in force"), "\(error)")
            #expect(provider.isReady && provider.generation == generation)
        }
        #expect(await look(provider, phase: 3, day: 3).isEmpty)
        #expect(provider.generation > generation && provider.status.trustedRoot?.fingerprint == fingerprint(1))
    }
}
