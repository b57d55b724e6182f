import Foundation
import StrictJSON
import PKI

/// What the emulated key vault holds: versions of certificates, each with the secret and the key that belong to it, and
/// keys of their own.
struct KeyVaultContents {
    struct Version {
        let id: String
        let created: Int64
        var isEnabled = true
        /// The certificate with its key; `nil` for a key alone.
        let identity: Identity?
        let key: PrivateKey
        let contentType: String
        /// The value of the secret.
        var secret: String
        let isExportable: Bool
    }

    /// Certificates by name, oldest version first.
    var certificates: [String: [Version]] = [:]
    /// Keys without a certificate.
    var keys: [String: [Version]] = [:]
    /// Secrets that this identity may not read.
    var forbidden: Set<String> = []
    /// How many versions one page lists.
    var pageSize = 25
    /// The resource in the challenge, when it is not the vault's own.
    var challengeResource: String?
    /// The tenant in the challenge, when it is not the emulator's own.
    var challengeTenant: String?
    /// Where `nextLink` leads, when that is not the vault.
    var foreignLinks: String?
    /// What stands in place of each `nextLink` that leads on.
    var malformedLink: JSONValue?
    private var counter: Int64 = 0

    mutating func nextVersion() -> (id: String, created: Int64) {
        counter += 1
        return (UUID().uuidString.replacing("-", with: "").lowercased(), 1_790_000_000 + counter * 60)
    }

    /// Changes a version, wherever it is.
    mutating func change(_ id: String, _ change: (inout Version) -> Void) {
        for name in certificates.keys {
            for index in certificates[name, default: []].indices where certificates[name]?[index].id == id {
                change(&certificates[name, default: []][index])
            }
        }
        for name in keys.keys {
            for index in keys[name, default: []].indices where keys[name]?[index].id == id {
                change(&keys[name, default: []][index])
            }
        }
    }
}

/// The form of a secret that belongs to a certificate.
package enum KeyVaultForm: Sendable {
    case pem
    case pkcs12
}

extension AzureEmulator {
    /// The vault: `https://countersign.vault.localhost:port`. Names below `localhost` are this machine (RFC 6761).
    package var vaultURL: String { "https://countersign.vault.\(host)" }

    /// What tokens for vaults are for.
    package var vaultResource: String { "https://vault.\(host)" }

    /// Adds a version of a certificate, the newest of its name, and gives its identifier.
    ///
    /// - Parameters:
    ///   - chain: whether the issuers are in the secret too.
    ///   - isExportable: whether the secret holds the private key.
    @discardableResult
    package func addCertificate(
        _ name: String, _ identity: Identity, form: KeyVaultForm = .pem, chain: Bool = true, isExportable: Bool = false
    ) throws -> String {
        let certificates = chain ? identity.chain : [identity.certificate]
        let secret: String
        switch form {
        case .pem:
            secret = (isExportable ? try identity.keyPEM : "") + certificates.map(\.pem).joined()
        case .pkcs12:
            let directory = try TemporaryDirectory()
            defer { directory.remove() }
            let own = directory.write(identity.certificate.pem, to: "own.pem")
            let key = directory.write(try identity.keyPEM, to: "key.pem")
            let others = directory.write(certificates.dropFirst().map(\.pem).joined(), to: "others.pem")
            // As Key Vault writes them: an empty password, 3DES.
            let file = try OpenSSLCommand.run(
                ["pkcs12", "-export", "-in", own, "-passout", "pass:", "-certpbe", "PBE-SHA1-3DES"]
                    + (isExportable ? ["-inkey", key, "-keypbe", "PBE-SHA1-3DES"] : ["-nokeys"])
                    + (certificates.count > 1 ? ["-certfile", others] : []))
            secret = Data(file).base64EncodedString()
        }
        return state.withLock { state in
            let (id, created) = state.vault.nextVersion()
            state.vault.certificates[name, default: []].append(
                KeyVaultContents.Version(
                    id: id, created: created, identity: identity, key: identity.key,
                    contentType: form == .pem ? "application/x-pem-file" : "application/x-pkcs12", secret: secret,
                    isExportable: isExportable))
            return id
        }
    }

    /// Adds a version of a key that has no certificate.
    @discardableResult
    package func addKey(_ name: String, _ key: PrivateKey) -> String {
        state.withLock { state in
            let (id, created) = state.vault.nextVersion()
            state.vault.keys[name, default: []].append(
                KeyVaultContents.Version(
                    id: id, created: created, identity: nil, key: key, contentType: "", secret: "",
                    isExportable: false))
            return id
        }
    }

    /// Enables or disables a version.
    package func setEnabled(_ version: String, _ isEnabled: Bool) {
        state.withLock { $0.vault.change(version) { $0.isEnabled = isEnabled } }
    }

    /// Puts something else in the place of a certificate's secret.
    package func replaceSecret(_ version: String, _ value: String) {
        state.withLock { $0.vault.change(version) { $0.secret = value } }
    }

    /// Deletes a certificate with its secret and its key.
    package func deleteCertificate(_ name: String) { state.withLock { $0.vault.certificates[name] = nil } }

    /// Deletes a key that has no certificate.
    package func deleteKey(_ name: String) { state.withLock { $0.vault.keys[name] = nil } }

    /// Takes or gives the permission to read a certificate's secret.
    package func setForbidden(_ name: String, _ isForbidden: Bool) {
        state.withLock { state in
            if isForbidden { state.vault.forbidden.insert(name) } else { state.vault.forbidden.remove(name) }
        }
    }

    /// Lists so many versions on a page.
    package func setVaultPageSize(_ size: Int) { state.withLock { $0.vault.pageSize = size } }

    /// Asks for tokens for another resource, or of another tenant, as somebody would who wants to use them elsewhere.
    package func challenge(resource: String? = nil, tenant: String? = nil) {
        state.withLock { state in
            state.vault.challengeResource = resource
            state.vault.challengeTenant = tenant
        }
    }

    /// Says that further pages are at another place.
    package func linkElsewhere(_ base: String?) { state.withLock { $0.vault.foreignLinks = base } }

    /// Says that there are further pages in a way that nobody can follow.
    package func link(by value: JSONValue?) { state.withLock { $0.vault.malformedLink = value } }
}
