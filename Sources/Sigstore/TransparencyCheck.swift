import Encoding
import FoundationEssentials
import PKI
import Quotation

/// An entry that is proven to be in a log of the trusted root, and to be about this signature.
public struct VerifiedLogEntry: Hashable, Sendable {
    /// The log's address.
    public let log: String
    /// The entry's place in the log.
    public let logIndex: Int64
    /// The entry's kind and version: `hashedrekord 0.0.1`.
    public let kind: String
    /// When the log took it in, where the log has promised that (Rekor v1).
    public let integratedTime: Date?
    /// Whether the entry is proven to be in a tree that the log has signed; else the log has promised it.
    public let hasInclusionProof: Bool
}

/// The step ``VerificationStep/transparency``: the signature is in a log, where its owner can see it.
struct TransparencyCheck {
    let bundle: Bundle
    let artifact: Artifact
    let signer: Signer
    let root: TrustedRoot
    let policy: BundlePolicy
    let times: [ProvenTime]

    /// Verifies all entries: one that does not hold fails, whatever the others prove.
    func verify() throws(TransparencyError) -> [VerifiedLogEntry] {
        guard !bundle.logEntries.isEmpty else {
            throw TransparencyError(
                .missing,
                "\(bundle.name) has no entry of a transparency log; the policy asks for \(policy.logThreshold): sign with a log, "
                    + "or let the policy ask for signed timestamps instead")
        }
        var verified: [VerifiedLogEntry] = []
        var logs: Set<LogKey> = []
        for entry in bundle.logEntries {
            let (result, key) = try verify(entry)
            verified.append(result)
            // One log counts once, however many entries it has, and under whatever names the trusted root has its key.
            logs.insert(key)
        }
        guard logs.count >= policy.logThreshold else {
            throw TransparencyError(
                .belowThreshold,
                "the signature is in \(logs.count == 1 ? "one log" : "\(logs.count) different logs"); the policy asks for "
                    + "\(policy.logThreshold)")
        }
        return verified
    }

    private func verify(_ entry: LogEntry) throws(TransparencyError) -> (VerifiedLogEntry, LogKey) {
        let body = try EntryBody(entry)
        let (log, key) = try log(of: entry)
        // A promise was verified together with the time that it states (``ProvenTimes``).
        let hasPromise = entry.signedEntryTimestamp != nil
        if let proof = entry.inclusionProof, let text = proof.checkpoint {
            try verify(proof, text, of: entry, body, by: log, key)
        } else if let proof = entry.inclusionProof {
            // Version 0.1 only: without a checkpoint it proves nothing, but what is there must hold together.
            try verify(proof, of: entry)
        }
        // Witnesses sign checkpoints: without one, none of them has seen the log that made a promise.
        guard policy.witnessThreshold <= 0 || entry.inclusionProof?.checkpoint != nil else {
            throw TransparencyError(
                .witnesses,
                "the log entry has no checkpoint that witnesses could have signed; the policy asks for "
                    + "\(policy.witnessThreshold)")
        }
        guard hasPromise || entry.inclusionProof?.checkpoint != nil else {
            throw TransparencyError(.badProof, "the log entry has neither a promise nor a proof of its inclusion")
        }
        try compare(body)
        return (
            VerifiedLogEntry(
                log: log.baseURL, logIndex: entry.logIndex, kind: "\(entry.kind) \(entry.version)",
                integratedTime: hasPromise ? entry.integratedTime : nil,
                hasInclusionProof: entry.inclusionProof?.checkpoint != nil), key
        )
    }

    /// The log of an entry, trusted when the entry was made: at the time that it has promised, else at every time that
    /// is proven.
    private func log(of entry: LogEntry) throws(TransparencyError) -> (TransparencyLog, LogKey) {
        let known = root.transparencyLogs.filter { $0.logID == entry.logID }
        let identifier = Hex.text(entry.logID.prefix(8)) + "…"
        guard let first = known.first else {
            throw TransparencyError(
                .unknownLog,
                "the transparency log with the identifier \(identifier) is not in the trusted root: take the trusted root of "
                    + "the instance that was signed with")
        }
        guard let usable = known.first(where: { $0.key != nil }), usable.key != nil else {
            throw TransparencyError(
                .unknownLog, "the key of the transparency log \(first.baseURL) is of a kind that is not known here")
        }
        let moments: [Date] =
            if entry.signedEntryTimestamp != nil, let time = entry.integratedTime { [time] } else { times.map(\.time) }
        guard !moments.isEmpty else {
            throw TransparencyError(
                .outsideValidity,
                "nothing proves when the entry of \(usable.baseURL) was made, so that nobody knows whether the log was "
                    + "trusted then: sign with a timestamp authority")
        }
        for log in known {
            if let key = log.key, moments.allSatisfy({ log.validity.contains($0) }) { return (log, key) }
        }
        throw TransparencyError(
            .outsideValidity,
            "the entry of the transparency log \(usable.baseURL) was made at \(UTC.text(moments[0])); the trusted root has "
                + "the log \(usable.validity)")
    }

    // MARK: Inclusion

    private func verify(_ proof: LogEntry.InclusionProof, of entry: LogEntry) throws(TransparencyError) {
        let leaf = MerkleTree.leafHash(entry.canonicalizedBody)
        guard
            let hash = MerkleTree.root(
                leafHash: leaf, index: proof.logIndex, size: proof.treeSize, hashes: proof.hashes),
            hash == proof.rootHash
        else {
            throw TransparencyError(
                .badProof,
                "the inclusion proof does not lead from the log entry to the hash of the tree: the entry, its index or the "
                    + "proof has been altered")
        }
    }

    private func verify(
        _ proof: LogEntry.InclusionProof, _ text: String, of entry: LogEntry, _ body: EntryBody,
        by log: TransparencyLog, _ key: LogKey
    ) throws(TransparencyError) {
        let checkpoint: Checkpoint
        do { checkpoint = try Checkpoint(text) } catch {
            throw TransparencyError(
                .badCheckpoint, "the checkpoint of the log entry cannot be read: \(error.description)")
        }
        if let fault = checkpoint.fault(by: log, key: key, namesItself: body.isVersion2) {
            throw TransparencyError(.badCheckpoint, "the checkpoint of the log entry is not the log's: \(fault)")
        }
        guard checkpoint.size == proof.treeSize, checkpoint.rootHash == proof.rootHash else {
            throw TransparencyError(
                .badCheckpoint, "the checkpoint of the log entry is about another tree than the inclusion proof")
        }
        if body.isVersion2 {
            // A log of Rekor v2 is one tree, so both indices are the same.
            guard entry.logIndex == proof.logIndex else {
                throw TransparencyError(
                    .badProof,
                    "the log entry says that it is number \(entry.logIndex) of the log, its proof number \(proof.logIndex)"
                )
            }
        }
        try verify(proof, of: entry)
        let witnesses = Set(policy.witnesses).filter { $0.hasSigned(checkpoint) }
        guard witnesses.count >= policy.witnessThreshold else {
            throw TransparencyError(
                .witnesses,
                "\(witnesses.count) of the policy's witnesses have signed the checkpoint of the log entry; it asks for "
                    + "\(policy.witnessThreshold)")
        }
    }

    // MARK: What the entry is about

    /// The entry is about this signature, by this key, over this artifact: each compared on its own. A valid entry
    /// about something else proves nothing.
    private func compare(_ body: EntryBody) throws(TransparencyError) {
        guard body.signature == bundle.signature else {
            throw TransparencyError(.otherSignature, "the log entry is about another signature than this one")
        }
        guard body.verifier == signer.verifier else {
            throw TransparencyError(
                .otherKey, "the log entry is about another key or certificate than \(signer.name)")
        }
        switch (body.subject, bundle.content) {
        case (.message(let digest), .message):
            guard let own = artifact.digest(digest.algorithm) else {
                throw TransparencyError(
                    .otherArtifact,
                    "the log entry has the artifact's \(digest.algorithm.rawValue), and of the artifact no more is known than "
                        + "\(artifact.name): give the artifact itself")
            }
            guard own == digest else { throw otherArtifact("the artifact \(digest)", "\(own)") }
        case (.message(let digest), .envelope(let envelope)):
            let own = ArtifactDigest(of: envelope.preAuthenticationEncoding, algorithm: digest.algorithm)
            guard own == digest else { throw otherArtifact("the signed encoding \(digest)", "\(own)") }
        case (.payload(let digest, let type), .envelope(let envelope)):
            let own = ArtifactDigest(of: envelope.payload, algorithm: digest.algorithm)
            guard own == digest, type.map({ isSame($0, envelope.payloadType) }) ?? true else {
                throw otherArtifact("the payload \(digest)", "\(own)")
            }
        case (.message(let digest), .simpleSigning(let layer)):
            let own = ArtifactDigest(of: layer.payload, algorithm: digest.algorithm)
            guard own == digest else { throw otherArtifact("the payload \(digest)", "\(own)") }
        case (.payload(let digest, _), .message):
            throw otherArtifact("an envelope with the payload \(digest)", "a signature over the artifact")
        case (.payload(let digest, _), .simpleSigning):
            throw otherArtifact("an envelope with the payload \(digest)", "a signature over a payload")
        }
    }

    private func otherArtifact(_ logged: String, _ own: String) -> TransparencyError {
        TransparencyError(.otherArtifact, "the log entry is about \(logged.quoted), \(bundle.name) about \(own.quoted)")
    }
}
