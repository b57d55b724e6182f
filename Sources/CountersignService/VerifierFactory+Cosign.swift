import ConfigurationModel
import CosignVerifier
import Expressions
import Quotation
import Sigstore
import StrictJSON
import Verification

/// The parameters of a verifier of cosign's signatures: Ratify's, and some that it does not have.
extension VerifierFactory {
    func cosign(
        _ plugin: ServiceConfiguration.VerifierPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> CosignVerifierDefinition {
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version", "source", "address", "nestedReferences")
        let types = try artifactTypes(plugin, &reader, default: CosignMediaType.signatureArtifact)
        var policies: [CosignTrustPolicy] = []
        if reader.value("trustPolicies") != nil {
            for name in ["key", "rekorURL"] where try reader.text(name) != nil {
                throw ConfigurationError(
                    path: "\(plugin.path).\(name)",
                    problem: "stands beside trustPolicies: give it to one of those policies")
            }
            for section in try reader.sections("trustPolicies") {
                policies.append(try CosignPolicyReader(plugin: plugin).policy(section, &reader.warnings))
            }
        } else {
            policies = [try older(plugin, &reader)]
        }
        for (index, policy) in policies.enumerated() {
            reader.warnings += policy.warnings.map { "\(plugin.path).trustPolicies[\(index)].\($0)" }
        }
        warnings += reader.unused()
        do throws(CosignPolicyError) {
            return try CosignVerifierDefinition(
                name: plugin.name, type: plugin.type.name, artifactTypes: types,
                policies: try CosignTrustPolicies(policies), keepsDetails: keepsDetails)
        } catch { throw ConfigurationError(error, path: "\(plugin.path).trustPolicies") }
    }

    /// `key` and `rekorURL` without trust policies.
    private func older(
        _ plugin: ServiceConfiguration.VerifierPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> CosignTrustPolicy {
        let log = try reader.text("rekorURL")
        guard let file = try reader.text("key") else {
            throw ConfigurationError(
                path: "\(plugin.path).trustPolicies",
                problem:
                    "is missing: without it, and without a key, anybody with an e-mail address may sign. Say who may, with "
                    + #""trustPolicies": [{"name": "default", "scopes": ["*"], "keyless": {"certificateIdentity": "…", "certificateOIDCIssuer": "…"}}]"#
            )
        }
        try plugin.requireCluster("key")
        var thresholds = CosignTrustPolicy.Thresholds()
        if log == nil { thresholds.logs = 0 }
        do throws(CosignPolicyError) {
            return try CosignTrustPolicy(
                name: "key", scopes: [], signers: .keys([.file(file)]), logURL: log, thresholds: thresholds)
        } catch { throw ConfigurationError(error, path: plugin.path) }
    }
}

/// Reads one entry of `trustPolicies`.
private struct CosignPolicyReader {
    let plugin: ServiceConfiguration.VerifierPlugin

    func policy(
        _ section: ConfigurationReader, _ warnings: inout [String]
    ) throws(ConfigurationError) -> CosignTrustPolicy {
        var reader = section
        let name = try reader.requiredString("name")
        if let version = try reader.text("version"), version != "1.0.0" {
            throw ConfigurationError(
                path: reader.memberPath("version"), problem: "is \"\(version.quoted)\": only \"1.0.0\" is known")
        }
        let scopes = try scopes(&reader)
        let keys = try keys(&reader)
        var thresholds = CosignTrustPolicy.Thresholds()
        let keyless = try reader.section("keyless")
        let signers: CosignTrustPolicy.Signers
        switch (keys.isEmpty, keyless) {
        case (false, nil): signers = .keys(keys)
        case (true, let keyless?): signers = try identities(keyless, &thresholds, &reader.warnings)
        case (true, nil):
            throw ConfigurationError(
                path: reader.path, problem: "has neither keys nor keyless: it says nobody who may sign")
        case (false, _?):
            throw ConfigurationError(
                path: reader.path, problem: "has both keys and keyless: make two policies, each with scopes of its own")
        }
        try read(&thresholds, &reader, hasKeys: keyless == nil)
        let annotations = try texts(&reader, "annotations")
        let log = try reader.text("rekorURL")
        let root = try reader.text("trustedRoot")
        warnings += reader.unused()
        do throws(CosignPolicyError) {
            return try CosignTrustPolicy(
                name: name, scopes: scopes, signers: signers, trustedRoot: root, logURL: log, annotations: annotations,
                thresholds: thresholds)
        } catch { throw ConfigurationError(error, path: reader.path) }
    }

    private func scopes(_ reader: inout ConfigurationReader) throws(ConfigurationError) -> [CosignScope] {
        let texts = try reader.strings("scopes") ?? []
        guard !texts.isEmpty else {
            throw ConfigurationError(
                path: reader.memberPath("scopes"),
                problem: "is missing or empty: expected images, or \"*\" for all others")
        }
        if texts.contains(CosignScope.global) {
            guard texts.count == 1 else {
                throw ConfigurationError(
                    path: reader.memberPath("scopes"),
                    problem: "has \"*\" beside others: it has to be alone in its policy")
            }
            return []
        }
        var scopes: [CosignScope] = []
        do throws(CosignPolicyError) { for text in texts { scopes.append(try CosignScope(parsing: text)) } } catch {
            throw ConfigurationError(error, path: reader.path)
        }
        return scopes
    }

    private func keys(_ reader: inout ConfigurationReader) throws(ConfigurationError) -> [CosignKeySource] {
        var sources: [CosignKeySource] = []
        for section in try reader.sections("keys") {
            var section = section
            let file = try section.text("file")
            let provider = try section.text("provider")
            let name = try section.text("name")
            let version = try section.text("version")
            reader.warnings += section.unused()
            func fault(_ problem: String) -> ConfigurationError {
                ConfigurationError(path: section.path, problem: problem)
            }
            switch (file, provider) {
            case (nil, nil): throw fault("has neither a provider nor a file")
            case (_?, _?): throw fault("has both a provider and a file: make two keys of it")
            case (let file?, nil):
                guard name == nil, version == nil else {
                    throw fault("has a name or a version beside a file, which holds one key")
                }
                // Not its own file alone: whoever may name files may read them.
                try plugin.requireCluster("trustPolicies.keys.file")
                sources.append(.file(file))
            case (nil, let provider?):
                guard version == nil || name != nil else { throw fault("has a version without a name") }
                sources.append(.provider(provider, name: name, version: version))
            }
        }
        return sources
    }

    // MARK: Identities

    private func identities(
        _ section: ConfigurationReader, _ thresholds: inout CosignTrustPolicy.Thresholds, _ warnings: inout [String]
    ) throws(ConfigurationError) -> CosignTrustPolicy.Signers {
        var reader = section
        if try reader.bool("ctLogVerify") == false { thresholds.certificateLogs = 0 }
        let common = try extensions(&reader)
        var entries = try reader.sections("identities")
        let isSingle = IdentityMember.allCases.contains { reader.value($0.rawValue) != nil }
        if isSingle {
            guard entries.isEmpty else {
                throw ConfigurationError(
                    path: reader.path, problem: "has an identity of its own and identities: put it among them")
            }
            entries = []
        }
        var identities: [CertificateIdentity] = []
        if isSingle { identities = [try identity(&reader, common)] }
        for entry in entries {
            var entry = entry
            var wanted = common
            for (name, match) in try extensions(&entry) {
                guard wanted.updateValue(match, forKey: name) == nil else {
                    throw ConfigurationError(
                        path: entry.memberPath("extensions"),
                        problem: "has \(name.rawValue), which keyless.extensions has too")
                }
            }
            identities.append(try identity(&entry, wanted))
            reader.warnings += entry.unused()
        }
        warnings += reader.unused()
        guard !identities.isEmpty else {
            throw ConfigurationError(
                path: reader.path,
                problem: "names nobody: expected certificateIdentity and certificateOIDCIssuer, or identities with them"
            )
        }
        return .identities(identities)
    }

    private enum IdentityMember: String, CaseIterable {
        case certificateIdentity, certificateIdentityRegExp, certificateOIDCIssuer, certificateOIDCIssuerRegExp
    }

    private func identity(
        _ reader: inout ConfigurationReader, _ extensions: [FulcioExtension: TextMatch]
    ) throws(ConfigurationError) -> CertificateIdentity {
        CertificateIdentity(
            name: try match(&reader, "certificateIdentity"), issuer: try match(&reader, "certificateOIDCIssuer"),
            extensions: extensions)
    }

    /// A text, or in its place an expression.
    private func match(_ reader: inout ConfigurationReader, _ name: String) throws(ConfigurationError) -> TextMatch {
        let text = try reader.text(name)
        let pattern = try reader.text("\(name)RegExp")
        switch (text, pattern) {
        case (let text?, nil): return .exactly(text)
        case (nil, let pattern?): return .matching(try expression(pattern, reader.memberPath("\(name)RegExp")))
        case (nil, nil):
            throw ConfigurationError(
                path: reader.path, problem: "has neither \(name) nor \(name)RegExp: anybody could sign")
        case (_?, _?):
            throw ConfigurationError(path: reader.path, problem: "has both \(name) and \(name)RegExp: keep one of them")
        }
    }

    private func expression(_ pattern: String, _ path: String) throws(ConfigurationError) -> WholeExpression {
        do { return try WholeExpression(pattern) } catch {
            throw ConfigurationError(path: path, problem: "is not an expression that can be used: \(error)")
        }
    }

    /// `{"sourceRepositoryURI": "…", "sourceRepositoryRefRegExp": "…"}`
    private func extensions(
        _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> [FulcioExtension: TextMatch] {
        let path = reader.memberPath("extensions")
        var result: [FulcioExtension: TextMatch] = [:]
        for (name, text) in try texts(&reader, "extensions").sorted(by: { $0.key < $1.key }) {
            let isPattern = name.hasSuffix("RegExp")
            guard let known = FulcioExtension(rawValue: isPattern ? String(name.dropLast(6)) : name), known != .issuer
            else {
                let names = FulcioExtension.allCases.filter { $0 != .issuer }.map(\.rawValue).joined(separator: ", ")
                throw ConfigurationError(
                    path: path, problem: "has \"\(name.quoted)\": known are \(names), each also with RegExp behind it")
            }
            let match: TextMatch = isPattern ? .matching(try expression(text, "\(path).\(name)")) : .exactly(text)
            guard result.updateValue(match, forKey: known) == nil else {
                throw ConfigurationError(
                    path: path, problem: "has both \(known.rawValue) and \(known.rawValue)RegExp: keep one of them")
            }
        }
        return result
    }

    // MARK: Thresholds

    private func read(
        _ thresholds: inout CosignTrustPolicy.Thresholds, _ reader: inout ConfigurationReader, hasKeys: Bool
    ) throws(ConfigurationError) {
        if try reader.bool("tLogVerify") == false { thresholds.logs = 0 }
        func threshold(_ name: String, _ count: inout Int, off: String) throws(ConfigurationError) {
            guard let value = try reader.integer(name, in: 1...10) else { return }
            guard count > 0 else {
                throw ConfigurationError(path: reader.memberPath(name), problem: "has no effect where \(off) is false")
            }
            count = Int(value)
        }
        try threshold("tLogThreshold", &thresholds.logs, off: "tLogVerify")
        if hasKeys, reader.value("ctLogThreshold") != nil {
            throw ConfigurationError(
                path: reader.memberPath("ctLogThreshold"),
                problem: "has no effect: the policy's keys have no certificates")
        }
        try threshold("ctLogThreshold", &thresholds.certificateLogs, off: "keyless.ctLogVerify")
        if let value = try reader.integer("timestampThreshold", in: 0...10) { thresholds.timestamps = Int(value) }
        if let value = try reader.integer("signatureThreshold", in: 1...10) { thresholds.signatures = Int(value) }
    }

    private func texts(
        _ reader: inout ConfigurationReader, _ name: String
    ) throws(ConfigurationError) -> [String: String] {
        guard var section = try reader.section(name) else { return [:] }
        var texts: [String: String] = [:]
        for member in section.object.names {
            guard let text = try section.string(member) else {
                throw ConfigurationError(path: section.memberPath(member), problem: "is null: expected a text")
            }
            texts[member] = text
        }
        return texts
    }
}

extension ConfigurationReader {
    /// A member that is a string; an empty one counts as absent.
    fileprivate mutating func text(_ name: String) throws(ConfigurationError) -> String? {
        guard let text = try string(name), !text.isEmpty else { return nil }
        return text
    }
}

extension ConfigurationError {
    fileprivate init(_ error: CosignPolicyError, path: String) {
        let place = error.policy.map { "\(path)[\($0)]" } ?? path
        self.init(path: error.member == "trustPolicies" ? place : "\(place).\(error.member)", problem: error.problem)
    }
}
