import Encoding
import PKI
import Quotation
import StrictJSON

/// One version of a certificate with its chain, as the secret of the same name has it.
package struct KeyVaultChain: Sendable {
    /// The version.
    package let version: String
    /// Whether it may be used.
    package let isEnabled: Bool
    /// The certificate and those above it, in the order of the vault.
    package let certificates: [Certificate]
    /// Whether the vault gives the private key away with it. It is dropped unread.
    package let hasPrivateKey: Bool
}

/// One version of a key: its public half.
package struct KeyVaultKey: Sendable {
    /// The version.
    package let version: String
    /// Whether it may be used.
    package let isEnabled: Bool
    /// The public key.
    package let key: PublicKey
}

/// One version of a certificate without its chain.
package struct KeyVaultCertificate: Sendable {
    /// The version.
    package let version: String
    /// Whether it may be used.
    package let isEnabled: Bool
    /// The certificate.
    package let certificate: Certificate
    /// The identifier of its key.
    package let keyID: String
}

extension KeyVaultClient {
    private static let secretAdvice =
        "the identity needs the permission to get secrets (with Azure RBAC the role Key Vault Secrets User)"
    private static let certificateAdvice =
        "the identity needs the permissions to get and list certificates (with Azure RBAC the role Key Vault Reader)"
    private static let keyAdvice =
        "the identity needs the permissions to get and list keys (with Azure RBAC the role Key Vault Crypto User or Reader)"

    private func malformed(_ purpose: String, _ what: String) -> AzureError {
        AzureError(.malformed, endpoint: host, detail: "\(purpose): \(what)")
    }

    /// The versions of a certificate.
    func certificateVersions(
        _ object: KeyVaultObject, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> [KeyVaultVersion] {
        try await versions(
            "/certificates/\(object.name)/versions", "id", "listing the versions of certificate \(object.name)",
            Self.certificateAdvice, deadline)
    }

    /// The versions of a key.
    func keyVersions(
        _ object: KeyVaultObject, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> [KeyVaultVersion] {
        try await versions(
            "/keys/\(object.name)/versions", "kid", "listing the versions of key \(object.name)", Self.keyAdvice,
            deadline)
    }

    private func versions(
        _ path: String, _ idName: String, _ purpose: String, _ advice: String, _ deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> [KeyVaultVersion] {
        var versions: [KeyVaultVersion] = []
        for element in try await list(path, purpose: purpose, advice: advice, deadline: deadline) {
            guard let version = KeyVaultVersion(element, idName: idName) else {
                throw malformed(purpose, "the answer has a version without id, created or enabled")
            }
            versions.append(version)
        }
        return versions
    }

    /// A certificate with its chain, from the secret of the same version.
    ///
    /// - Parameter version: empty for the latest.
    package func chain(
        _ object: KeyVaultObject, version: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> KeyVaultChain {
        let purpose = "getting certificate \(object.path(version))"
        let answer = try await get(
            "/secrets/\(object.path(version))", purpose: purpose, advice: Self.secretAdvice, deadline: deadline)
        guard let id = answer["id"]?.string, let found = KeyVaultVersion.version(ofID: id),
            let isEnabled = answer["attributes"]?["enabled"]?.bool
        else { throw malformed(purpose, "the answer has no id, or does not say whether it is enabled") }
        guard version.isEmpty || found.lowercased() == version.lowercased() else {
            throw malformed(purpose, "the answer is another version, \(found)")
        }
        guard isEnabled else {
            return KeyVaultChain(version: found, isEnabled: false, certificates: [], hasPrivateKey: false)
        }
        guard let value = answer["value"]?.string else { throw malformed(purpose, "the answer has no value") }
        let (certificates, hasKey) = try chain(value, contentType: answer["contentType"]?.string ?? "", purpose)
        guard !certificates.isEmpty else { throw malformed(purpose, "version \(found) holds no certificate") }
        return KeyVaultChain(version: found, isEnabled: true, certificates: certificates, hasPrivateKey: hasKey)
    }

    private func chain(
        _ value: String, contentType: String, _ purpose: String
    ) throws(AzureError) -> (certificates: [Certificate], hasPrivateKey: Bool) {
        do throws(PKIError) {
            switch contentType {
            case "application/x-pkcs12":
                guard let data = Base64.decode(value, allowsLeftoverBits: true) else {
                    throw PKIError(.malformed, "its PKCS #12 file is not Base64")
                }
                let file = try PKCS12(der: Array(data))
                return (file.certificates, file.hasPrivateKey)
            case "application/x-pem-file":
                var certificates: [Certificate] = []
                var hasKey = false
                // Other blocks are passed over, private keys among them.
                for block in try PEM.parse(Array(value.utf8)) {
                    if block.label == "CERTIFICATE" { certificates.append(try Certificate(der: block.der)) }
                    if block.label.hasSuffix("PRIVATE KEY") { hasKey = true }
                }
                return (certificates, hasKey)
            default:
                throw PKIError(
                    .unsupported,
                    "its content type \"\(contentType.quotedMediaType)\" is not supported; application/x-pkcs12 and application/x-pem-file are, which secrets of certificates have"
                )
            }
        } catch { throw malformed(purpose, "\(error)") }
    }

    /// A certificate without its chain, which a disabled one gives too.
    ///
    /// - Parameter version: empty for the latest.
    package func certificate(
        _ object: KeyVaultObject, version: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> KeyVaultCertificate {
        let purpose = "getting certificate \(object.path(version))"
        let answer = try await get(
            "/certificates/\(object.path(version))", purpose: purpose, advice: Self.certificateAdvice,
            deadline: deadline)
        guard let id = answer["id"]?.string, let found = KeyVaultVersion.version(ofID: id),
            let isEnabled = answer["attributes"]?["enabled"]?.bool, let text = answer["cer"]?.string,
            let der = Base64.decode(text, allowsLeftoverBits: true), let keyID = answer["kid"]?.string
        else { throw malformed(purpose, "the answer is not a certificate with id, kid, cer and enabled") }
        let certificate: Certificate
        do { certificate = try Certificate(der: Array(der)) } catch { throw malformed(purpose, "\(error)") }
        return KeyVaultCertificate(version: found, isEnabled: isEnabled, certificate: certificate, keyID: keyID)
    }

    /// A public key.
    ///
    /// - Parameter version: empty for the latest.
    package func key(
        _ object: KeyVaultObject, version: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> KeyVaultKey {
        let purpose = "getting key \(object.path(version))"
        let answer = try await get(
            "/keys/\(object.path(version))", purpose: purpose, advice: Self.keyAdvice, deadline: deadline)
        guard let key = answer["key"], let id = key["kid"]?.string, let found = KeyVaultVersion.version(ofID: id),
            let isEnabled = answer["attributes"]?["enabled"]?.bool
        else { throw malformed(purpose, "the answer has no key with kid and enabled") }
        guard version.isEmpty || found.lowercased() == version.lowercased() else {
            throw malformed(purpose, "the answer is another version, \(found)")
        }
        do { return KeyVaultKey(version: found, isEnabled: isEnabled, key: try Self.publicKey(key)) } catch {
            throw malformed(purpose, "\(error)")
        }
    }

    /// A JSON Web Key (RFC 7517) as a public key.
    private static func publicKey(_ key: JSONValue) throws(PKIError) -> PublicKey {
        func bytes(_ name: String) throws(PKIError) -> [UInt8] {
            guard let text = key[name]?.string, !text.isEmpty, let bytes = Base64.decodeLeniently(text) else {
                throw PKIError(.malformed, "the key has no \(name)")
            }
            return bytes
        }
        switch key["kty"]?.string {
        case "RSA", "RSA-HSM": return try PublicKey(rsaModulus: bytes("n"), exponent: bytes("e"))
        case "EC", "EC-HSM":
            let curve: PublicKey.Curve
            switch key["crv"]?.string {
            case "P-256": curve = .p256
            case "P-384": curve = .p384
            case "P-521": curve = .p521
            default: throw PKIError(.unsupported, "the key is on a curve that signatures here are not made with")
            }
            return try PublicKey(curve: curve, x: bytes("x"), y: bytes("y"))
        default: throw PKIError(.unsupported, "the key is neither RSA nor EC")
        }
    }
}
