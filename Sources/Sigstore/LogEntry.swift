import FoundationEssentials
import Quotation

/// An entry of a transparency log as a bundle has it (`dev.sigstore.rekor.v1.TransparencyLogEntry`).
public struct LogEntry: Sendable {
    /// The proof that the entry is in a log's tree.
    public struct InclusionProof: Hashable, Sendable {
        /// The place of the entry in the tree.
        public let logIndex: Int64
        /// The hash of the tree.
        public let rootHash: [UInt8]
        /// How many entries the tree has.
        public let treeSize: Int64
        /// The hashes beside the way from the entry to the root.
        public let hashes: [[UInt8]]
        /// What the log signed: the tree's size and hash.
        public let checkpoint: String?
    }

    /// The place of the entry in the log, which may be of several trees.
    public let logIndex: Int64
    /// The identifier of the log's key.
    public let logID: [UInt8]
    /// The kind of the entry, and its version.
    public let kind: String
    /// The version of the entry's kind.
    public let version: String
    /// When the log says that it took the entry in; nothing but ``signedEntryTimestamp`` proves it.
    public let integratedTime: Date?
    /// The log's promise (Rekor v1): its signature over the body, the time, the index and its identifier.
    public let signedEntryTimestamp: [UInt8]?
    /// The proof that the entry is in the log's tree.
    public let inclusionProof: InclusionProof?
    /// The entry itself, byte for byte as it was logged.
    public let canonicalizedBody: [UInt8]

    /// The seconds of ``integratedTime``, as they are signed.
    let integratedSeconds: Int64

    init(_ message: ProtobufMessage, version bundle: Bundle.Version) throws(ProtobufMessage.Fault) {
        try message.only(
            "logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof",
            "canonicalizedBody")
        logIndex = try message.integer("logIndex")
        let identifier = try message.requiredMessage("logId")
        try identifier.only("keyId")
        logID = try identifier.requiredBytes("keyId", maximum: 32)
        let kindVersion = try message.requiredMessage("kindVersion")
        try kindVersion.only("kind", "version")
        kind = try kindVersion.requiredText("kind")
        version = try kindVersion.requiredText("version")
        integratedSeconds = try message.integer("integratedTime")
        integratedTime = integratedSeconds == 0 ? nil : Date(timeIntervalSince1970: Double(integratedSeconds))
        var promise: [UInt8]?
        if let stated = try message.message("inclusionPromise") {
            try stated.only("signedEntryTimestamp")
            promise = try stated.bytes("signedEntryTimestamp", maximum: SigstoreLimits.signatureBytes)
        }
        signedEntryTimestamp = promise
        var proof: InclusionProof?
        if let stated = try message.message("inclusionProof") { proof = try InclusionProof(stated) }
        inclusionProof = proof
        canonicalizedBody = try message.requiredBytes("canonicalizedBody", maximum: SigstoreLimits.bundleBytes)

        // The bundle's version says which of the two must be there.
        if bundle == .v0_1 {
            guard promise != nil else {
                throw message.fault("a bundle of version 0.1 needs an inclusionPromise in each log entry")
            }
        } else {
            guard let proof else {
                throw message.fault("a bundle of version \(bundle.rawValue) needs an inclusionProof in each log entry")
            }
            guard proof.checkpoint != nil else {
                throw message.fault(
                    "the inclusionProof has no checkpoint, without which nobody signed the tree that it is about")
            }
        }
    }
}

extension LogEntry.InclusionProof {
    init(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        try message.only("logIndex", "rootHash", "treeSize", "hashes", "checkpoint")
        logIndex = try message.integer("logIndex")
        rootHash = try message.requiredBytes("rootHash", maximum: 32)
        treeSize = try message.integer("treeSize")
        hashes = try message.bytesList("hashes", maximum: SigstoreLimits.proofHashes, each: 32)
        var text: String?
        if let stated = try message.message("checkpoint") {
            try stated.only("envelope")
            text = try stated.text("envelope")
        }
        if let text, text.utf8.count > SigstoreLimits.checkpointBytes {
            throw message.fault(
                "the checkpoint has \(text.utf8.count) bytes; at most \(SigstoreLimits.checkpointBytes) are accepted",
                isLimit: true)
        }
        checkpoint = text
    }
}
