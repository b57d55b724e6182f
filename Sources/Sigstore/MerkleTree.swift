import Crypto

/// The hashes of a log's tree (RFC 6962, section 2.1).
enum MerkleTree {
    /// The hash of an entry.
    static func leafHash(_ entry: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: [0x00])
        hash.update(data: entry)
        return Array(hash.finalize())
    }

    private static func nodeHash(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: [0x01])
        hash.update(data: left)
        hash.update(data: right)
        return Array(hash.finalize())
    }

    /// The hash of the tree that a proof of inclusion leads to (RFC 9162, section 2.1.3.2); nil when the proof has a
    /// hash too many or too few for the place, or the place is not in a tree of this size.
    static func root(leafHash: [UInt8], index: Int64, size: Int64, hashes: [[UInt8]]) -> [UInt8]? {
        guard index >= 0, index < size, hashes.count <= SigstoreLimits.proofHashes else { return nil }
        var place = UInt64(index)
        var last = UInt64(size) - 1
        var result = leafHash
        for hash in hashes {
            guard last > 0, hash.count == 32 else { return nil }
            if place & 1 == 1 || place == last {
                result = nodeHash(hash, result)
                while place & 1 == 0, place != 0 {
                    place >>= 1
                    last >>= 1
                }
            } else {
                result = nodeHash(result, hash)
            }
            place >>= 1
            last >>= 1
        }
        return last == 0 ? result : nil
    }
}
