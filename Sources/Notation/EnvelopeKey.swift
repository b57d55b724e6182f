import PKI

/// A key outside of this process, in a vault or a hardware module: the digest is sent there to be signed.
public protocol RemoteSigningKey: Sendable {
    /// Signs a digest.
    ///
    /// - Parameters:
    ///   - digest: by the algorithm's hash.
    ///   - algorithm: the one that the certificate's key decides.
    ///   - deadline: when the answer must be there.
    /// - Returns: the signature in the form of JWS (RFC 7518, section 3.1): for ECDSA r and s side by side.
    func signature(
        ofDigest digest: [UInt8], algorithm: SigningAlgorithm, deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8]
}

/// Who makes the signature of an envelope.
enum EnvelopeKey: Sendable {
    case local(PrivateKey)
    case remote(any RemoteSigningKey)

    /// The signature over a message, by a key of this process.
    func signature(over message: [UInt8], algorithm: SigningAlgorithm) throws(SigningError) -> [UInt8] {
        guard case .local(let key) = self else {
            throw SigningError("the key is elsewhere, and signs only for who can wait")
        }
        do { return try key.envelopeSignature(over: message, hash: algorithm.hash) } catch {
            throw SigningError("signing failed: \(error)")
        }
    }

    /// The signature over a message, wherever the key is.
    func signature(
        over message: [UInt8], algorithm: SigningAlgorithm, deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        guard case .remote(let key) = self else { return try signature(over: message, algorithm: algorithm) }
        let digest: [UInt8]
        do { digest = try algorithm.hash.digest(of: message) } catch { throw SigningError("signing failed: \(error)") }
        return try await key.signature(ofDigest: digest, algorithm: algorithm, deadline: deadline)
    }
}
