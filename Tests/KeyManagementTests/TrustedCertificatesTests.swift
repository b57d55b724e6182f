import Foundation
import KeyManagement
import PKI
import Synchronization
import TestSupport
import Testing

@Suite struct TrustedCertificatesTests {
    private func inline(_ name: String) throws -> InlineCertificates {
        try InlineCertificates(
            name: name, contentType: "certificate", value: CertificateAuthority(name: name).certificate.pem, now: Date()
        )
    }

    private func reason(_ trusted: TrustedCertificates, _ name: String) -> String {
        do { return "found \(try trusted.certificates(named: name).certificates.count)" } catch { return "\(error)" }
    }

    @Test func lookupsFailClosedAndNameTheProvider() throws {
        let files = try FileCertificates(name: "files", paths: ["/nowhere/at-all"])
        files.load()
        let trusted = TrustedCertificates([try inline("a"), files])
        #expect(reason(trusted, "a") == "found 1")
        #expect(reason(trusted, "b") == "there is no key management provider \"b\"; there are: \"a\", \"files\"")
        #expect(reason(trusted, "files").contains("\"files\" has no certificates: /nowhere/at-all does not exist"))
        #expect(reason(TrustedCertificates(), "a") == "there is no key management provider \"a\"")
        #expect(trusted.missing.count == 1)
        #expect(trusted.missing.first?.hasPrefix("files: ") == true)
    }

    @Test func theGenerationGrowsWithEveryChangeAndOnlyThen() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let files = try FileCertificates(name: "files", paths: [directory.path])
        let trusted = TrustedCertificates([files, try inline("a")])
        var last = trusted.generation
        func grew() -> Bool {
            defer { last = trusted.generation }
            return trusted.generation > last
        }
        #expect(!grew())
        directory.write(try CertificateAuthority(name: "x").certificate.pem, to: "x.pem")
        files.load()
        #expect(grew())
        files.load()
        #expect(!grew())
        try FileManager.default.removeItem(atPath: directory.path("x.pem"))
        files.load()
        #expect(grew())
        trusted.add(try inline("b"))
        #expect(grew())
        trusted.remove(named: "b")
        #expect(grew())
        trusted.remove(named: "b")
        #expect(!grew())
    }

    private func key(_ name: String, _ key: PublicKey) throws -> InlineCertificates {
        try InlineCertificates(
            name: name, contentType: "key", value: PEM(label: "PUBLIC KEY", der: key.spkiDER).text, now: Date())
    }

    @Test func lookupsOfKeysFailClosedAndNameTheProvider() throws {
        func reason(_ trusted: TrustedCertificates, _ name: String) -> String {
            do { return "found \(try trusted.keys(named: name).count)" } catch { return "\(error)" }
        }
        let files = try FileKeys(name: "files", paths: ["/nowhere/at-all"])
        files.load()
        let trusted = TrustedCertificates([
            try inline("a"), try key("k", PrivateKey.generate(.ec(.p256)).publicKey), files,
        ])
        #expect(reason(trusted, "k") == "found 1")
        #expect(reason(trusted, "b") == "there is no key management provider \"b\"; there are: \"a\", \"files\", \"k\"")
        #expect(reason(trusted, "a").contains("\"a\" holds certificates only; this needs public keys"))
        #expect(reason(trusted, "files").contains("\"files\" has no public keys: /nowhere/at-all does not exist"))
        #expect(trusted.missing.map { $0.prefix(7) } == ["files: "])
    }

    /// Replicas share verdicts by the fingerprint.
    @Test func theFingerprintTellsKeysApart() throws {
        let keys = try (0..<2).map { _ in try PrivateKey.generate(.ec(.p256)).publicKey }
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let certificate = try inline("c")
        func fingerprint(_ providers: [any CertificateProvider]) -> String {
            TrustedCertificates(providers).fingerprint
        }
        let one = fingerprint([certificate, try key("k", keys[0])])
        #expect(one == fingerprint([try key("k", keys[0]), certificate]))
        #expect(one != fingerprint([certificate, try key("k", keys[1])]))
        #expect(one != fingerprint([certificate, try key("l", keys[0])]))
        #expect(one != fingerprint([certificate]))
        // The same key under another name is another one: a trust policy may ask for the name.
        directory.write(PEM(label: "PUBLIC KEY", der: keys[0].spkiDER).text, to: "a")
        directory.write(PEM(label: "PUBLIC KEY", der: keys[0].spkiDER).text, to: "b")
        let named = try ["a", "b"].map { name in
            let provider = try FileKeys(name: "k", paths: [directory.path(name)])
            provider.load()
            return fingerprint([provider])
        }
        #expect(named[0] != named[1])
    }

    @Test func theGenerationGrowsWhenAKeyIsReplaced() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let keys = try (0..<2).map { _ in try PrivateKey.generate(.ec(.p256)).publicKey }
        func write(_ key: PublicKey) { directory.write(PEM(label: "PUBLIC KEY", der: key.spkiDER).text, to: "key") }
        write(keys[0])
        let files = try FileKeys(name: "files", paths: [directory.path("key")])
        files.load()
        let trusted = TrustedCertificates([files, try inline("a")])
        let (generation, fingerprint) = (trusted.generation, trusted.fingerprint)
        files.load()
        #expect(trusted.generation == generation)
        write(keys[1])
        files.load()
        #expect(trusted.generation > generation && trusted.fingerprint != fingerprint)
        write(keys[0])
        files.load()
        #expect(trusted.generation > generation && trusted.fingerprint == fingerprint)
    }

    /// Whichever of two providers changed last in the order of the numbers: a change of either is a change of all.
    @Test func aChangeWithALowerNumberIsSeenToo() throws {
        final class Numbered: CertificateProvider {
            let name: String
            let type = "test"
            let offersCertificates = true
            let status = ProviderStatus.notRead
            private let number = Mutex<UInt64>(1)
            init(_ name: String) { self.name = name }
            var generation: UInt64 {
                get { number.withLock { $0 } }
                set { number.withLock { $0 = newValue } }
            }
            func current() -> CertificateSet? { nil }
            func refresh() async {}
            func run() async {}
            func changes() -> AsyncStream<UInt64> { AsyncStream { $0.finish() } }
        }
        let (one, two) = (Numbered("one"), Numbered("two"))
        let trusted = TrustedCertificates([one, two])
        var last = trusted.generation
        for change in [{ two.generation = 1_000 }, { one.generation = 999 }, { one.generation = 998 }] {
            change()
            #expect(trusted.generation > last)
            last = trusted.generation
            #expect(trusted.generation == last)
        }
    }
}
