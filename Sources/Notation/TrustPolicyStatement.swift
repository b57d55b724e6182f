import Quotation
import StrictJSON

/// One statement of a trust policy: which images it is for, how strictly they are verified, and whom it trusts.
public struct TrustPolicyStatement: Sendable {
    /// When the RFC 3161 countersignature is verified.
    public enum VerifyTimestamp: String, Hashable, Sendable, CaseIterable {
        /// Whenever a `tsa` trust store is configured.
        case always
        /// Only when a certificate of the chain has expired.
        case afterCertExpiry
    }

    /// The statement's name, unique in its document.
    public let name: String
    /// Repositories, or `*` alone.
    public let registryScopes: [String]
    /// How strictly signatures are verified.
    public let level: VerificationLevel
    /// When the countersignature is verified.
    public let verifyTimestamp: VerifyTimestamp
    /// The trust stores; none when the level is `skip`.
    public let trustStores: [TrustStoreName]
    /// The identities that are trusted.
    public let trustedIdentities: TrustedIdentities

    /// Whether the statement is for every image that has none of its own.
    public var isGlobal: Bool { registryScopes.contains(RegistryScope.global) }

    /// A statement, validated.
    public init(
        name: String, registryScopes: [String], level: VerificationLevel, verifyTimestamp: VerifyTimestamp = .always,
        trustStores: [String], trustedIdentities: [String]
    ) throws(TrustPolicyError) {
        guard !name.isEmpty else { throw TrustPolicyError("a statement of the trust policy has no \"name\"") }
        let place = "trust policy statement \"\(name.quoted)\""
        self.name = name
        self.level = level
        self.verifyTimestamp = verifyTimestamp
        self.registryScopes = registryScopes
        do throws(TrustPolicyError) {
            // Any level but skip needs trust stores and identities, and with skip they would be misleading.
            if level.isSkip {
                guard trustStores.isEmpty, trustedIdentities.isEmpty else {
                    throw TrustPolicyError(
                        "the level is \"skip\", yet there are trustStores or trustedIdentities; remove one or the other"
                    )
                }
            } else if trustStores.isEmpty || trustedIdentities.isEmpty {
                throw TrustPolicyError("trustStores and trustedIdentities must both have at least one value")
            }
            var stores: [TrustStoreName] = []
            for text in trustStores {
                let store = try TrustStoreName(parsing: text)
                if !stores.contains(store) { stores.append(store) }
            }
            self.trustStores = stores
            self.trustedIdentities = try TrustedIdentities(trustedIdentities)
            try Self.checkScopes(registryScopes, level)
        } catch { throw error.within(place) }
    }

    /// Reads and validates a statement.
    init(json: JSONValue) throws(TrustPolicyError) {
        let statement = try PolicyObject(json, "a statement of the trust policy")
        let name = try statement.string("name") ?? ""
        let verification = try statement.object("signatureVerification")
        let level: VerificationLevel
        let verifyTimestamp: VerifyTimestamp
        do throws(TrustPolicyError) {
            level = try Self.level(verification)
            let option = try verification.string("verifyTimestamp") ?? ""
            guard let value = option.isEmpty ? .always : VerifyTimestamp(rawValue: option) else {
                throw TrustPolicyError(
                    "verifyTimestamp is \"\(option.quoted)\"; expected \"always\" or \"afterCertExpiry\"")
            }
            verifyTimestamp = value
        } catch { throw error.within("trust policy statement \"\(name.quoted)\"") }
        try self.init(
            name: name, registryScopes: try statement.strings("registryScopes"), level: level,
            verifyTimestamp: verifyTimestamp, trustStores: try statement.strings("trustStores"),
            trustedIdentities: try statement.strings("trustedIdentities"))
    }

    private static func level(_ verification: PolicyObject) throws(TrustPolicyError) -> VerificationLevel {
        let text = try verification.string("level") ?? ""
        guard let base = VerificationLevel.Name(rawValue: text) else {
            throw TrustPolicyError(
                "the level of signatureVerification is \"\(text.quoted)\"; expected "
                    + VerificationLevel.Name.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
        }
        var overrides: [ValidationType: ValidationAction] = [:]
        for (name, value) in try verification.object("override").allStrings() {
            guard let type = ValidationType(rawValue: name) else {
                throw TrustPolicyError(
                    "\"\(name.quoted)\" in override is not a validation; expected authenticity, "
                        + "authenticTimestamp, expiry or revocation")
            }
            guard let action = ValidationAction(rawValue: value) else {
                throw TrustPolicyError(
                    "\"\(value.quoted)\" in override is not an action; expected enforce, log or skip")
            }
            overrides[type] = action
        }
        return try VerificationLevel(base, overrides: overrides)
    }

    private static func checkScopes(_ scopes: [String], _ level: VerificationLevel) throws(TrustPolicyError) {
        guard !scopes.isEmpty else { throw TrustPolicyError("registryScopes must have at least one value") }
        if scopes.contains(RegistryScope.global) {
            guard scopes.count == 1 else {
                throw TrustPolicyError("the registry scope \"*\" cannot be combined with others")
            }
            return
        }
        for scope in scopes { _ = try RegistryScope(parsing: scope) }
    }
}
