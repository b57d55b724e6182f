import Notation
import Quotation

/// A trust store of a verifier's trust policy, and where its certificates come from.
package struct TrustUse: Sendable, Hashable {
    /// The verifier.
    package let verifier: String
    /// The store, as trust policies write it: `ca:release`.
    package let store: String
    /// The statements of the trust policy that use it.
    package let statements: [String]
    /// The providers that fill it.
    package let providers: [String]

    /// Which stores a policy uses, and what fills them, in the order of the stores' names.
    ///
    /// - Throws: `TrustStoreError` when nothing says what fills one of them, with the statement that names it.
    static func all(
        of policy: TrustPolicyDocument, verifier: String, from sources: TrustStoreSources
    ) throws(TrustStoreError) -> [TrustUse] {
        var statements: [String: [String]] = [:]
        var filling: [String: [String]] = [:]
        for statement in policy.statements where !statement.level.isSkip {
            for store in statement.trustStores {
                do throws(TrustStoreError) {
                    filling["\(store)"] = try sources.providers(store.type, store.name)
                } catch { throw TrustStoreError("statement \"\(statement.name.quoted)\": \(error)") }
                statements["\(store)", default: []].append(statement.name)
            }
        }
        return filling.keys.sorted().map {
            TrustUse(verifier: verifier, store: $0, statements: statements[$0] ?? [], providers: filling[$0] ?? [])
        }
    }
}
