import Foundation
import PKI
import TestSupport
import Testing

/// Files as `openssl pkcs12 -export` writes them.
@Suite struct PKCS12Tests {
    private let directory: TemporaryDirectory
    private let leaf: Identity

    init() throws {
        directory = try TemporaryDirectory()
        leaf = try CertificateAuthority(name: "root").intermediate("issuing").issue(.codeSigning("signer"))
    }

    private func export(_ options: [String], chain: Bool = true, password: String = "") throws -> [UInt8] {
        defer { directory.remove() }
        let own = directory.write(leaf.certificate.pem, to: "leaf.pem")
        let issuers = directory.write(leaf.chain.dropFirst().map(\.pem).joined(), to: "issuers.pem")
        let key = directory.write(try leaf.keyPEM, to: "key.pem")
        let isWithoutKey = options.contains("-nokeys")
        return try OpenSSLCommand.run(
            ["pkcs12", "-export", "-in", own, "-passout", "pass:\(password)"]
                + (isWithoutKey ? [] : ["-inkey", key]) + (chain ? ["-certfile", issuers] : []) + options)
    }

    /// A file whose password only shows when a part is decrypted (`-nomac` leaves certificates in the open).
    private func withoutMAC(_ der: [UInt8]) throws -> [UInt8] {
        var outer = DERReader(der)
        var reader = try outer.sequence()
        let version = try reader.any()
        let content = try reader.any()
        return DERWriter.sequence([Array(version.encoded), Array(content.encoded)])
    }

    private func error(_ der: [UInt8], password: String? = nil, limits: PKCS12.Limits = .init()) -> PKIError? {
        do throws(PKIError) {
            _ = try PKCS12(der: der, password: password, limits: limits)
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        [], ["-legacy"], ["-legacy", "-certpbe", "PBE-SHA1-RC2-40"], ["-legacy", "-certpbe", "PBE-SHA1-3DES"],
        ["-certpbe", "NONE"], ["-certpbe", "NONE", "-keypbe", "NONE", "-nomac"], ["-nomac"], ["-noiter", "-nomaciter"],
        ["-macalg", "SHA512", "-certpbe", "AES-128-CBC"], ["-iter", "100000"],
    ])
    func everyFormGivesTheWholeChain(options: [String]) throws {
        let file = try PKCS12(der: export(options))
        #expect(Set(file.certificates) == Set(leaf.chain))
        #expect(file.certificates.count == 3)
        #expect(file.hasPrivateKey)
    }

    @Test func aFileWithoutChainOrWithoutKey() throws {
        let single = try PKCS12(der: export([], chain: false))
        #expect(single.certificates == [leaf.certificate] && single.hasPrivateKey)
        let open = try PKCS12(der: export(["-nokeys"]))
        #expect(Set(open.certificates) == Set(leaf.chain) && !open.hasPrivateKey)
    }

    @Test func aPasswordIsNeededWhenThereIsOne() throws {
        for options in [[], ["-legacy"]] {
            let der = try export(options, password: "correct horse")
            #expect(try PKCS12(der: der, password: "correct horse").certificates.count == 3)
            let missing = error(der)
            #expect(missing?.kind == .encrypted, "\(String(describing: missing))")
            #expect(error(der, password: "battery staple") != nil)
            let bare = try error(withoutMAC(der))
            #expect(bare?.kind == .encrypted && bare?.description.contains("password") == true)
        }
    }

    @Test func whatIsCutOrLongerIsRefused() throws {
        let der = try export([])
        #expect(error(Array(der.dropLast()))?.kind == .malformed)
        #expect(error(Array(der.prefix(der.count / 2)))?.kind == .malformed)
        #expect(error(der + [0])?.kind == .malformed)
        #expect(error([])?.kind == .malformed)
        #expect(error(leaf.certificate.der)?.kind == .malformed)
    }

    @Test func noIterationIsMadeBeyondTheLimits() throws {
        let der = try export(["-iter", "20000"])
        var limits = PKCS12.Limits()
        limits.iterations = 19_999
        #expect(error(der, limits: limits)?.kind == .tooLarge)
        limits.iterations = 20_000
        limits.totalIterations = 39_999
        #expect(error(der, limits: limits)?.kind == .tooLarge)
        limits.totalIterations = 60_000
        #expect(error(der, limits: limits) == nil)
    }

    @Test func countsAndSizesAreBounded() throws {
        let der = try export([])
        var limits = PKCS12.Limits()
        limits.certificates = 2
        #expect(error(der, limits: limits)?.kind == .tooLarge)
        limits = PKCS12.Limits()
        limits.parts = 1
        #expect(error(der, limits: limits)?.kind == .tooLarge)
        limits = PKCS12.Limits()
        limits.bytes = der.count - 1
        #expect(error(der, limits: limits)?.kind == .tooLarge)
    }

    @Test func aKeyDerivationThatTakesMemoryIsRefused() throws {
        // What OpenSSL writes with PBES2, with scrypt's identifier in the place of PBKDF2's.
        let der = try withoutMAC(export([]))
        #expect(try Set(PKCS12(der: der).certificates) == Set(leaf.chain))
        let pbkdf2: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0C]
        let scrypt: [UInt8] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x04, 0x0B]
        let place = try #require(der.firstRange(of: pbkdf2))
        var changed = der
        changed.replaceSubrange(place, with: scrypt)
        #expect(error(changed)?.kind == .unsupported)
    }

    @Test func noChangeOfAByteGivesACertificateThatWasNotThere() throws {
        var random = SeededGenerator(seed: 20)
        for options in [["-noiter", "-nomaciter"], ["-certpbe", "NONE", "-keypbe", "NONE", "-nomac"]] {
            let der = try export(options)
            for _ in 0..<400 {
                var changed = der
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    changed[Int.random(in: 0..<der.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                do throws(PKIError) {
                    let file = try PKCS12(der: changed)
                    if options.contains("-noiter") {
                        #expect(Set(file.certificates).isSubset(of: leaf.chain))
                    }
                } catch {
                    #expect(!error.description.isEmpty)
                }
            }
        }
    }
}
