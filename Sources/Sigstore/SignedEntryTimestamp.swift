import Encoding

/// The promise of Rekor v1 that it has taken an entry in: its signature over the entry, the time and the index.
enum SignedEntryTimestamp {
    /// What is signed: the entry in canonical JSON (RFC 8785), which for these four members is their order by name and
    /// nothing between them.
    static func payload(of entry: LogEntry) -> [UInt8] {
        var text: [UInt8] = []
        text += Array("{\"body\":\"\(Base64.encode(entry.canonicalizedBody))\"".utf8)
        text += Array(",\"integratedTime\":\(entry.integratedSeconds)".utf8)
        text += Array(",\"logID\":\"\(Hex.text(entry.logID))\"".utf8)
        text += Array(",\"logIndex\":\(entry.logIndex)}".utf8)
        return text
    }

    /// Whether the promise is the log's.
    static func isValid(_ signature: [UInt8], of entry: LogEntry, by key: LogKey) -> Bool {
        key.isValid(signature, over: payload(of: entry))
    }
}
