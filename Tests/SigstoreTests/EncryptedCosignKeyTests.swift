import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// Private keys as cosign encrypts them. The good ones were made by PyNaCl and Python's hashlib.
@Suite struct EncryptedCosignKeyTests {
    struct Known: Sendable {
        let password: String
        let publicKey: String
        let file: String

        var bytes: [UInt8] { Array(file.utf8) }

        /// The file with its JSON changed.
        func changed(_ change: (inout JSONValue) -> Void) throws -> [UInt8] {
            let block = try #require(try PEM.parse(bytes).first)
            var json = try StrictJSON.parse(block.der)
            change(&json)
            return Array(PEM(label: block.label, der: json.bytes).text.utf8)
        }
    }

    static let known = [
        Known(
            password: "correct horse",
            publicKey: """
                -----BEGIN PUBLIC KEY-----
                MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESO5LeMkqT8xHYPD9H0HzJz6UJcqD
                l6E9fcHjb50uB6cdpKE1lLoZm45V4Gz2H014AE71Pv2GlIJPQXuywyTCKw==
                -----END PUBLIC KEY-----
                """,
            file: """
                -----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
                eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
                OCwicCI6MX0sInNhbHQiOiJiTlZDMEQrNFR1emxOT3lvTnlPdGh6YTUyajlJd0V1
                T1NBNEZIMk9ncitRPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
                Iiwibm9uY2UiOiI5cEVJbllLd2YrQTNKbXN1NnFxY0pGaExKTmZUOUVVOSJ9LCJj
                aXBoZXJ0ZXh0IjoidWdJK0tUWk1RTU5mUVV1S0JrTUtScmZPNmZIRnpSUzgyMTJa
                MU1sOGJMS3kxZ1NXZkNRRCtuUnE0SUhHdHZwcm93Tkx3c0VNSGF6ZllRbFZoWUxG
                NzZJS3diYWRjeHFiNmlWUldPcERTMDdTYmYvWENEVVByN3VzUTBxQ25oTXRsRFIr
                Ym5KSFNBS042bVNmU2ZKTkFXa0p3Nm53T3hMWTVTa29XWk1uTUdNU1FiLytlbzdj
                ak5iK3RlVmQyakdQTDV2YlhLZDF2bmZOTFE9PSJ9
                -----END ENCRYPTED SIGSTORE PRIVATE KEY-----
                """),
        Known(
            password: "",
            publicKey: """
                -----BEGIN PUBLIC KEY-----
                MCowBQYDK2VwAyEATpVsgHOa8A49CML9UC60K5UFWTvMJIMU6fkqeWndAGQ=
                -----END PUBLIC KEY-----
                """,
            file: """
                -----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
                eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjozMjc2OCwiciI6
                OCwicCI6MX0sInNhbHQiOiIycnBQSU90OEJkRTJJZnhPQ0JXRC9icXp0dVBZTDNJ
                QjNrTjB3bFJ3a1FJPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
                Iiwibm9uY2UiOiJyYnpzOTVycllGaktxanN5M0lWV0JYNm02eENkRGNSZSJ9LCJj
                aXBoZXJ0ZXh0IjoiM3UxZ0M3cTVvZ1BwbjBlYzdsOWlQVk5LamxSRTNQVzUwbEJB
                MG91VGc3WkhDMUxxTFdTNUdnVnRkS0FLeTNIQ3AxNTB1SjUyZGZ4NW5WVFJSUWZ3
                MUE9PSJ9
                -----END ENCRYPTED COSIGN PRIVATE KEY-----
                """),
        Known(
            password: "пароль\n",
            publicKey: """
                -----BEGIN PUBLIC KEY-----
                MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEf/54FLvB1wkbCnzCm+HPncqhHSNLI7kO
                oUAGpIDvLGjbtrWKKZmLHzJgcLg/PewMQXUENN++FsylYoTc92DGfbSpjguObTje
                YniG712C+Rl1YqWTnmluM3FBLUnYJw7/
                -----END PUBLIC KEY-----
                """,
            file: """
                -----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
                eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjoxMzEwNzIsInIi
                OjgsInAiOjF9LCJzYWx0IjoiUE4rb1g0YzNpQll3RXFSR0dFK0FsbFZkeUNSTFZQ
                YXl1Y3hWUnpLY1hSND0ifSwiY2lwaGVyIjp7Im5hbWUiOiJuYWNsL3NlY3JldGJv
                eCIsIm5vbmNlIjoiMDg4ZXFyZzFsamhJbHdtREp3eDVYNUJCK0Rua0xtV2EifSwi
                Y2lwaGVydGV4dCI6Im1pRVpNelhQOFpCTGcxWld1V0J2RUp2U3JmK3BWbElybEJm
                THJtTXdJaWQ5aWxuc2FZM2xnYWNMYTFobWJBTXNLM2RJVUJJcjRWN214MiszeDZ6
                WUNBdUk4WmMyWEx2UDVxOUJML0tCVkVhRlEweXNPMUQxYXlXdFBjdWFML0RsL3Fy
                TkJJOEUxZU4zaVh0eFd3Ni9vR3d4Y1BFODNsMEl5ZFBqTUNWSGd2SithWTg4YkZ3
                UDJrL1F5Yk5SY3M1QUYxcHc5Y0x5czVlZ054K05wNWFheEJvaHQ3SUlieE9Zb1Jq
                bUNzWk5odmpHQXQ1VExnOVVVaSsyT09vVFZldnRxYVQ0d0hLdVhmQlkifQ==
                -----END ENCRYPTED SIGSTORE PRIVATE KEY-----
                """),
    ]

    @Test(arguments: known) func theKeyIsWhatWasEncrypted(_ known: Known) throws {
        #expect(EncryptedCosignKey.isEncrypted(known.bytes))
        let key = try EncryptedCosignKey(pem: known.bytes).decrypted(password: Array(known.password.utf8))
        #expect(try key.publicKey == PublicKey(pem: Array(known.publicKey.utf8)))
        // The signer takes it.
        _ = try CosignSigner(key: key)
    }

    @Test func anotherPasswordIsRefused() throws {
        let key = try EncryptedCosignKey(pem: Self.known[1].bytes)
        for password in ["correct horse", " ", "\n"] {
            let error = #expect(throws: PKIError.self) { try key.decrypted(password: Array(password.utf8)) }
            #expect(error?.kind == .encrypted)
        }
    }

    /// Every part of the box is authentic, or there is no key.
    @Test(arguments: [["ciphertext"], ["cipher", "nonce"], ["kdf", "salt"]]) func whatWasAlteredIsRefused(
        _ path: [String]
    ) throws {
        let known = Self.known[1]
        let text = try StrictJSON.parse(try #require(try PEM.parse(known.bytes).first).der)
        var value = text
        for name in path { value = try #require(value[name]) }
        let bytes = try #require(Base64.decode(value.string ?? ""))
        for index in [0, bytes.count / 2, bytes.count - 1] {
            var other = bytes
            other[index] ^= 1
            let file = try known.changed { $0.set(path, .string(Base64.encode(other))) }
            let error = #expect(throws: PKIError.self) {
                try EncryptedCosignKey(pem: file).decrypted(password: [])
            }
            #expect(error?.kind == .encrypted)
        }
    }

    /// A file does not decide how much memory and time it takes.
    @Test(arguments: [
        (1 << 30, 8, 1), (1 << 62, 8, 1), (65_536, 1 << 20, 1), (65_536, 8, 1 << 20), (65_537, 8, 1), (16_384, 8, 1),
        (2, 1, 1), (0, 8, 1), (-65_536, 8, 1), (65_536, 0, 1), (65_536, 8, 0), (262_144, 8, 1),
    ])
    func priceIsThatOfCosign(cost: Int, blockSize: Int, parallelization: Int) throws {
        let file = try Self.known[1].changed { json in
            json.set(["kdf", "params", "N"], .number(String(cost)))
            json.set(["kdf", "params", "r"], .number(String(blockSize)))
            json.set(["kdf", "params", "p"], .number(String(parallelization)))
        }
        let started = ContinuousClock.now
        let error = #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: file) }
        #expect(error?.kind == .unsupported && error?.description.contains("scrypt") == true)
        #expect(.now - started < .seconds(1))
    }

    @Test func whatIsNotCosignsIsRefused() throws {
        let known = Self.known[1]
        let changes: [(inout JSONValue) -> Void] = [
            { $0.set(["kdf", "name"], "argon2") }, { $0.set(["cipher", "name"], "aes-gcm") },
            { $0.set(["cipher", "nonce"], "AAAA") }, { $0.set(["cipher", "nonce"], .null) },
            { $0.set(["ciphertext"], "*") }, { $0.set(["ciphertext"], "") }, { $0.set(["kdf", "salt"], 7) },
            { $0.set(["kdf", "params"], .null) }, { $0.set(["kdf", "params", "N"], "32768") },
            { $0.set(["kdf", "params", "N"], .number("32768.5")) }, { $0 = [] },
        ]
        for change in changes {
            let file = try known.changed(change)
            #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: file) }
        }
        // A box without anything but its tag, and one shorter than that.
        for count in [16, 15, 1] {
            let file = try known.changed { json in
                json.set(["ciphertext"], .string(Base64.encode([UInt8](repeating: 0, count: count))))
            }
            #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: file).decrypted(password: []) }
        }
        let plain = Array(try PrivateKey.generate(.ec(.p256)).pkcs8PEM().utf8)
        #expect(!EncryptedCosignKey.isEncrypted(plain) && !EncryptedCosignKey.isEncrypted([]))
        for text in [plain, [], known.bytes + plain, known.bytes + known.bytes] {
            #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: text) }
        }
        let noJSON = Array(PEM(label: EncryptedCosignKey.labels[0], der: Array("{".utf8)).text.utf8)
        #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: noJSON) }
        let large = Array(
            PEM(label: EncryptedCosignKey.labels[0], der: [UInt8](repeating: 0x20, count: 70 << 10)).text.utf8)
        #expect(throws: PKIError.self) { try EncryptedCosignKey(pem: large) }
    }
}

extension JSONValue {
    /// Sets the member at the end of a path.
    fileprivate mutating func set(_ path: [String], _ value: JSONValue) {
        guard let name = path.first else {
            self = value
            return
        }
        var object = self.object ?? JSONObject()
        var inner = object[name] ?? .null
        inner.set(Array(path.dropFirst()), value)
        object[name] = inner
        self = .object(object)
    }
}
