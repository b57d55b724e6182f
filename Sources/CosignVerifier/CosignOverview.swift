import Encoding
import FoundationEssentials
import KeyManagement
import Sigstore
import SigstoreTrust
import Verification

/// Whose cosign signatures a configuration trusts at one moment: identities and keys by policy, and the trusted roots
/// with their authorities and logs.
package struct CosignOverview: Sendable {
    /// A trust policy of a verifier.
    package struct Policy: Sendable {
        /// The verifier.
        package let verifier: String
        /// What it asks for.
        package let policy: CosignTrustPolicy
        /// Its keys in force.
        package let keys: [Key]
        /// What keeps it, or a part of it, from being used.
        package let problems: [String]
    }

    /// A key in force.
    package struct Key: Sendable {
        /// The provider; nil for a file.
        package let provider: String?
        /// The name in the provider, or the file's path.
        package let name: String
        /// The version in the provider; empty where there is none.
        package let version: String
        /// What kind of key it is: `EC P-256`.
        package let kind: String
        /// The SHA-256 of the key, in hexadecimal.
        package let fingerprint: String
        /// When its signatures are trusted; nil for always.
        package let validity: ValidityPeriod?
    }

    /// A trusted root.
    package struct Root: Sendable {
        /// The provider; nil for the public good instance's as it is compiled in.
        package let provider: String?
        /// How its last look went; nil for what is compiled in.
        package let status: ProviderStatus?
        /// What is in it; empty when there is none in force.
        package let parts: [Part]
        /// The policies that use it: `default of cosign`.
        package let uses: [String]
    }

    /// An authority or a log of a trusted root.
    package struct Part: Sendable {
        /// What it is for.
        package enum Kind: String, Sendable, CaseIterable {
            case certificateAuthority, certificateLog, transparencyLog, timestampAuthority

            /// In words.
            package var name: String {
                switch self {
                case .certificateAuthority: "certificate authority"
                case .certificateLog: "certificate transparency log"
                case .transparencyLog: "transparency log"
                case .timestampAuthority: "timestamp authority"
                }
            }
        }

        /// What it is for.
        package let kind: Kind
        /// The log's address, or the subject of the authority's certificate.
        package let name: String
        /// From when on it is trusted.
        package let start: Date
        /// Until when: the end of its validity, or of its certificates; nil while there is none.
        package let end: Date?
        /// Whether what it signed can be verified at all.
        package let isSupported: Bool

        /// Whether something that is signed at a moment can rest on it.
        package func isCurrent(at moment: Date) -> Bool {
            isSupported && start <= moment && end.map { moment <= $0 } ?? true
        }
    }

    /// All trust policies, by their verifiers.
    package let policies: [Policy]
    /// The trusted roots: those of providers, used or not, then the one that is compiled in, if some policy uses it.
    package let roots: [Root]
    /// When all this was so.
    package let moment: Date
    /// Ends this close are warned of.
    package let margin: Duration

    /// The present state of what cosign's verifiers trust.
    package init(
        of verifiers: [any ArtifactVerifier], trusting trusted: TrustedCertificates, margin: Duration,
        now: Date = Date()
    ) {
        let policies = verifiers.compactMap { $0 as? CosignVerifier }.flatMap(\.overview)
        self.policies = policies
        func uses(_ root: String?) -> [String] {
            policies.filter { $0.policy.trustedRoot == root }.map { "\($0.policy.name) of \($0.verifier)" }
        }
        var roots = trusted.providers.compactMap { provider in
            (provider as? any TrustedRootSource).map {
                Root(
                    provider: provider.name, status: provider.status,
                    parts: $0.verifier.map { Self.parts(of: $0.root) } ?? [], uses: uses(provider.name))
            }
        }
        if !uses(nil).isEmpty {
            let shipped = try? PublicGoodInstance.verifier.get()
            roots.append(
                Root(provider: nil, status: nil, parts: shipped.map { Self.parts(of: $0.root) } ?? [], uses: uses(nil)))
        }
        self.roots = roots
        moment = now
        self.margin = margin
    }

    private static func parts(of root: TrustedRoot) -> [Part] {
        func log(_ log: TransparencyLog, _ kind: Part.Kind) -> Part {
            Part(
                kind: kind, name: log.baseURL, start: log.validity.start, end: log.validity.end,
                isSupported: log.key != nil)
        }
        func authority(_ authority: Sigstore.CertificateAuthority, _ kind: Part.Kind) -> Part {
            let ends = authority.certificates.map(\.notAfter) + [authority.validity.end].compactMap { $0 }
            return Part(
                kind: kind, name: authority.certificates[0].subject.description, start: authority.validity.start,
                end: ends.min(), isSupported: true)
        }
        return root.certificateAuthorities.map { authority($0, .certificateAuthority) }
            + root.certificateLogs.map { log($0, .certificateLog) }
            + root.transparencyLogs.map { log($0, .transparencyLog) }
            + root.timestampAuthorities.map { authority($0, .timestampAuthority) }
    }

    /// Whether nothing here is about cosign.
    package var isEmpty: Bool { policies.isEmpty && roots.isEmpty }

    /// Whether something that a policy counts on is not there, or of no use any more.
    package var isLacking: Bool {
        policies.contains { !$0.problems.isEmpty } || roots.contains { !ended(of: $0).isEmpty }
    }

    // MARK: In words

    /// What is dangerous or wrong, and what will be within the margin, in sentences.
    package var warnings: [String] {
        var sentences: [String] = []
        for policy in policies {
            let name = "trust policy \"\(policy.policy.name)\" of \(policy.verifier)"
            sentences += policy.problems.map { "\(name): \($0)" }
            sentences += policy.policy.warnings.map { "\(name): \($0)" }
        }
        for root in roots where !root.uses.isEmpty {
            let name = root.provider ?? "the public good instance's trusted root, as compiled in"
            sentences += ended(of: root).map {
                "\(name): it has no \($0.name) any more that new signatures could rest on"
            }
            sentences += ending(of: root).map { kind, end in
                "\(name): its last \(kind.name) ends at \(UTC.text(end)), \(days(until: end)) days from now: "
                    + "signatures made after that do not verify; fetch the trusted root anew before"
            }
        }
        return sentences
    }

    /// Whole days until a moment.
    package func days(until end: Date) -> Int { Int((end.timeIntervalSince(moment) / 86_400).rounded(.down)) }

    /// The kinds of which a root that is used has some, and none that is valid now.
    private func ended(of root: Root) -> [Part.Kind] {
        guard !root.uses.isEmpty else { return [] }
        return Part.Kind.allCases.filter { kind in
            let parts = root.parts.filter { $0.kind == kind }
            return !parts.isEmpty && !parts.contains { $0.isCurrent(at: moment) }
        }
    }

    /// The kinds of which the last one ends within the margin, and when.
    private func ending(of root: Root) -> [(Part.Kind, Date)] {
        Part.Kind.allCases.compactMap { kind in
            let current = root.parts.filter { $0.kind == kind && $0.isCurrent(at: moment) }
            let ends = current.compactMap(\.end)
            guard !current.isEmpty, ends.count == current.count, let last = ends.max(),
                last.timeIntervalSince(moment) < Double(margin.components.seconds)
            else { return nil }
            return (kind, last)
        }
    }
}

extension CosignVerifier {
    /// Its policies, and what they trust now.
    fileprivate var overview: [CosignOverview.Policy] {
        policies.map { policy in
            let keys = CosignKeys(
                policy.keySources, trusted: trusted, files: definition.directories, areProvidersAwaited: false)
            return CosignOverview.Policy(
                verifier: name, policy: policy,
                keys: keys.keys.map { key in
                    CosignOverview.Key(
                        provider: key.provider, name: key.name, version: key.version,
                        kind: key.key.publicKey.kind.description, fingerprint: key.key.publicKey.sha256Hex,
                        validity: key.key.validity)
                }, problems: definition.problems(of: policy, trusted))
        }
    }
}
