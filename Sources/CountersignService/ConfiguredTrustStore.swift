import KeyManagement
import Notation
import PKI
import Quotation
import Verification

/// Trust stores whose certificates come from key management providers, as `verificationCertStores` says; a store that
/// is not named there takes those of `verificationCerts`, as in Ratify.
struct ConfiguredTrustStore: TrustStore {
    struct Name: Hashable, Sendable {
        let type: TrustStoreType
        let name: String
    }

    /// Providers by store.
    let stores: [Name: [String]]
    /// The provider for stores that are not named.
    let fallback: String?
    let trusted: TrustedCertificates
    /// Whether a provider that is not there may still come, as custom resources do in any order.
    var areProvidersAwaited = false

    func certificates(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> [Certificate] {
        let content = try await content(type: type, named: name)
        guard content.missing.isEmpty else {
            throw TrustStoreError(content.missing.joined(separator: "; "), isPassing: true)
        }
        return content.certificates
    }

    func content(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> TrustStoreContent {
        let store = "trust store \"\(type.rawValue):\(name)\""
        var content = TrustStoreContent(certificates: [])
        for provider in try providers(type, name) {
            do throws(KeyManagementError) {
                content.certificates += try trusted.certificates(named: provider).certificates
            } catch {
                // A provider that never had certificates may still be fetching them, and a resource that is not there
                // may come; one that is not in the file does not, and a file that is not there is the operator's to
                // mend.
                let isConfiguration = error.isConfiguration && !areProvidersAwaited
                switch error.kind {
                case .noCertificates where isConfiguration:
                    throw TrustStoreError("\(store): \(error)", isPassing: true, isConfiguration: true)
                case .noCertificates: content.missing.append("\(store): \(error)")
                case .missingProvider where areProvidersAwaited:
                    content.missing.append(
                        "\(store): \(error): apply it, or take its name out of verificationCertStores")
                case .missingProvider, .configuration, .unreadable:
                    throw TrustStoreError(
                        "\(store): \(error)", isPassing: areProvidersAwaited, isConfiguration: isConfiguration)
                }
            }
        }
        for certificate in content.certificates {
            if let refusal = TrustedCertificateRule.refusal(of: certificate, in: type) {
                throw TrustStoreError("\(store): \(refusal)")
            }
        }
        guard !content.certificates.isEmpty || !content.missing.isEmpty else {
            throw TrustStoreError("\(store) has no certificates")
        }
        return content
    }

    private func providers(_ type: TrustStoreType, _ name: String) throws(TrustStoreError) -> [String] {
        if let providers = stores[Name(type: type, name: name)] { return providers }
        guard let fallback else {
            throw TrustStoreError(
                "there is no trust store \"\(type.rawValue):\(name)\": add it to verificationCertStores, or certificate directories to verificationCerts"
            )
        }
        return [fallback]
    }

    /// Which stores a policy uses, and what fills them.
    func uses(_ document: TrustPolicyDocument, verifier: String) -> [TrustUse] {
        var statements: [String: [String]] = [:]
        var filling: [String: [String]] = [:]
        for statement in document.statements where !statement.level.isSkip {
            for store in statement.trustStores {
                guard let names = try? providers(store.type, store.name) else { continue }
                statements["\(store)", default: []].append(statement.name)
                filling["\(store)"] = names
            }
        }
        return filling.keys.sorted().map {
            TrustUse(verifier: verifier, store: $0, statements: statements[$0] ?? [], providers: filling[$0] ?? [])
        }
    }

    /// Finds stores that the policy names and nothing provides, before the first request does.
    ///
    /// - Returns: providers that are awaited, each in a sentence.
    func check(_ document: TrustPolicyDocument, path: String) throws(ConfigurationError) -> [String] {
        var awaited: [String] = []
        for statement in document.statements where !statement.level.isSkip {
            for store in statement.trustStores {
                let names: [String]
                do throws(TrustStoreError) { names = try providers(store.type, store.name) } catch {
                    throw ConfigurationError(
                        path: "\(path).trustPolicyDoc",
                        problem: "cannot be served, statement \"\(statement.name.quoted)\": \(error)")
                }
                for name in names where trusted.provider(named: name) == nil {
                    let problem =
                        "trust store \"\(store)\" takes its certificates from \"\(name.quoted)\", and no key management provider has that name"
                    guard areProvidersAwaited else {
                        throw ConfigurationError(
                            path: "\(path).trustPolicyDoc",
                            problem: "cannot be served, statement \"\(statement.name.quoted)\": \(problem)")
                    }
                    if !awaited.contains(problem) { awaited.append(problem) }
                }
            }
        }
        return awaited
    }
}
