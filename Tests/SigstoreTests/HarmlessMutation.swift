import Encoding
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON

/// A kind of change after which a signature may still verify, and why that is right. Whatever else passes is a defect.
struct HarmlessMutation: Sendable {
    /// A change, and what came of it.
    struct Change {
        let mutation: Mutation
        /// What was changed.
        let original: JSONValue
        let policy: BundlePolicy
        /// The outcome without the change.
        let before: BundleOutcome
        /// The outcome with it, which is a success.
        let after: BundleOutcome
        /// The outcome of what the value was taken from, if it was.
        var source: BundleOutcome?

        /// What stood in the place.
        var old: JSONValue { original[mutation.place] }
        /// Whether everything that is proven was proven before, too.
        var provesNoMore: Bool {
            Set(after.provenTimes).isSubset(of: before.provenTimes)
                && Set(after.logEntries.map(\.logIndex)).isSubset(of: before.logEntries.map(\.logIndex))
        }

        /// How many proofs there are.
        fileprivate static func proofs(_ outcome: BundleOutcome) -> Int {
            outcome.provenTimes.count + outcome.logEntries.count
                + outcome.logEntries.count(where: \.hasInclusionProof)
        }
    }

    let reason: String
    let covers: @Sendable (Change) -> Bool

    private static let proofs: Set = [
        "timestampVerificationData", "rfc3161Timestamps", "signedTimestamp", "tlogEntries", "inclusionPromise",
        "signedEntryTimestamp", "inclusionProof", "checkpoint", "envelope", CosignAnnotation.bundle,
        CosignAnnotation.timestamp,
    ]

    private static func isNothing(_ value: JSONValue) -> Bool {
        value == .null || value == "" || value == [] || value == [:]
    }

    /// All of them, for bundles and for layers.
    static let all: [HarmlessMutation] = [
        HarmlessMutation(reason: "The hint of a key only chooses among the keys of the policy.") {
            $0.mutation.place.contains("publicKey")
        },
        HarmlessMutation(reason: "The name that an envelope has for its key is signed by nobody and used for nothing.")
        {
            $0.mutation.name == "keyid"
        },
        HarmlessMutation(reason: "The digest that a bundle states beside its signature may be left out, or be there.") {
            guard $0.mutation.name == "messageDigest" else { return false }
            // One that is there was compared with the artifact's.
            return $0.mutation.value.isNull || $0.mutation.kind == .taken && $0.old.isNull
        },
        HarmlessMutation(reason: "A member that says nothing may be missing, null or empty.") {
            isNothing($0.old) && isNothing($0.mutation.value)
        },
        HarmlessMutation(reason: "A number may be written as a text or as a number.") {
            guard case .number(let number) = $0.mutation.value else { return false }
            return $0.old.string == number
        },
        HarmlessMutation(reason: "A proof may be left out where those that are left are what the policy asks for.") {
            [.emptied, .dropped, .taken].contains($0.mutation.kind) && proofs.contains($0.mutation.name)
                && Change.proofs($0.after) < Change.proofs($0.before)
        },
        HarmlessMutation(reason: "A proof may be there once more, and proofs are in no order.") {
            [.repeated, .reversed].contains($0.mutation.kind) && proofs.contains($0.mutation.name)
        },
        HarmlessMutation(reason: "A proof of another bundle with the same signature by the same key proves the same.") {
            guard let other = $0.source, let own = $0.after.bundle else { return false }
            return $0.mutation.kind == .taken && other.bundle?.signature == own.signature
                && other.signer?.publicKey == $0.after.signer?.publicKey
                && !Set($0.mutation.place).isDisjoint(with: proofs)
                && Set($0.after.provenTimes).isSubset(of: $0.before.provenTimes + other.provenTimes)
                && Set($0.after.logEntries).isSubset(of: $0.before.logEntries + other.logEntries)
        },
        HarmlessMutation(reason: "The version of the format is signed by nobody; what it demands is there.") {
            $0.mutation.name == "mediaType" && CosignMediaType.bundles.contains($0.mutation.value.string ?? "")
        },
        HarmlessMutation(
            reason: "An authority signs neither the frame of its token nor the certificates that come along."
        ) {
            ["signedTimestamp", "SignedRFC3161Timestamp", CosignAnnotation.timestamp].contains($0.mutation.name)
                && $0.after.provenTimes == $0.before.provenTimes
        },
        HarmlessMutation(reason: "A time that no log has promised is used for nothing.") { change in
            let entry = change.original[change.mutation.place.dropLast()]
            return change.mutation.name == "integratedTime" && isNothing(entry[["inclusionPromise"]])
                && change.after.logEntries == change.before.logEntries
        },
        HarmlessMutation(reason: "Authorities' certificates only help to find the chain, which is the same.") {
            ($0.mutation.place.contains("certificates") || $0.mutation.place.contains(CosignAnnotation.chain))
                && $0.after.chain == $0.before.chain
        },
        HarmlessMutation(reason: "White space around PEM and JSON means nothing.") {
            let blank: (Character) -> Bool = { $0 == " " || $0 == "\n" }
            guard let old = $0.old.string, let new = $0.mutation.value.string else { return false }
            return $0.mutation.place.contains("annotations") && old.filter { !blank($0) } == new.filter { !blank($0) }
        },
        HarmlessMutation(reason: "Text around a PEM block means nothing (RFC 7468, section 2).") {
            $0.mutation.name == CosignAnnotation.certificate && $0.mutation.kind == .extended
                && $0.after.chain == $0.before.chain
        },
        HarmlessMutation(reason: "Where the policy asks for no log, nothing that logs say is used.") {
            let place = $0.mutation.place
            return $0.policy.logThreshold == 0 && $0.after.logEntries.isEmpty
                && (place.contains("tlogEntries") || place.contains(CosignAnnotation.bundle))
        },
    ]

    /// The reason why a change may pass; nil where it must not.
    static func reason(for change: Change) -> String? {
        let (before, after) = (change.before, change.after)
        // Whatever was changed: the same signature of the same thing by the same signer.
        guard let old = before.bundle, let new = after.bundle, old.signature == new.signature,
            before.signer?.publicKey == after.signer?.publicKey, before.identity == after.identity,
            before.chain == after.chain, before.certificateLogs == after.certificateLogs
        else { return nil }
        switch (old.content, new.content) {
        case (.message, .message): break
        case (.envelope(let old), .envelope(let new)):
            guard old.payload == new.payload, old.payloadType == new.payloadType else { return nil }
        case (.simpleSigning(let old), .simpleSigning(let new)): guard old == new else { return nil }
        default: return nil
        }
        guard let harmless = all.first(where: { $0.covers(change) }) else { return nil }
        return change.provesNoMore || change.source != nil ? harmless.reason : nil
    }
}

/// How many changes there were, and how many of them passed for which reason.
struct MutationCount {
    private(set) var all = 0
    private(set) var passed: [String: Int] = [:]

    mutating func count() { all += 1 }
    mutating func count(passed reason: String) { passed[reason, default: 0] += 1 }

    /// A table for the log.
    func table(_ what: String) -> String {
        let lines = passed.sorted { $0.key < $1.key }.map { "| \($0.key) | \($0.value) |" }
        return (["", "\(what): \(all) changes, \(passed.values.reduce(0, +)) of them without meaning:"] + lines)
            .joined(separator: "\n")
    }
}
