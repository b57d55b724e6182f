import Crypto
import OCI
import PKI
import Synchronization

/// A certificate chain of a signature, parsed, with the verdict of every rule that depends neither on the time nor on
/// trust: work that is done once for each distinct chain.
public final class CodeSigningChain: Sendable {
    /// The certificates, leaf first.
    public let certificates: [Certificate]
    /// The rule that the chain breaks, `nil` when it keeps them all.
    public let violation: CertificateRuleError?
    /// The leaf's key, `nil` when it is of a kind that may not sign.
    let key: VerificationKey?
    /// The leaf's subject as identities are compared with it.
    let leafName: Result<SubjectName, TrustPolicyError>

    /// The leaf: the signing certificate.
    public var leaf: Certificate { certificates[0] }

    /// The rules for code signing, in the order in which they are checked.
    public static let rules: [any CertificateRule] = [
        KeyStrengthRule(), SerialNumberRule(), CertificateSignatureRule(), ChainOrderRule(), BasicConstraintsRule(),
        KeyUsageRule(), CodeSigningPurposeRule(),
    ]

    /// Parses and checks a chain.
    ///
    /// - Throws: ``EnvelopeError`` when there is no certificate, or one cannot be read. A chain that can be read and
    ///   breaks a rule is a value with a ``violation``.
    public init(der: [[UInt8]]) throws(EnvelopeError) {
        var certificates: [Certificate] = []
        for (index, bytes) in der.enumerated() {
            do { certificates.append(try Certificate(der: bytes)) } catch {
                throw EnvelopeError(.certificates, "certificate \(index + 1) of the chain cannot be read: \(error)")
            }
        }
        guard let leaf = certificates.first else {
            throw EnvelopeError(.certificates, "the certificate chain is empty")
        }
        self.certificates = certificates
        violation = Self.violation(in: certificates)
        key = VerificationKey(leaf.publicKey)
        do throws(TrustPolicyError) {
            leafName = .success(try SubjectName(leaf.subject))
        } catch { leafName = .failure(error) }
    }

    /// The first rule that a chain breaks.
    public static func violation(in chain: [Certificate]) -> CertificateRuleError? {
        for rule in rules {
            if let violation = rule.violation(in: chain) { return violation }
        }
        return nil
    }
}

/// Keeps parsed chains by the digest of their certificates: images share a handful of chains, and parsing one costs more
/// than verifying a signature. What depends on the time or on trust is not kept here.
public final class CertificateChainCache: Sendable {
    private struct State {
        var chains: [SHA256.Digest: (chain: CodeSigningChain, bytes: Int, used: UInt64)] = [:]
        var bytes = 0
        var clock: UInt64 = 0
        var counts = CacheCounts()
    }

    /// How many chains are kept.
    public let capacity: Int
    /// How many bytes they take at most, about.
    public let maximumBytes: Int
    private let state = Mutex(State())

    /// A cache for some number of chains; the ones not used for the longest time make room. Strangers choose how large
    /// theirs are, so the bytes count too.
    public init(capacity: Int = 256, maximumBytes: Int = 4 << 20) {
        self.capacity = max(1, capacity)
        self.maximumBytes = maximumBytes
    }

    /// The chain of some certificates, leaf first.
    public func chain(der: [[UInt8]]) throws(EnvelopeError) -> CodeSigningChain {
        var hash = SHA256()
        for certificate in der {
            // The lengths keep two chains apart whose bytes run on in the same way.
            withUnsafeBytes(of: UInt64(certificate.count)) { hash.update(bufferPointer: $0) }
            hash.update(data: certificate)
        }
        let digest = hash.finalize()
        let kept = state.withLock { state -> CodeSigningChain? in
            state.clock += 1
            guard let entry = state.chains[digest] else {
                state.counts.misses += 1
                return nil
            }
            state.counts.hits += 1
            state.chains[digest]?.used = state.clock
            return entry.chain
        }
        if let kept { return kept }
        let chain = try CodeSigningChain(der: der)
        // Names and extensions as values take several times the bytes that they were encoded in.
        let bytes = der.reduce(0) { $0 + 8 * $1.count + 2048 }
        guard bytes <= maximumBytes else { return chain }
        state.withLock { state in
            if let former = state.chains.removeValue(forKey: digest) { state.bytes -= former.bytes }
            while state.chains.count >= capacity || state.bytes + bytes > maximumBytes,
                let oldest = state.chains.min(by: { $0.value.used < $1.value.used })
            {
                state.chains[oldest.key] = nil
                state.bytes -= oldest.value.bytes
                state.counts.evictions += 1
            }
            state.chains[digest] = (chain, bytes, state.clock)
            state.bytes += bytes
        }
        return chain
    }

    /// How many chains are kept now.
    public var count: Int { state.withLock { $0.chains.count } }

    /// How many chains are kept now, their bytes, about, and what they were worth so far.
    public var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            (counts.entries, counts.cost) = (state.chains.count, state.bytes)
            return counts
        }
    }
}
