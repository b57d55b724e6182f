import Foundation
import PKI
import Synchronization

/// A certificate with its key and its chain.
package struct Identity: Sendable {
    package let certificate: Certificate
    package let key: PrivateKey
    /// The certificate, its issuers, the root last.
    package let chain: [Certificate]

    package init(certificate: Certificate, key: PrivateKey, chain: [Certificate]) {
        self.certificate = certificate
        self.key = key
        self.chain = chain
    }

    /// The chain as PEM, leaf first.
    package var chainPEM: String { chain.map(\.pem).joined() }
    /// The key as PEM (PKCS#8).
    package var keyPEM: String { get throws { try key.pkcs8PEM() } }
}

/// A certificate authority that lives in the test's process: real keys, real signatures.
///
/// ```swift
/// let root = try CertificateAuthority(name: "root", key: .ec(.p256))
/// let issuing = try root.intermediate("issuing")
/// let leaf = try issuing.issue(.codeSigning("signer"), key: .rsa(bits: 2048))
/// ```
package struct CertificateAuthority: Sendable {
    /// The authority's own certificate, key and chain.
    package let identity: Identity

    /// The authority's certificate.
    package var certificate: Certificate { identity.certificate }
    /// The authority's key.
    package var key: PrivateKey { identity.key }
    /// The self-signed certificate at the end of the chain.
    package var root: Certificate { identity.chain[identity.chain.count - 1] }

    /// An authority that exists already.
    package init(_ identity: Identity) { self.identity = identity }

    /// A self-signed root.
    package init(name: String, key kind: PublicKey.Kind = .ec(.p256)) throws {
        try self.init(.authority(name), key: kind)
    }

    /// A self-signed certificate of any shape.
    package init(_ template: CertificateTemplate, key kind: PublicKey.Kind = .ec(.p256)) throws {
        let key = try TestKeys.key(kind)
        let name = template.subjectDER ?? CertificateTemplate.encode(template.subject)
        let certificate = try Certificate(der: template.sign(for: key.publicKey, issuer: name, by: key))
        identity = Identity(certificate: certificate, key: key, chain: [certificate])
    }

    /// An authority below this one.
    package func intermediate(_ name: String, key kind: PublicKey.Kind = .ec(.p256), pathLength: Int? = nil) throws
        -> CertificateAuthority
    {
        CertificateAuthority(try issue(.authority(name, pathLength: pathLength), key: kind))
    }

    /// A certificate for a key of its own.
    package func issue(_ template: CertificateTemplate, key kind: PublicKey.Kind = .ec(.p256)) throws -> Identity {
        try issue(template, for: TestKeys.key(kind))
    }

    /// A certificate for a key that exists.
    package func issue(_ template: CertificateTemplate, for key: PrivateKey) throws -> Identity {
        let der = try template.sign(for: key.publicKey, issuer: certificate.subject.der, by: self.key)
        let certificate = try Certificate(der: der)
        return Identity(certificate: certificate, key: key, chain: [certificate] + identity.chain)
    }
}

/// Keys for tests. RSA keys take long to make, so each size has a few that are used in turn.
package enum TestKeys {
    private struct Pool {
        var keys: [PrivateKey] = []
        var next = 0
    }

    private static let pools = Mutex<[PublicKey.Kind: Pool]>([:])

    /// How many different RSA keys of a size there are: enough for root, intermediate and leaf to differ.
    package static let rsaKeysOfEachSize = 4

    /// A key of a kind: a new one for elliptic curves, one of a few for RSA.
    package static func key(_ kind: PublicKey.Kind) throws -> PrivateKey {
        guard case .rsa = kind else { return try PrivateKey.generate(kind) }
        return try pools.withLock { pools in
            var pool = pools[kind] ?? Pool()
            if pool.keys.count < rsaKeysOfEachSize { pool.keys.append(try PrivateKey.generate(kind)) }
            let key = pool.keys[pool.next % pool.keys.count]
            pool.next = (pool.next + 1) % rsaKeysOfEachSize
            pools[kind] = pool
            return key
        }
    }
}
