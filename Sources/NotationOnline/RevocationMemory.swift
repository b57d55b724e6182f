import Concurrency
import Crypto
import Encoding
import FoundationEssentials
import Notation
import PKI
import Synchronization

/// What was learned of revocation and that nothing older may take back: the newest list of each distribution point, and
/// the certificates that were revoked. Answers are signed, but an older one stays signed too: whoever answers in the
/// place of the authority could serve it again until its own end.
///
/// It outlives the answers that taught it, and holds digests and times only. Only what was asked about a trusted chain
/// teaches: who may write here is who the trust policies trust. When it is full, the tenant with the most entries loses
/// those that it has not used for the longest time, so that no tenant makes another's forgotten.
final class RevocationMemory: Sendable {
    /// What an entry is about: the digest of an issuer, by name and key, and of a place or serial number.
    struct Key: Hashable, Sendable {
        private let digest: SHA256.Digest

        /// The lists of an issuer at a URL. A delta list is published beside others and has a sequence of its own
        /// there.
        static func lists(of issuer: Certificate, at url: RevocationURL, isDelta: Bool) -> Key {
            Key(isDelta ? 1 : 0, issuer, Array(url.text.utf8))
        }

        /// A certificate of an issuer.
        static func certificate(_ certificate: Certificate, of issuer: Certificate) -> Key {
            Key(2, issuer, certificate.serialNumber)
        }

        private init(_ kind: UInt8, _ issuer: Certificate, _ rest: [UInt8]) {
            var hash = SHA256()
            // A certificate that was issued anew for the same authority has the same key, and signs the same lists.
            hash.update(data: [kind])
            for part in [SHA256.hash(data: issuer.subject.der), SHA256.hash(data: issuer.publicKey.keyBytes)] {
                part.withUnsafeBytes { hash.update(bufferPointer: $0) }
            }
            hash.update(data: rest)
            digest = hash.finalize()
        }
    }

    /// The newest list of a place.
    struct Newest: Hashable, Sendable {
        let thisUpdate: Date
        let number: [UInt8]?
        /// The digest of what part of the certificates it covers: numbers are compared within one scope only (RFC 5280,
        /// section 5.2.3).
        let scope: SHA256.Digest?

        init(_ list: RevocationList) {
            thisUpdate = list.thisUpdate
            number = list.number
            scope = Self.scope(of: list)
        }

        private static func scope(of list: RevocationList) -> SHA256.Digest? {
            list.extensions.first { $0.oid == CertificateExtension.Identifier.issuingDistributionPoint }
                .map { SHA256.hash(data: $0.value) }
        }

        /// Why a list is older than this one, `nil` when it is not.
        func refusal(of list: RevocationList) -> ValidationFailure? {
            func failure(_ theirs: String, _ ours: String) -> ValidationFailure {
                ValidationFailure(
                    "the list is older than one that was seen there before: \(theirs) after \(ours); whoever answers there "
                        + "serves what is out of date, or somebody on the way does")
            }
            guard list.thisUpdate >= thisUpdate else {
                return failure("of \(RFC3339.text(list.thisUpdate))", "of \(RFC3339.text(thisUpdate))")
            }
            guard let number, scope == Self.scope(of: list) else { return nil }
            guard let theirs = list.number else { return failure("without a number", "number \(Self.text(number))") }
            guard !RevocationList.isGreater(number, than: theirs) else {
                return failure("number \(Self.text(theirs))", "number \(Self.text(number))")
            }
            return nil
        }

        private static func text(_ number: [UInt8]) -> String {
            number.count < 8 ? String(number.reduce(0) { $0 << 8 | Int($1) }) : "0x" + Hex.text(number)
        }
    }

    /// What is known of a certificate that was revoked.
    struct Revocation: Hashable, Sendable {
        /// The time of the statement: only a newer one may say otherwise.
        let statedAt: Date
        let date: Date
        let reason: RevocationList.Entry.Reason?
        let invalidityDate: Date?
        /// Who said so.
        let source: String

        /// Whether it counts for a signature of which a signing authority states the time.
        func counts(_ signingTime: Date?) -> Bool {
            guard let signingTime, let invalidityDate else { return true }
            return signingTime >= invalidityDate
        }
    }

    private enum Content {
        case newest(Newest)
        case revocation(Revocation)
    }

    private struct State {
        /// By tenant. The bound is of all together: ``shrink(to:)``.
        var entries: [String: BoundedCache<Key, Content>] = [:]
        var count = 0

        /// Takes an eighth of what may be kept from the tenant that has the most.
        mutating func shrink(to maximum: Int) {
            guard count > maximum,
                let (tenant, most) = entries.max(by: { $0.value.counts.entries < $1.value.counts.entries })
            else { return }
            count -= most.evict(max(1, maximum / 8))
            if most.counts.entries == 0 { entries[tenant] = nil }
        }
    }

    private let state = Mutex(State())
    /// How many entries are kept, of all tenants together: some 300 bytes each.
    let maximumCount: Int

    init(maximumCount: Int = 16_384) { self.maximumCount = maximumCount }

    /// How many entries there are.
    var count: Int { state.withLock { $0.count } }

    // MARK: Lists

    /// Why a list is older than one that was seen at its place before, `nil` when it is not.
    func refusal(of list: RevocationList, _ key: Key, tenant: String) -> ValidationFailure? {
        state.withLock { state in
            guard case .newest(let newest)? = state.entries[tenant]?.value(for: key) else { return nil }
            return newest.refusal(of: list)
        }
    }

    /// Remembers a list, unless it is older than what is known.
    func note(_ list: RevocationList, _ key: Key, tenant: String) {
        change(key, tenant) { old in
            if let old, case .newest(let newest) = old, newest.refusal(of: list) != nil { return old }
            return .newest(Newest(list))
        }
    }

    // MARK: Certificates

    /// The revocation of a certificate that a statement of a time does not take back, `nil` when none is known.
    func revocation(_ key: Key, against time: Date, tenant: String) -> Revocation? {
        state.withLock { state in
            guard case .revocation(let known)? = state.entries[tenant]?.value(for: key), time <= known.statedAt
            else { return nil }
            return known
        }
    }

    /// Remembers that a certificate was revoked, unless something newer is known.
    func note(_ revocation: Revocation, _ key: Key, tenant: String) {
        change(key, tenant) { old in
            if let old, case .revocation(let known) = old, known.statedAt > revocation.statedAt { return old }
            return .revocation(revocation)
        }
    }

    private func change(_ key: Key, _ tenant: String, _ next: (Content?) -> Content) {
        state.withLock { state in
            let cache = state.entries[tenant] ?? BoundedCache(maximumCost: .max)
            state.entries[tenant] = cache
            let old = cache.peek(key)
            cache.insert(next(old), for: key)
            guard old == nil else { return }
            state.count += 1
            state.shrink(to: maximumCount)
        }
    }
}

extension RevocationList {
    /// Compares magnitudes without leading zeros.
    static func isGreater(_ left: [UInt8], than right: [UInt8]) -> Bool {
        left.count == right.count ? right.lexicographicallyPrecedes(left) : left.count > right.count
    }
}
