import Encoding
import PKI
import Sigstore
import StrictJSON

/// A kind of change of a trusted root after which a bundle may still verify, and why that is right. A trusted root is what
/// one trusts, so nothing proves that it is the right one: what must be found out is that what it says is not used.
struct HarmlessRootMutation: Sendable {
    let reason: String
    let covers: @Sendable (Mutation, JSONValue) -> Bool

    static let all: [HarmlessRootMutation] = [
        HarmlessRootMutation(reason: "Names and addresses of authorities are for people.") { mutation, _ in
            !Set(["subject", "organization", "commonName", "uri"]).isDisjoint(with: mutation.place)
        },
        HarmlessRootMutation(reason: "Members that are not known are passed over.") { mutation, _ in
            mutation.kind == .unknownMember
        },
        HarmlessRootMutation(reason: "The address of a log is for people, but for the host and path of Rekor v2.") {
            mutation, root in
            guard mutation.name == "baseUrl", let old = root[mutation.place].string, let new = mutation.value.string,
                !new.isEmpty
            else { return false }
            return !old.contains("//log") || new.hasSuffix(old.dropFirst("https".count))
        },
        HarmlessRootMutation(reason: "A list without elements may be missing.") { mutation, root in
            root[mutation.place] == [] && mutation.value.isNull
        },
        HarmlessRootMutation(reason: "The format has two versions, which are the same here.") { mutation, _ in
            mutation.name == "mediaType"
        },
        HarmlessRootMutation(reason: "A validity may begin at another time, as long as the proven times are in it.") {
            mutation, _ in
            mutation.name == "start"
        },
        HarmlessRootMutation(reason: "Logs and authorities are in no order, and count once.") { mutation, _ in
            [.repeated, .reversed].contains(mutation.kind) && mutation.place.count == 1
        },
        HarmlessRootMutation(
            reason: "All certificates of an authority are trusted; the last one is what trust begins with."
        ) {
            mutation, _ in
            mutation.name == "certificates" && [.repeated, .reversed, .dropped].contains(mutation.kind)
        },
        HarmlessRootMutation(reason: "Of a certificate that trust begins with its name, key and rights are used.") {
            mutation, root in
            guard mutation.name == "rawBytes", mutation.place.contains("certificates"),
                mutation.place.dropLast().last == String((root[mutation.place.dropLast(2)].array ?? []).count - 1),
                let old = certificate(root[mutation.place]), let new = certificate(mutation.value)
            else { return false }
            return old.subject == new.subject && old.publicKey == new.publicKey && old.isCA == new.isCA
        },
    ]

    private static func certificate(_ value: JSONValue) -> Certificate? {
        guard let der = Base64.decode(value.string ?? "") else { return nil }
        return try? Certificate(der: der)
    }

    /// The reason why a bundle may verify after the change; nil where it must not.
    static func reason(
        _ mutation: Mutation, of root: JSONValue, _ before: BundleOutcome, _ after: BundleOutcome
    ) -> String? {
        // The same chain, but for the certificates that the change is about.
        guard before.provenTimes.map(\.time) == after.provenTimes.map(\.time), before.identity == after.identity,
            before.signer?.publicKey == after.signer?.publicKey, before.chain.first == after.chain.first,
            Set(after.chain.map(\.publicKey)).isSubset(of: before.chain.map(\.publicKey)),
            before.logEntries.map(\.logIndex) == after.logEntries.map(\.logIndex)
        else { return nil }
        return all.first { $0.covers(mutation, root) }?.reason
    }

    /// A trusted root with nothing in it that a bundle does not need: each part of what is left must count.
    static func least(for bundle: MadeBundle, of root: JSONValue) throws -> JSONValue {
        var least = root
        for name in ["tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"] {
            for index in (least[[name]].array ?? []).indices.reversed() {
                var fewer = least
                var items = least[[name]].array ?? []
                items.remove(at: index)
                fewer[[name]] = .array(items)
                let verifier = BundleVerifier(root: try TrustedRoot(parsing: fewer.bytes))
                if bundle.verify(with: verifier).isVerified { least = fewer }
            }
        }
        return least
    }
}
