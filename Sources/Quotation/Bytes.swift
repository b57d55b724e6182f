/// Looks for texts in texts without regard to the case of ASCII letters.
enum Bytes {
    static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// - Parameter needle: in lower case.
    static func contain(_ bytes: some RandomAccessCollection<UInt8>, _ needle: some Collection<UInt8>) -> Bool {
        guard let first = needle.first else { return true }
        var start = bytes.startIndex
        while start < bytes.endIndex {
            if lowercased(bytes[start]) == first {
                let rest = bytes[start...]
                if rest.count < needle.count { return false }
                if zip(rest, needle).allSatisfy({ lowercased($0) == $1 }) { return true }
            }
            start = bytes.index(after: start)
        }
        return false
    }
}
