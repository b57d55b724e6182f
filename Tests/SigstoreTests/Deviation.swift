import Encoding
import Sigstore
import SigstoreTestSupport
import StrictJSON

/// Where PyPI `sigstore` says something else, by the first column of the table in docs/sigstore.md, which has the reasons.
enum Deviation: String, CaseIterable {
    // What is verified here only.
    case hashes = "a certificate's key that does not sign with ECDSA and SHA-256"
    case timeOfInToto = "the time of an entry of the kind `intoto`"
    case dsse2 = "entries of the kind `dsse` 0.0.2"
    case entries = "several log entries, or none"
    case otherName = "a user name in Fulcio's `otherName`"
    case chain = "authorities' certificates in a bundle"
    case order = "a timestamp's certificates in another order than DER's"
    case timestampTwice = "a timestamp twice"
    case certificateMember = "`certificate` in a bundle of version 0.1 or 0.2"
    case promiseAlone = "an entry of version 0.1 without an inclusion proof"
    case null = "an empty member, or `null`, instead of none"
    case rootMembers = "unknown members, and the names of authorities, in a trusted root"
    // What is refused here only.
    case spelling = "Base64 with left-over bits or white space, numbers with white space or leading zeros"
    case timestampThatFails = "a timestamp that does not hold, beside another proof"
    case promiseOfRekor2 = "a signed entry timestamp without a time"
    case secondLeaf = "a second certificate of nobody's authority in a bundle"
    case nameOfSignature = "a checkpoint's signature under another name than the log's"
    case treeSize = "a proof for a tree of another size than the checkpoint's"
    case logOfEntry = "an entry of Rekor v2 that names another log or index than its proof"
    case identifierInRoot = "a log of a trusted root whose identifier is not that of its key"
    case requiredInRoot = "a log of a trusted root without address, identifier or validity"
    case origin = "a Rekor v2 log of a trusted root with another address than its checkpoints have"
    case validityInRoot = "a signature from before a trusted root has its authority"
    case witnesses = "a checkpoint without the witness that the policy asks for"
    case certificateOfRoot = "an altered certificate of an authority in a trusted root"
    // Either.
    case unsigned = "what an authority does not sign of its timestamp"

    /// Those of bundles that are good here, by what `bundles.json` says of them.
    static let ofGoodBundles: [String: Deviation] = [
        "it verifies ECDSA with SHA-256 only": .hashes,
        "it takes no time from an entry of the kind intoto": .timeOfInToto,
        "it does not know the kind dsse 0.0.2": .dsse2, "it wants exactly one log entry": .entries,
        "it compares the DER encoding of an otherName, not the text in it": .otherName,
        "it does not use the certificates that a bundle brings along": .chain,
        "it wants the certificates of a timestamp in DER order, in which openssl does not write them": .order,
    ]

    /// The one that a changed bundle, or a bundle with a changed trusted root, is about; nil for none that is known.
    static func of(_ question: ReferenceClientTests.Question, _ answer: String) -> Deviation? {
        guard let mutation = question.mutation else { return nil }
        switch (question.isOfRoot, question.isVerified) {
        case (false, true): return verifiedHere(mutation, answer)
        case (false, false): return refusedHere(mutation, question)
        case (true, true): return rootUsableHere(mutation, answer)
        case (true, false): return rootRefusedHere(mutation, question)
        }
    }

    private static func verifiedHere(_ mutation: Mutation, _ answer: String) -> Deviation? {
        switch mutation.name {
        case "tlogEntries" where answer.contains("exactly one log entry"): .entries
        case "rfc3161Timestamps" where answer.contains("duplicate timestamp"): .timestampTwice
        case "mediaType" where answer.contains("expected certificate chain"): .certificateMember
        case "inclusionProof", "checkpoint", "envelope": mutation.kind == .emptied ? .promiseAlone : nil
        case "signedTimestamp" where mutation.kind == .flipped: .unsigned
        case "inclusionPromise", "signedEntryTimestamp": isNothing(mutation.value) ? .null : nil
        default: answer.contains("validation error for Bundle") && mutation.value.isNull ? .null : nil
        }
    }

    private static func refusedHere(_ mutation: Mutation, _ question: ReferenceClientTests.Question) -> Deviation? {
        let refusal = question.refusal
        switch refusal {
        case let error as BundleError where error.kind == .content && mutation.name == "certificates":
            return mutation.kind == .repeated ? .secondLeaf : nil
        case let error as BundleError where error.kind == .malformed || error.kind == .limit:
            return isOtherSpelling(mutation, of: question.original) ? .spelling : nil
        case is ProvenTimeError where mutation.place.contains("timestampVerificationData"):
            return mutation.kind == .flipped ? .unsigned : .timestampThatFails
        case let error as ProvenTimeError where error.kind == .badPromise:
            // An entry of Rekor v2, or one whose time is gone.
            let entry = mutation.applied(to: question.original)[["verificationMaterial", "tlogEntries", "0"]]
            return isNothing(entry[["integratedTime"]]) ? .promiseOfRekor2 : nil
        case let error as TransparencyError:
            switch (error.kind, mutation.name) {
            case (.badCheckpoint, "treeSize"): return .treeSize
            case (.witnesses, _): return .witnesses
            case (.badCheckpoint, "envelope"):
                return isOtherName(mutation, of: question.original) ? .nameOfSignature : nil
            case (.unknownLog, "keyId"), (.unknownLog, "logId"), (.badProof, "logIndex"): return .logOfEntry
            default: return nil
            }
        default: return nil
        }
    }

    private static func rootUsableHere(_ mutation: Mutation, _ answer: String) -> Deviation? {
        guard answer.hasPrefix("ValidationError") else { return nil }
        if mutation.value.isNull, mutation.place.count == 1 { return .null }
        let names: Set = ["subject", "organization", "commonName", "uri"]
        return mutation.kind == .unknownMember || !names.isDisjoint(with: mutation.place) ? .rootMembers : nil
    }

    private static func rootRefusedHere(_ mutation: Mutation, _ question: ReferenceClientTests.Question) -> Deviation? {
        let isUnusable = question.refusal == nil
        if isUnusable, isOtherSpelling(mutation, of: question.original) { return .spelling }
        switch mutation.name {
        case "start" where (question.refusal as? CertificateChainError)?.kind == .outsideValidity:
            return .validityInRoot
        case "rawBytes" where mutation.place.contains("certificates"): return .certificateOfRoot
        case "timestampAuthorities" where [.dropped, .replaced].contains(mutation.kind): return .timestampThatFails
        case "baseUrl", "validFor", "keyId", "logId":
            if isUnusable { return isNothing(mutation.value) ? .requiredInRoot : nil }
            return mutation.name == "baseUrl" ? .origin : mutation.name == "keyId" ? .identifierInRoot : nil
        default: return nil
        }
    }

    private static func isNothing(_ value: JSONValue) -> Bool {
        value == .null || value == "" || value == [] || value == [:]
    }

    /// Whether only the name before a signature of a checkpoint is another one.
    private static func isOtherName(_ mutation: Mutation, of value: JSONValue) -> Bool {
        guard let old = value[mutation.place].string, let new = mutation.value.string else { return false }
        func apart(_ text: String) -> (Substring, Substring)? {
            guard let dash = text.firstRange(of: "\n\n\u{2014} ") else { return nil }
            let name = text[dash.upperBound...].prefix { $0 != " " }
            return (text[..<dash.upperBound], text[name.endIndex...])
        }
        guard let before = apart(old), let after = apart(new) else { return false }
        return before == after
    }

    /// Whether a text is another spelling of the bytes or the number that was there.
    private static func isOtherSpelling(_ mutation: Mutation, of value: JSONValue) -> Bool {
        guard let old = value[mutation.place].string, let new = mutation.value.string else { return false }
        let known = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
        let kept = new.filter(known.contains)
        // Readers that pass over what they do not know stop at the padding.
        return kept == old || kept.hasPrefix(old)
            || Base64.decode(old).map { bytes in
                Base64.encode(bytes).dropLast(4) == kept.dropLast(4) && kept.count == old.count
            } ?? false
    }
}
