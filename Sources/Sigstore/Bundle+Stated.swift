/// What a bundle, or the layer of a cosign signature, says of itself. **Nothing of it is verified**: it serves to show a
/// bundle and to tell forms apart, never to decide anything.
extension Bundle {
    /// The statement; nil where the bundle has none.
    ///
    /// - Throws: when there is one, and it cannot be read.
    public func statedStatement() throws(ArtifactSignatureError) -> InTotoStatement? {
        guard case .envelope(let envelope) = content, isSame(envelope.payloadType, DSSEEnvelope.inTotoType) else {
            return nil
        }
        return try InTotoStatement(parsing: envelope.payload)
    }

    /// The simple signing payload; nil where there is none: a bundle has no such thing, the layer of a cosign signature
    /// always.
    ///
    /// - Throws: when there is one, and it cannot be read.
    public func statedPayload() throws(ArtifactSignatureError) -> SimpleSigningPayload? {
        guard case .simpleSigning(let layer) = content else { return nil }
        return try SimpleSigningPayload(parsing: layer.payload)
    }
}

extension LogEntry {
    /// The log's name in the checkpoint of its ``inclusionProof``; nil where there is none that can be read. Nothing is
    /// verified.
    public var statedLogName: String? {
        inclusionProof?.checkpoint.flatMap { try? Checkpoint($0) }?.origin
    }
}
