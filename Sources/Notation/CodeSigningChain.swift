import Concurrency
import Crypto
import PKI

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

/// Keeps parsed chains by the digest of their certificates: images share a handful of chains, and parsing one costs
/// more than verifying a signature. What depends on the time or on trust is not kept here.
public final class CertificateChainCache: Sendable {
    private let chains: BoundedCache<SHA256.Digest, CodeSigningChain>

    /// How many chains are kept.
    public var capacity: Int { chains.maximumEntries }
    /// How many bytes they take at most, about.
    public var maximumBytes: Int { chains.maximumCost }

    /// A cache for some number of chains; the ones not used for the longest time make room. Strangers choose how large
    /// theirs are, so the bytes count too.
    public init(capacity: Int = 256, maximumBytes: Int = 4 << 20) {
        chains = BoundedCache(maximumCost: maximumBytes, maximumEntries: max(1, capacity))
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
        if let kept = chains.value(for: digest) { return kept }
        let chain = try CodeSigningChain(der: der)
        // Names and extensions as values take several times the bytes that they were encoded in.
        chains.insert(chain, for: digest, cost: der.reduce(0) { $0 + 8 * $1.count + 2048 })
        return chain
    }

    /// How many chains are kept now.
    public var count: Int { chains.counts.entries }

    /// How many chains are kept now, their bytes, about, and what they were worth so far.
    public var counts: CacheCounts { chains.counts }
}
