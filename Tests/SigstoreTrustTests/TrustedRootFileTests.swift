import Foundation
import KeyManagement
import Sigstore
import TestSupport
import Testing

@testable import SigstoreTrust

/// A trusted root in a file, or in the configuration itself.
@Suite final class TrustedRootFileTests {
    private let directory: TemporaryDirectory
    private let origins = TrustedRootOrigins()
    private let contents = RepositoryPhases.contents

    init() throws { directory = try TemporaryDirectory() }

    deinit { directory.remove() }

    private func provider() -> TrustedRootProvider {
        TrustedRootProvider(
            name: "file", origin: origins.file(directory.path("root.json")), interval: .milliseconds(5))
    }

    @Test func isReadAtOnceAndWhenItChanges() async throws {
        directory.write(contents[0], to: "root.json")
        let provider = provider()
        #expect(provider.isReady && provider.status.isSuccess && provider.status.lastFetched != nil)
        #expect(provider.status.trustedRoot?.source.contains("root.json") == true && !provider.isFixed)
        let (generation, parts) = (provider.generation, provider.fingerprintParts)
        await provider.refresh()
        #expect(provider.generation == generation)
        directory.write(contents[1], to: "root.json")
        await provider.refresh()
        #expect(provider.generation > generation && provider.fingerprintParts != parts)
    }

    /// Half of a file, no file, one that is too long, one of something else: what was stays, also in a provider that a
    /// new configuration makes.
    @Test func aFileThatBreaksKeepsWhatItHeld() async throws {
        directory.write(contents[0], to: "root.json")
        let provider = provider()
        let generation = provider.generation
        for (content, reason) in [
            (String(contents[1].prefix(80)), "is not JSON"), ("", "is not JSON"), ("{}", "mediaType"),
            (String(repeating: " ", count: SigstoreLimits.trustedRootBytes + 1), "bytes"), (nil, "root.json"),
        ] as [(String?, String)] {
            if let content {
                directory.write(content, to: "root.json")
            } else {
                try FileManager.default.removeItem(atPath: directory.path("root.json"))
            }
            await provider.refresh()
            #expect(provider.isReady && provider.generation == generation && !provider.status.isSuccess)
            let error = try #require(provider.status.error)
            #expect(error.contains(reason) && error.hasSuffix("what it held before stays in force"), "\(error)")
            #expect(self.provider().isReady)
        }
        directory.write(contents[1], to: "root.json")
        await provider.refresh()
        #expect(provider.status.isSuccess && provider.generation > generation)
    }

    @Test func aFileThatWasNeverGoodGivesNothing() async throws {
        let provider = provider()
        #expect(!provider.isReady && provider.generation == 0 && provider.status.isConfiguration)
        let error = #expect(throws: KeyManagementError.self) {
            try TrustedCertificates([provider]).bundleVerifier(named: "file")
        }
        #expect(error?.kind == .noTrustedRoot && error?.isConfiguration == true)
        #expect(error?.description.contains("root.json") == true && error?.description.contains("stays") == false)
    }

    @Test(.timeLimit(.minutes(1))) func runSeesChangesAndTellsOfThem() async throws {
        let provider = provider()
        var changes = provider.changes().makeAsyncIterator()
        let running = Task { await provider.run() }
        directory.write(contents[0], to: "root.json")
        let first = try #require(await changes.next())
        directory.write(contents[1], to: "root.json")
        let second = try #require(await changes.next())
        #expect(second > first && provider.isReady)
        running.cancel()
        await running.value
    }

    // MARK: In the configuration

    @Test func theConfigurationItself() async throws {
        let provider = TrustedRootProvider(
            name: "inline", origin: try FixedTrustedRoot(json: TrustedRoot.publicGoodJSON, origins: origins))
        let generation = provider.generation
        #expect(provider.isReady && provider.isFixed && provider.status.isSuccess && generation > 0)
        await provider.refresh()
        await provider.run()
        #expect(provider.generation == generation)
        let root = try #require(provider.status.trustedRoot)
        #expect(root.transparencyLogs == 2 && root.certificateAuthorities > 0 && root.certificateLogs > 0)
    }

    @Test func aBrokenRootIsRefused() {
        for content in ["", "{}", String(contents[0].dropLast()), contents[0].replacing("0.1", with: "7")] {
            #expect(throws: TrustedRootError.self) {
                try FixedTrustedRoot(json: Array(content.utf8), origins: self.origins)
            }
        }
    }

    /// The same root from two places has one verifier, which is forgotten with the last who use it.
    @Test func oneVerifierForOneRoot() throws {
        let bytes = Array(contents[0].utf8)
        var one: LoadedRoot? = try origins.roots.root(parsing: bytes)
        #expect(try origins.roots.root(parsing: bytes) === one)
        #expect(try origins.roots.root(parsing: Array(contents[1].utf8)) !== one)
        weak let former = one
        one = nil
        #expect(former == nil)
    }
}
