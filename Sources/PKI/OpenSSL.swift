import COpenSSL

/// The calls into OpenSSL: every pointer lives inside one synchronous call, so the thread's error queue is never read
/// after a suspension, and nothing of OpenSSL's is owned by a Swift value except the key in ``PrivateKey``.
enum OpenSSL {
    /// Runs a call that writes its reason of failure, and gives the result with the reason.
    static func explained<Result>(_ body: (UnsafeMutablePointer<CChar>) -> Result) -> (Result, String) {
        var reason = [CChar](repeating: 0, count: Int(COUNTERSIGN_REASON_SIZE))
        let result = body(&reason)
        return (result, String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Calls with the parameters of a scheme; nil for a scheme that is not supported.
    static func withParameters<Result>(
        _ scheme: SignatureAlgorithm.Scheme, _ body: (CountersignSignatureParameters) -> Result
    ) -> Result? {
        var parameters = CountersignSignatureParameters()
        switch scheme {
        case .rsaPKCS1(let hash):
            parameters.scheme = Int32(COUNTERSIGN_RSA_PKCS1)
            return hash.rawValue.withCString {
                parameters.digest = $0
                return body(parameters)
            }
        case .ecdsa(let hash):
            parameters.scheme = Int32(COUNTERSIGN_ECDSA)
            return hash.rawValue.withCString {
                parameters.digest = $0
                return body(parameters)
            }
        case .rsaPSS(let hash, let mgf1, let salt):
            guard let saltLength = Int32(exactly: salt) else { return nil }
            parameters.scheme = Int32(COUNTERSIGN_RSA_PSS)
            parameters.salt_length = saltLength
            return hash.rawValue.withCString { digest in
                mgf1.rawValue.withCString { mask in
                    parameters.digest = digest
                    parameters.mgf1_digest = mask
                    return body(parameters)
                }
            }
        case .ed25519:
            parameters.scheme = Int32(COUNTERSIGN_ED25519)
            return body(parameters)
        case .other:
            return nil
        }
    }

    /// Whether a signature is valid. Every fault on the way is a no.
    static func verify(signature: [UInt8], message: [UInt8], spki: [UInt8], scheme: SignatureAlgorithm.Scheme) -> Bool {
        let answer = withParameters(scheme) { parameters in
            explained { reason -> Int32 in
                guard let key = countersign_public_key(spki, spki.count, reason) else { return -1 }
                defer { countersign_key_free(key) }
                return countersign_verify(
                    key, parameters, message, message.count, signature, signature.count, reason)
            }.0
        }
        return answer == 1
    }

    /// Whether a signature over something with this digest is valid. Every fault on the way is a no.
    static func verify(signature: [UInt8], digest: [UInt8], spki: [UInt8], scheme: SignatureAlgorithm.Scheme) -> Bool {
        let answer = withParameters(scheme) { parameters in
            explained { reason -> Int32 in
                guard let key = countersign_public_key(spki, spki.count, reason) else { return -1 }
                defer { countersign_key_free(key) }
                return countersign_verify_digest(
                    key, parameters, digest, digest.count, signature, signature.count, reason)
            }.0
        }
        return answer == 1
    }

    /// A digest of bytes.
    static func digest(_ algorithm: HashAlgorithm, of bytes: [UInt8]) throws(PKIError) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: 64)
        let length = countersign_digest(algorithm.rawValue, bytes, bytes.count, &output)
        guard length == Int32(algorithm.length) else {
            throw PKIError(.failed, "OpenSSL has no \(algorithm.rawValue)")
        }
        return Array(output.prefix(algorithm.length))
    }
}

extension HashAlgorithm {
    /// The hash of bytes, by OpenSSL.
    public func digest(of bytes: [UInt8]) throws(PKIError) -> [UInt8] { try OpenSSL.digest(self, of: bytes) }
}
