import Foundation
import KeyManagement
import PKI
import TestSupport
import Testing

@Suite final class FileKeysTests {
    private let directory: TemporaryDirectory
    private let one: PublicKey
    private let two: PublicKey

    init() throws {
        directory = try TemporaryDirectory()
        one = try PrivateKey.generate(.ec(.p256)).publicKey
        two = try PrivateKey.generate(.ec(.p384)).publicKey
    }

    deinit { directory.remove() }

    private func pem(_ key: PublicKey) -> String { PEM(label: "PUBLIC KEY", der: key.spkiDER).text }

    private func provider(_ paths: String...) throws -> FileKeys {
        try FileKeys(name: "keys", paths: paths, interval: .milliseconds(5), home: directory.path)
    }

    @Test func eachFileGivesItsKeyByItsPath() throws {
        directory.write(pem(one), to: "one.pub")
        directory.write(pem(two), to: "two.pub")
        let provider = try provider(directory.path("one.pub"), "~/two.pub")
        #expect(provider.keys.isEmpty && !provider.isReady && !provider.offersCertificates && provider.offersKeys)
        provider.load()
        #expect(provider.keys.map(\.key) == [one, two])
        #expect(provider.keys.map(\.name) == [directory.path("one.pub"), "~/two.pub"])
        #expect(provider.isReady && provider.status.isSuccess && provider.current() == nil)
        #expect(try TrustedCertificates([provider]).keys(named: "keys").count == 2)
    }

    @Test func aFileThatBreaksOrGoesKeepsItsKeyAndTheOthersGoOn() throws {
        directory.write(pem(one), to: "one.pub")
        directory.write(pem(two), to: "two.pub")
        let provider = try provider(directory.path("one.pub"), directory.path("two.pub"))
        provider.load()
        let generation = provider.generation
        provider.load()
        #expect(provider.generation == generation)
        directory.write(String(pem(one).prefix(60)), to: "one.pub")
        try FileManager.default.removeItem(atPath: directory.path("two.pub"))
        provider.load()
        #expect(provider.keys.map(\.key) == [one, two] && provider.generation == generation)
        let error = try #require(provider.status.error)
        #expect(error.contains("one.pub holds no public key that can be read"), "\(error)")
        #expect(error.contains("two.pub does not exist; the key it held before stays in force"), "\(error)")
        // Another key takes the place of the former.
        directory.write(pem(two), to: "one.pub")
        provider.load()
        #expect(provider.keys.map(\.key) == [two, two] && provider.generation > generation)
        #expect(!provider.status.isSuccess)
        directory.write(pem(two), to: "two.pub")
        provider.load()
        #expect(provider.status.isSuccess)
    }

    @Test func whatIsNoKeyGivesNone() throws {
        let certificate = try CertificateAuthority(name: "root").certificate
        for (content, reason) in [
            (certificate.pem, "found CERTIFICATE"), (pem(one) + pem(two), "2 PEM blocks"),
            ("", "there is no public key; expected"),
            (PEM(label: "PRIVATE KEY", der: [1]).text, "PRIVATE KEY"),
            (String(repeating: "x", count: FileKeys.maximumFileBytes + 1), "more than 65536 bytes"),
        ] {
            directory.write(content, to: "key.pub")
            let provider = try provider(directory.path("key.pub"))
            provider.load()
            #expect(provider.keys.isEmpty && !provider.isReady)
            #expect(provider.status.error?.contains(reason) == true, "\(provider.status.error ?? "")")
            let error = #expect(throws: KeyManagementError.self) {
                try TrustedCertificates([provider]).keys(named: "keys")
            }
            #expect(error?.kind == .noKeys && error?.description.contains(reason) == true)
        }
        #expect(throws: KeyManagementError.self) { try provider() }
        #expect(throws: KeyManagementError.self) { try provider("") }
        #expect(throws: KeyManagementError.self) {
            try FileKeys(name: "many", paths: (0...FileKeys.maximumFiles).map { "/k/\($0)" })
        }
    }

    @Test(.timeLimit(.minutes(1))) func runSeesChangesAndTellsOfThem() async throws {
        directory.write(pem(one), to: "one.pub")
        let provider = try provider(directory.path("one.pub"))
        var changes = provider.changes().makeAsyncIterator()
        let running = Task { await provider.run() }
        let first = try #require(await changes.next())
        #expect(provider.keys.map(\.key) == [one])
        directory.write(pem(two), to: "one.pub")
        let second = try #require(await changes.next())
        #expect(second > first && provider.keys.map(\.key) == [two])
        running.cancel()
        await running.value
    }
}
