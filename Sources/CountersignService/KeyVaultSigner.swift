import Azure
import FoundationEssentials
import HTTP
import Notation
import PKI
import Sigstore

/// Makes signers whose key is in an Azure Key Vault: digests go there, the key stays.
package struct KeyVaultSigner: Sendable {
    /// Who signs.
    package enum Identity: String, Sendable, CaseIterable {
        /// Microsoft Entra Workload ID.
        case workload
        /// The machine's managed identity.
        case managed
    }

    /// How the names of keys begin that cosign has for Key Vault.
    package static let cosignScheme = KeyVaultIdentifier.cosignScheme

    private let identifier: KeyVaultIdentifier
    private let client: KeyVaultClient

    /// A signer of one key.
    ///
    /// - Parameters:
    ///   - identifier: `https://VAULT/keys/NAME/VERSION`, or that of the certificate.
    ///   - identity: without one, workload identity where `AZURE_FEDERATED_TOKEN_FILE` is set, else the managed one.
    package init(
        identifier: String, identity: Identity?, environment: [String: String], http: any HTTPSending
    ) throws(SigningError) {
        do {
            self.identifier = try KeyVaultIdentifier(parsing: identifier)
            client = try Self.client(self.identifier, identity, environment, http)
        } catch { throw SigningError("\(error)") }
    }

    /// A signer of one key, as cosign names it: `azurekms://VAULT/NAME/VERSION`.
    package init(
        cosignKey name: String, identity: Identity?, environment: [String: String], http: any HTTPSending
    ) throws(CosignSigningError) {
        do {
            identifier = try KeyVaultIdentifier(parsingCosignKey: name)
            client = try Self.client(identifier, identity, environment, http)
        } catch { throw CosignSigningError("\(error)") }
    }

    private static func client(
        _ identifier: KeyVaultIdentifier, _ identity: Identity?, _ environment: [String: String],
        _ http: any HTTPSending
    ) throws -> KeyVaultClient {
        let hasToken = environment["AZURE_FEDERATED_TOKEN_FILE"]?.isEmpty == false
        let source: any AzureTokenSource =
            switch identity ?? (hasToken ? .workload : .managed) {
            case .workload: try WorkloadIdentity(environment: environment, http: http)
            case .managed: try ManagedIdentity(environment: environment, http: HTTPClients.makeWithoutProxy())
            }
        return try KeyVaultClient(
            vaultURI: identifier.vaultURI, source: source, tokens: AzureTokenCache(), http: http)
    }

    /// A signer of images as cosign signs them.
    package func cosignSigner(deadline: ContinuousClock.Instant) async throws(CosignSigningError) -> CosignSigner {
        let key: KeyVaultKey
        do throws(AzureError) {
            key = try await client.key(identifier.object, version: identifier.object.version, deadline: deadline)
        } catch { throw CosignSigningError("\(error)", isTransient: error.isTransient) }
        guard key.isEnabled else {
            throw CosignSigningError("the key \(identifier.object.name), version \(key.version), is disabled")
        }
        do {
            return try CosignSigner(
                keyVault: KeyVaultKeySigner(client: client, object: identifier.object, version: key.version),
                publicKey: key.key)
        } catch { throw CosignSigningError("\(error)") }
    }

    /// A signer of envelopes.
    ///
    /// - Parameter chain: the certificate chain, leaf first; `nil` takes the vault's: that of the secret of the same
    ///   name and version, or the certificate alone when it is self-signed.
    package func signer(
        chain given: [Certificate]?, deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> EnvelopeSigner {
        let (chain, version): ([Certificate], String)
        if let given {
            (chain, version) = (given, try await keyVersion(deadline))
        } else {
            (chain, version) = try await vaultChain(deadline)
        }
        return try EnvelopeSigner(
            remote: KeyVaultKeySigner(client: client, object: identifier.object, version: version), chain: chain)
    }

    /// The version of the key that signs. A certificate and its key have the same.
    private func keyVersion(_ deadline: ContinuousClock.Instant) async throws(SigningError) -> String {
        guard identifier.object.version.isEmpty else { return identifier.object.version }
        do throws(AzureError) {
            switch identifier.collection {
            case .keys: return try await client.key(identifier.object, version: "", deadline: deadline).version
            case .certificates:
                return try await client.certificate(identifier.object, version: "", deadline: deadline).version
            }
        } catch { throw SigningError("\(error)", isTransient: error.isTransient) }
    }

    private func vaultChain(
        _ deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> ([Certificate], String) {
        let object = identifier.object
        do throws(AzureError) {
            // The certificate says which one signs; the secret has those above it in no certain order.
            let own = try await client.certificate(object, version: object.version, deadline: deadline)
            if own.certificate.isSelfSigned { return ([own.certificate], own.version) }
            let secret: KeyVaultChain
            do { secret = try await client.chain(object, version: own.version, deadline: deadline) } catch {
                guard error.kind == .refused else { throw error }
                throw AzureError(
                    .refused,
                    detail:
                        "\(error); or give the chain with --certificate-chain, which needs no permission to get secrets"
                )
            }
            let roots = secret.certificates.filter(\.isSelfSigned)
            guard
                let path = CertificateChain.path(
                    from: own.certificate, through: secret.certificates, to: roots, at: Date())
            else {
                throw AzureError(
                    .configuration,
                    detail:
                        "certificate \(object.name) version \(own.version) has no complete chain in the vault; give it with --certificate-chain"
                )
            }
            return (path, own.version)
        } catch { throw SigningError("\(error)", isTransient: error.isTransient) }
    }
}

/// One version of a key of a vault.
private struct KeyVaultKeySigner: RemoteSigningKey, RemoteCosignKey {
    let client: KeyVaultClient
    let object: KeyVaultObject
    let version: String

    func signature(
        ofDigest digest: [UInt8], algorithm: SigningAlgorithm, deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        do throws(AzureError) {
            return try await client.signature(
                ofDigest: digest, algorithm: algorithm.jwsName, key: object, version: version, deadline: deadline)
        } catch { throw SigningError("\(error)", isTransient: error.isTransient) }
    }

    func signature(
        ofDigest digest: [UInt8], scheme: SignatureAlgorithm.Scheme, deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> [UInt8] {
        let algorithm: String
        switch scheme {
        case .rsaPKCS1(let hash): algorithm = "RS\(hash.length * 8)"
        case .ecdsa(let hash): algorithm = "ES\(hash.length * 8)"
        case .rsaPSS, .ed25519, .other: throw CosignSigningError("a key vault signs in no such way: \(scheme)")
        }
        let answer: [UInt8]
        do throws(AzureError) {
            answer = try await client.signature(
                ofDigest: digest, algorithm: algorithm, key: object, version: version, deadline: deadline)
        } catch { throw CosignSigningError("\(error)", isTransient: error.isTransient) }
        guard case .ecdsa = scheme else { return answer }
        guard let signature = ECDSASignature.der(fromRaw: answer) else {
            throw CosignSigningError("the vault's signature is not r and s of ECDSA")
        }
        return signature
    }
}
