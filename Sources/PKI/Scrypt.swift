import COpenSSL

/// scrypt (RFC 7914): a key from a password, at a price in time and memory.
package enum Scrypt {
    /// The most memory that a derivation may take.
    package static let maximumMemory = 256 << 20

    /// Derives a key.
    ///
    /// - Parameters:
    ///   - cost: N, a power of two; N · r · 128 bytes are needed.
    ///   - blockSize: r.
    ///   - parallelization: p.
    ///   - length: how many bytes.
    package static func key(
        password: [UInt8], salt: [UInt8], cost: Int, blockSize: Int, parallelization: Int, length: Int
    ) throws(PKIError) -> [UInt8] {
        guard cost > 1, cost & (cost - 1) == 0, blockSize > 0, parallelization > 0, length > 0 else {
            throw PKIError(.malformed, "scrypt's N must be a power of two above 1, and r and p at least 1")
        }
        let (perBlock, overflow) = blockSize.multipliedReportingOverflow(by: 128)
        let (memory, more) = perBlock.multipliedReportingOverflow(by: cost)
        guard !overflow, !more, memory <= maximumMemory, parallelization <= 16 else {
            throw PKIError(
                .tooLarge,
                "scrypt with N \(cost), r \(blockSize) and p \(parallelization) takes more memory or time than is accepted: "
                    + "\(maximumMemory >> 20) MiB, and p at most 16")
        }
        var output = [UInt8](repeating: 0, count: length)
        let (good, reason) = OpenSSL.explained { reason in
            countersign_scrypt(
                password, password.count, salt, salt.count, UInt64(cost), UInt64(blockSize), UInt64(parallelization),
                UInt64(maximumMemory) + (1 << 20), &output, length, reason)
        }
        guard good == 1 else { throw PKIError(.failed, "deriving a key from the password failed: \(reason)") }
        return output
    }
}
