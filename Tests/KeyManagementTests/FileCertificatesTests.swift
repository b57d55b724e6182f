import Foundation
import KeyManagement
import PKI
import Synchronization
import TestSupport
import Testing

@Suite final class FileCertificatesTests {
    private let directory: TemporaryDirectory
    private let one: Certificate
    private let two: Certificate

    init() throws {
        directory = try TemporaryDirectory()
        one = try CertificateAuthority(name: "one").certificate
        two = try CertificateAuthority(name: "two").certificate
    }

    deinit { directory.remove() }

    private func provider(_ paths: String..., limits: FileCertificates.Limits = .init()) throws -> FileCertificates {
        try FileCertificates(
            name: "files", paths: paths, interval: .milliseconds(5), limits: limits, home: directory.path)
    }

    @Test func aFileADirectoryAndAHomePathAreRead() throws {
        directory.write(one.pem, to: "store/one.pem")
        directory.write(two.der, to: "store/inner/two.der")
        let all = try provider(directory.path("store"))
        #expect(all.current() == nil)
        #expect(!all.status.isSuccess)
        all.load()
        // In the order of their names: "inner" comes before "one.pem".
        #expect(all.current()?.certificates == [two, one])
        #expect(all.status.isSuccess)
        let single = try provider("~/store/one.pem")
        single.load()
        #expect(single.current()?.certificates == [one])
        #expect(single.current()?.entries.map(\.name) == [directory.path("store/one.pem")])
        #expect(throws: KeyManagementError.self) { try provider() }
        #expect(throws: KeyManagementError.self) { try provider("") }
    }

    @Test func theGenerationChangesOnlyWithTheCertificates() throws {
        directory.write(one.pem, to: "one.pem")
        let provider = try provider(directory.path)
        provider.load()
        let first = provider.generation
        #expect(first == provider.current()?.generation)
        provider.load()
        directory.write("comment\n" + one.pem, to: "one.pem")
        provider.load()
        #expect(provider.generation == first)
        #expect(rename(directory.path("one.pem"), directory.path("uno.pem")) == 0)
        provider.load()
        #expect(provider.generation == first)
        #expect(provider.status.properties.map(\.name) == [directory.path("uno.pem")])
        directory.write(two.pem, to: "uno.pem")
        provider.load()
        #expect(provider.generation > first)
        #expect(provider.current()?.certificates == [two])
    }

    @Test func hiddenFilesAreSkipped() throws {
        directory.write(one.pem, to: "one.pem")
        directory.write("garbage", to: ".hidden")
        directory.write(two.pem, to: ".git/two.pem")
        let provider = try provider(directory.path)
        provider.load()
        #expect(provider.status.isSuccess)
        #expect(provider.current()?.certificates == [one])
    }

    /// A mounted ConfigMap: each name is a link into `..data`, which is a link to a directory that is replaced.
    @Test func theSwapOfAMountedConfigMapIsSeen() throws {
        let files = FileManager.default
        directory.write(one.pem, to: "..2026_01/ca.crt")
        try files.createSymbolicLink(atPath: directory.path("..data"), withDestinationPath: "..2026_01")
        try files.createSymbolicLink(atPath: directory.path("ca.crt"), withDestinationPath: "..data/ca.crt")
        let provider = try provider(directory.path)
        provider.load()
        #expect(provider.current()?.certificates == [one])
        directory.write(two.pem, to: "..2026_02/ca.crt")
        try files.createSymbolicLink(atPath: directory.path("..data_tmp"), withDestinationPath: "..2026_02")
        #expect(rename(directory.path("..data_tmp"), directory.path("..data")) == 0)
        provider.load()
        #expect(provider.current()?.certificates == [two])
    }

    @Test func oneBrokenCertificateOfAFileLeavesItsOthersInForce() throws {
        directory.write(PEM(label: "CERTIFICATE", der: [0x30, 0x00]).text + one.pem, to: "a.pem")
        let provider = try provider(directory.path)
        for _ in 0..<2 {
            provider.load()
            #expect(provider.current()?.certificates == [one])
            #expect(provider.status.error?.contains("a.pem: PEM block 1") == true)
            #expect(provider.status.error?.contains("its other certificates are in force") == true)
        }
        directory.write(one.pem, to: "a.pem")
        provider.load()
        #expect(provider.status.isSuccess)
    }

    @Test func aFileThatBreaksKeepsWhatItHeldAndTheOthersGoOn() throws {
        directory.write(one.pem, to: "a.pem")
        let provider = try provider(directory.path)
        provider.load()
        let generation = provider.generation
        directory.write(String(one.pem.prefix(200)), to: "a.pem")
        provider.load()
        #expect(provider.generation == generation)
        #expect(provider.current()?.certificates == [one])
        #expect(!provider.status.isSuccess)
        let error = try #require(provider.status.error)
        #expect(error.contains(directory.path("a.pem")), "\(error)")
        #expect(error.contains("has no END line; what it held before stays in force"), "\(error)")
        #expect((provider.status.briefError?.count ?? 0) <= 80)

        directory.write(two.pem, to: "b.pem")
        provider.load()
        #expect(provider.current()?.certificates == [one, two])
        #expect(!provider.status.isSuccess)

        directory.write(two.pem, to: "a.pem")
        provider.load()
        #expect(provider.status.isSuccess)
        #expect(provider.current()?.certificates == [two])
    }

    @Test func aFileThatIsGoneTakesItsCertificatesAndAnEmptyDirectoryTrustsNothing() throws {
        directory.write(one.pem, to: "certs/a.pem")
        directory.write(two.pem, to: "certs/b.pem")
        let provider = try provider(directory.path("certs"))
        provider.load()
        try FileManager.default.removeItem(atPath: directory.path("certs/a.pem"))
        provider.load()
        #expect(provider.current()?.certificates == [two])
        let generation = provider.generation
        try FileManager.default.removeItem(atPath: directory.path("certs/b.pem"))
        provider.load()
        #expect(provider.current() == nil)
        #expect(provider.generation > generation)
        #expect(provider.status.error == "there is no certificate")
        #expect(provider.status.properties.isEmpty)
    }

    @Test func aDirectoryThatVanishesLeavesTheLastGoodSet() throws {
        directory.write(one.pem, to: "certs/a.pem")
        directory.write(two.pem, to: "other.pem")
        let provider = try provider(directory.path("certs"), directory.path("other.pem"))
        provider.load()
        let generation = provider.generation
        #expect(rename(directory.path("certs"), directory.path("moved")) == 0)
        provider.load()
        #expect(Set(provider.current()?.certificates ?? []) == [one, two])
        #expect(provider.status.error?.contains("certs does not exist") == true, "\(provider.status)")
        #expect(rename(directory.path("moved"), directory.path("certs")) == 0)
        provider.load()
        #expect(provider.status.isSuccess)
        #expect(provider.current()?.certificates == [one, two])
        #expect(provider.generation >= generation)
    }

    @Test func whatIsTooLargeOrNoFileIsRefused() throws {
        var limits = FileCertificates.Limits()
        limits.maximumFileBytes = 100
        directory.write(one.pem, to: "one.pem")
        let small = try provider(directory.path, limits: limits)
        small.load()
        #expect(small.current() == nil)
        #expect(small.status.error?.contains("has more than 100 bytes") == true)
        limits = .init()
        limits.maximumFiles = 1
        directory.write(two.pem, to: "two.pem")
        let few = try provider(directory.path, limits: limits)
        few.load()
        #expect(few.status.error?.contains("more than 1 files") == true)
        #expect(mkfifo(directory.path("pipe"), 0o600) == 0)
        let pipe = try provider(directory.path("pipe"))
        pipe.load()
        #expect(pipe.status.error?.contains("neither a file nor a directory") == true)
        try FileManager.default.createSymbolicLink(atPath: directory.path("loop"), withDestinationPath: "loop")
        let loop = try provider(directory.path("loop"))
        loop.load()
        #expect(loop.status.error?.contains("leads in a circle") == true)
    }

    @Test(.timeLimit(.minutes(1))) func runSeesChangesAndTellsOfThem() async throws {
        directory.write(one.pem, to: "one.pem")
        let provider = try provider(directory.path)
        var changes = provider.changes().makeAsyncIterator()
        let running = Task { await provider.run() }
        let first = try #require(await changes.next())
        #expect(provider.current()?.certificates == [one])
        directory.write(two.pem, to: "two.pem")
        let second = try #require(await changes.next())
        #expect(second > first)
        #expect(provider.current()?.certificates == [one, two])
        running.cancel()
        await running.value
    }
}
