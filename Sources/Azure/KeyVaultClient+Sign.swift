import Encoding
import HTTP
import PKI
import StrictJSON

/// A key or a certificate of a vault by its identifier: `https://VAULT/keys/NAME/VERSION`.
package struct KeyVaultIdentifier: Hashable, Sendable {
    /// What it is of.
    package enum Collection: String, Hashable, Sendable {
        /// `/keys/`
        case keys
        /// `/certificates/`
        case certificates
    }

    /// The vault's address.
    package let vaultURI: String
    /// Whether it names a key or a certificate.
    package let collection: Collection
    /// Name and version; the version is empty for the latest.
    package let object: KeyVaultObject

    /// Reads an identifier, with or without a version.
    package init(parsing text: String) throws(AzureError) {
        func fault(_ problem: String) -> AzureError {
            AzureError(
                .configuration,
                detail:
                    "the identifier \(problem): expected https://VAULT/keys/NAME/VERSION or https://VAULT/certificates/NAME/VERSION"
            )
        }
        let url: HTTPURL
        do { url = try HTTPURL(parsing: text) } catch { throw fault("is not usable, \(error.problem)") }
        guard url.scheme == .https else { throw fault("is not an https URL") }
        let parts = url.target.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let collection = Collection(rawValue: String(parts[0])) else {
            throw fault("names neither a key nor a certificate")
        }
        vaultURI = "https://\(url.authority)"
        self.collection = collection
        object = try KeyVaultObject(name: String(parts[1]), version: parts.count == 3 ? String(parts[2]) : "")
    }

    /// How the names of keys begin that cosign has for this vault.
    package static let cosignScheme = "azurekms://"

    /// Reads the name of a key as cosign has it: `azurekms://VAULT/NAME/VERSION`, with or without a version.
    package init(parsingCosignKey text: String) throws(AzureError) {
        func fault(_ problem: String) -> AzureError {
            AzureError(
                .configuration,
                detail:
                    "the key \(problem): expected \(Self.cosignScheme)VAULT/NAME or \(Self.cosignScheme)VAULT/NAME/VERSION"
            )
        }
        guard text.utf8.starts(with: Self.cosignScheme.utf8) else { throw fault("is not one of a key vault") }
        let parts = text.utf8.dropFirst(Self.cosignScheme.utf8.count)
            .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { String(Substring($0)) }
        guard (2...3).contains(parts.count) else { throw fault("names no vault, or no key in it") }
        guard let url = try? HTTPURL(parsing: "https://\(parts[0])"), url.target == "/" else {
            throw fault("names no vault's host, such as example.vault.azure.net")
        }
        vaultURI = "https://\(url.authority)"
        collection = .keys
        object = try KeyVaultObject(name: parts[1], version: parts.count == 3 ? parts[2] : "")
    }
}

extension KeyVaultClient {
    /// Signs a digest with a key that never leaves the vault.
    ///
    /// - Parameters:
    ///   - version: the version of the key; not empty.
    ///   - algorithm: its name in JWS (RFC 7518, section 3.1), which the vault uses too.
    package func signature(
        ofDigest digest: [UInt8], algorithm: String, key: KeyVaultObject, version: String,
        deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> [UInt8] {
        let purpose = "signing with key \(key.path(version))"
        let answer = try await post(
            "/keys/\(key.path(version))/sign",
            ["alg": .string(algorithm), "value": .string(Base64.encodeURL(digest))], purpose: purpose,
            advice:
                "the identity needs the permission to sign with keys (with Azure RBAC the role Key Vault Crypto User)",
            deadline: deadline)
        guard let value = answer["value"]?.string.flatMap(Base64.decodeLeniently), !value.isEmpty else {
            throw AzureError(.malformed, endpoint: host, detail: "\(purpose): the answer holds no signature")
        }
        return value
    }
}
