import Azure
import Foundation
import KeyManagement
import PKI
import Synchronization
import TestSupport
import Testing

/// Certificates of a vault as a source of trust.
@Suite struct KeyVaultCertificatesTests {
    private let root: CertificateAuthority
    private let issuing: CertificateAuthority
    private let signer: Identity

    init() throws {
        root = try CertificateAuthority(name: "root")
        issuing = try root.intermediate("issuing")
        signer = try issuing.issue(.codeSigning("signer"))
    }

    private func object(_ name: String, _ version: String = "", history: Int = 0) throws -> KeyVaultObject {
        try KeyVaultObject(name: name, version: version, versionHistoryLimit: history)
    }

    private func selfSigned(_ name: String) throws -> Identity {
        try CertificateAuthority(.codeSigning(name)).identity
    }

    private func states(_ provider: KeyVaultCertificates) -> [String] {
        provider.status.properties.map { "\($0.name) \($0.state)" }
    }

    @Test func authoritiesOfTheChainAreTrustedAndTheLeafIsNot() async throws {
        try await withAzure { azure in
            let version = try azure.azure.addCertificate("release", signer, form: .pkcs12)
            let provider = try azure.provider([object("release")])
            #expect(provider.current() == nil && !provider.isReady)
            await provider.refresh()
            let set = try #require(provider.current())
            #expect(Set(set.certificates) == [root.certificate, issuing.certificate])
            #expect(provider.status.isSuccess && provider.status.lastFetched != nil)
            #expect(Set(provider.status.properties.map(\.version)) == [version])
            #expect(provider.status.properties.count { $0.state.hasPrefix("refused") } == 1)
            // The same chain again is no change.
            await provider.refresh()
            #expect(provider.current()?.generation == set.generation)
        }
    }

    @Test func aLeafAloneMakesNothingTrustedAndSaysWhatToDo() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer, form: .pkcs12, chain: false)
            try azure.azure.addCertificate("own", selfSigned("own"), form: .pkcs12, chain: false)
            let alone = try azure.provider([object("release")])
            await alone.refresh()
            #expect(alone.current() == nil && !alone.status.isSuccess)
            #expect(alone.status.error?.contains("import it with its whole chain") == true)
            let both = try azure.provider([object("release"), object("own")])
            await both.refresh()
            #expect(both.current()?.certificates.count == 1 && !both.status.isSuccess)
        }
    }

    @Test func oneDisabledCertificateOfThreeTakesNoOtherDown() async throws {
        try await withAzure { azure in
            let identities = try ["a", "b", "c"].map { try selfSigned($0) }
            var versions: [String] = []
            for (name, identity) in zip(["a", "b", "c"], identities) {
                versions.append(try azure.azure.addCertificate(name, identity))
            }
            azure.azure.setEnabled(versions[1], false)
            let provider = try azure.provider(["a", "b", "c"].map { try object($0) })
            await provider.refresh()
            #expect(
                Set(provider.current()?.certificates ?? []) == [identities[0].certificate, identities[2].certificate])
            #expect(provider.status.isSuccess, "\(provider.status.error ?? "")")
            let disabled = try #require(provider.status.properties.first { $0.name == "b" })
            #expect(disabled.state == "disabled" && !disabled.isEnabled && disabled.version == versions[1])
            #expect(disabled.subject.contains("CN=b"))
            // Disabled later takes effect; enabled again too.
            azure.azure.setEnabled(versions[0], false)
            azure.azure.setEnabled(versions[1], true)
            await provider.refresh()
            #expect(
                Set(provider.current()?.certificates ?? []) == [identities[1].certificate, identities[2].certificate])
        }
    }

    @Test func whatIsForbiddenOrBrokenKeepsWhatItHad() async throws {
        try await withAzure { azure in
            let identities = try ["a", "b"].map { try selfSigned($0) }
            try azure.azure.addCertificate("a", identities[0])
            let second = try azure.azure.addCertificate("b", identities[1])
            let provider = try azure.provider([object("a"), object("b"), object("c")])
            await provider.refresh()
            #expect(provider.current()?.certificates.count == 2)
            #expect(provider.status.error?.contains("SecretNotFound") == true)
            #expect(states(provider).contains("c not in the vault"))
            azure.azure.setForbidden("a", true)
            azure.azure.replaceSecret(second, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
            await provider.refresh()
            #expect(provider.current()?.certificates.count == 2)
            let error = try #require(provider.status.error)
            #expect(
                error.contains("ForbiddenByRbac") && error.contains("stays in force") && error.contains("not a cert"))
            // What was never read has nothing to keep.
            let late = try azure.provider([object("a"), object("b")])
            await late.refresh()
            #expect(late.current() == nil && !late.isReady)
            // Deleted is an answer.
            azure.azure.deleteCertificate("a")
            azure.azure.deleteCertificate("b")
            await provider.refresh()
            #expect(provider.current() == nil && !provider.isReady)
        }
    }

    @Test func theLastGoodSetStaysWhileTheVaultIsDown() async throws {
        try await withAzure { azure in
            let identity = try selfSigned("a")
            try azure.azure.addCertificate("a", identity)
            let notices = Mutex<[KeyVaultNotice]>([])
            let provider = try azure.provider(
                [object("a")], interval: .milliseconds(50), notice: { notice in notices.withLock { $0.append(notice) } }
            )
            let running = Task { await provider.run() }
            defer { running.cancel() }
            try await eventually { provider.isReady }
            let generation = provider.generation
            azure.azure.inject(.status(503), path: "/secrets/a")
            try await eventually { !provider.status.isSuccess }
            let fetched = try #require(provider.status.lastFetched)
            #expect(provider.current()?.certificates == [identity.certificate])
            #expect(provider.status.error?.contains(fetched.formatted(.iso8601).prefix(13)) == true)
            azure.azure.clearFaults()
            try await eventually { provider.status.isSuccess }
            #expect(provider.generation == generation)
            // One word for each change, however often it was looked at.
            let told = notices.withLock { $0 }
            #expect(told.first == .refreshed(certificates: 1, keys: 0) && told.last == told.first, "\(told)")
            #expect(told.count == 3, "\(told)")
        }
    }

    @Test func aVaultThatIsDownAtTheStartIsAskedUntilItAnswers() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("a", selfSigned("a"))
            azure.azure.inject(.status(500), path: "/secrets/a")
            // Read once only, but until it succeeds.
            let provider = try azure.provider([object("a")], interval: .zero)
            let running = Task { await provider.run() }
            try await eventually { provider.status.error?.contains("500") == true }
            #expect(!TrustedCertificates([provider]).missing.isEmpty)
            azure.azure.clearFaults()
            await running.value
            #expect(provider.isReady && provider.status.isSuccess)
        }
    }

    @Test func rotationKeepsFormerVersionsByHistoryAndByName() async throws {
        try await withAzure { azure in
            let identities = try (0..<4).map { try selfSigned("v\($0)") }
            var versions: [String] = []
            for identity in identities[..<3] { versions.append(try azure.azure.addCertificate("a", identity)) }
            func certificates(_ provider: KeyVaultCertificates) async -> [Certificate] {
                await provider.refresh()
                return provider.current()?.certificates ?? []
            }
            let newest = try azure.provider([object("a")])
            let two = try azure.provider([object("a", history: 2)])
            let named = try azure.provider([object("a", versions[1], history: 1)])
            let one = try azure.provider([object("a", versions[0])])
            #expect(await certificates(newest) == [identities[2].certificate])
            #expect(await certificates(two) == [identities[2].certificate, identities[1].certificate])
            #expect(await certificates(named) == [identities[1].certificate, identities[0].certificate])
            #expect(await certificates(one) == [identities[0].certificate])
            // A version that is not enabled counts, as in Ratify.
            versions.append(try azure.azure.addCertificate("a", identities[3]))
            azure.azure.setEnabled(versions[3], false)
            #expect(await certificates(two) == [identities[2].certificate])
            #expect(states(two) == ["a in force", "a disabled"])
            #expect(await certificates(newest).isEmpty)
            // One that cannot be read keeps itself; those that left the window go.
            azure.azure.setEnabled(versions[3], true)
            azure.azure.inject(.status(403), path: "/secrets/a/\(versions[2])")
            #expect(await certificates(two) == [identities[3].certificate, identities[2].certificate])
            #expect(!two.status.isSuccess)
        }
    }

    @Test func privateKeysAreDroppedWithAWarning() async throws {
        try await withAzure { azure in
            let identity = try selfSigned("a")
            try azure.azure.addCertificate("a", identity, form: .pkcs12, isExportable: true)
            try azure.azure.addCertificate("b", selfSigned("b"), isExportable: true)
            let notices = Mutex<[KeyVaultNotice]>([])
            let provider = try azure.provider(
                [object("a"), object("b")], notice: { notice in notices.withLock { $0.append(notice) } })
            await provider.refresh()
            await provider.refresh()
            #expect(provider.status.isSuccess && provider.status.warnings.count == 2)
            #expect(provider.status.warnings.allSatisfy { $0.contains("non-exportable") })
            #expect(notices.withLock { $0.count { if case .exportableKey = $0 { true } else { false } } } == 2)
            #expect(!"\(provider.status)".contains("PRIVATE"))
        }
    }

    @Test func publicKeysAreListed() async throws {
        try await withAzure { azure in
            let keys = try [PublicKey.Kind.rsa(bits: 2048), .ec(.p256), .ec(.p384), .ec(.p521)].map {
                try TestKeys.key($0)
            }
            for (index, key) in keys.enumerated() { azure.azure.addKey("k\(index)", key) }
            let former = azure.azure.addKey("k4", keys[1])
            azure.azure.addKey("k4", keys[2])
            azure.azure.setEnabled(former, false)
            let provider = try azure.provider(
                [], keys: (0..<4).map { try object("k\($0)") } + [object("k4", history: 2)])
            await provider.refresh()
            #expect(provider.status.isSuccess && provider.isReady && !provider.offersCertificates)
            #expect(provider.status.keys.map(\.fingerprint).prefix(4) == keys.map { $0.publicKey.sha256Hex }[...])
            #expect(provider.status.keys.map(\.kind).prefix(4) == ["RSA-2048", "EC P-256", "EC P-384", "EC P-521"])
            #expect(provider.status.keys.suffix(2).map(\.state) == ["in force", "disabled"])
            // What is disabled is listed and not given.
            #expect(provider.keys.map(\.name) == ["k0", "k1", "k2", "k3", "k4"])
            #expect(provider.keys.map(\.key) == (keys + [keys[2]]).map(\.publicKey))
            #expect(provider.keys.allSatisfy { !$0.version.isEmpty && $0.version != former })
        }
    }

    /// What the vault takes away or replaces is out of force with the next look, and its generation is gone with it.
    @Test func keysAreTakenAwayAndRotated() async throws {
        try await withAzure { azure in
            let keys = try [TestKeys.key(.ec(.p256)), TestKeys.key(.ec(.p384)), TestKeys.key(.rsa(bits: 2048))]
            var versions = [azure.azure.addKey("a", keys[0])]
            azure.azure.addKey("b", keys[1])
            let provider = try azure.provider([], keys: [object("a"), object("b")])
            let trusted = TrustedCertificates([provider])
            var (generation, fingerprints) = (trusted.generation, [trusted.fingerprint])
            func look() async -> [PublicKey] {
                await provider.refresh()
                return provider.keys.map(\.key)
            }
            func changed() -> Bool {
                defer {
                    generation = trusted.generation
                    fingerprints.append(trusted.fingerprint)
                }
                return trusted.generation > generation && !fingerprints.contains(trusted.fingerprint)
            }
            #expect(await look() == [keys[0], keys[1]].map(\.publicKey) && changed())
            #expect(await look().count == 2 && !changed())
            // Rotated: the newest counts, without its name changing.
            versions.append(azure.azure.addKey("a", keys[2]))
            #expect(await look() == [keys[2], keys[1]].map(\.publicKey) && changed())
            // The same key as another version is another one.
            versions.append(azure.azure.addKey("a", keys[2]))
            #expect(await look() == [keys[2], keys[1]].map(\.publicKey) && changed())
            #expect(provider.keys.first?.version == versions[2])
            azure.azure.setEnabled(versions[2], false)
            #expect(await look() == [keys[1].publicKey] && changed())
            #expect(provider.isReady && provider.status.isSuccess)
            azure.azure.deleteKey("b")
            fingerprints = []
            #expect(await look().isEmpty && changed())
            #expect(!provider.isReady && !provider.status.isSuccess)
            let error = #expect(throws: KeyManagementError.self) { try trusted.keys(named: "vault") }
            #expect(error?.kind == .noKeys && error?.isConfiguration == true)
            #expect(error?.description.contains("KeyNotFound") == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("a/\(versions[2]): disabled") == true, "\(error?.description ?? "")")
        }
    }

    @Test func keysThatCannotBeReadStayAndThoseNeverReadAreNotGiven() async throws {
        try await withAzure { azure in
            let keys = try [TestKeys.key(.ec(.p256)), TestKeys.key(.ec(.p384)), TestKeys.key(.rsa(bits: 2048))]
            let first = azure.azure.addKey("a", keys[0])
            azure.azure.addKey("b", keys[1])
            let provider = try azure.provider([], keys: [object("a", history: 2), object("b")])
            await provider.refresh()
            let generation = provider.generation
            let second = azure.azure.addKey("a", keys[2])
            azure.azure.inject(.status(403), path: "/keys/a/\(second)")
            azure.azure.inject(.status(503), path: "/keys/b")
            await provider.refresh()
            #expect(provider.keys.map(\.key) == [keys[0], keys[1]].map(\.publicKey))
            #expect(provider.keys.first?.version == first && provider.generation == generation)
            #expect(!provider.status.isSuccess && provider.isReady)
            #expect(provider.status.keys.map(\.isEnabled) == [true, true, true])
            #expect(provider.status.keys.first?.state.hasPrefix("cannot be read") == true)
            // In the place of another provider it begins with the same keys; a stranger's with none.
            let next = try azure.provider([], keys: [object("b")], former: provider)
            #expect(next.keys.map(\.key) == [keys[1].publicKey])
            #expect(try azure.provider([], keys: [object("b")]).keys.isEmpty)
            azure.azure.clearFaults()
            await provider.refresh()
            #expect(provider.keys.map(\.key) == [keys[2], keys[0], keys[1]].map(\.publicKey))
        }
    }

    @Test func certificatesAndKeysOfOneVaultAreBothGiven() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer, form: .pkcs12)
            let key = try TestKeys.key(.ec(.p256))
            let version = azure.azure.addKey("k", key)
            let provider = try azure.provider([object("release")], keys: [object("k")])
            await provider.refresh()
            #expect(provider.current()?.certificates.count == 2 && provider.keys.map(\.key) == [key.publicKey])
            let (set, generation) = (provider.current()?.generation, provider.generation)
            // A key that goes changes the generation and not that of the certificates, which caches of chains use.
            azure.azure.setEnabled(version, false)
            await provider.refresh()
            #expect(provider.keys.isEmpty && provider.generation > generation)
            #expect(provider.current()?.generation == set && provider.isReady)
            let error = #expect(throws: KeyManagementError.self) {
                try TrustedCertificates([provider]).keys(named: "vault")
            }
            #expect(error?.description.contains("k/\(version): disabled") == true, "\(error?.description ?? "")")
        }
    }

    @Test func anotherConfigurationBeginsWithWhatIsKnown() async throws {
        try await withAzure { azure in
            let identity = try selfSigned("a")
            try azure.azure.addCertificate("a", identity)
            let former = try azure.provider([object("a")])
            await former.refresh()
            let next = try azure.provider([object("a"), object("b")], former: former)
            #expect(next.current()?.certificates == [identity.certificate])
            #expect(try azure.provider([object("b")], former: former).current() == nil)
        }
    }

    @Test func oneLookServesAllWhoAskAndIsMeasured() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("a", selfSigned("a"))
            azure.azure.inject(.delay(.milliseconds(200)), path: "/secrets/a", count: 1)
            let seen = Mutex<[AzureExchange]>([])
            let provider = try azure.provider(
                [object("a"), object("b")], observe: { exchange in seen.withLock { $0.append(exchange) } })
            await withDiscardingTaskGroup { group in
                for _ in 0..<10 { group.addTask { await provider.refresh() } }
            }
            #expect(azure.azure.count("/secrets/a") <= 2)
            #expect(Set(seen.withLock { $0.map(\.kind) }) == [.vaultObject("a"), .vaultObject("b")])
        }
    }

    private func eventually(_ condition: () -> Bool) async throws {
        let end = soon
        while !condition() {
            try #require(ContinuousClock.now < end)
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
