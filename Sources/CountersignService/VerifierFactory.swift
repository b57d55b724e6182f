import ConfigurationModel
import IPAddresses
import KeyManagement
import Notation
import NotationOnline
import NotationVerifier
import OCI
import ServiceMetrics
import StrictJSON
import Verification

/// Makes verifiers from a configuration.
struct VerifierFactory {
    let clients: HTTPClients
    let metrics: MetricsRegistry
    let revocation: RevocationAnswers
    /// What holds where the configuration does not say.
    var privateAddresses = PrivateAddresses.refused
    var chains = CertificateChainCache()
    /// Whether reports hold every validation, for a person to read.
    var keepsDetails = false

    /// Makes a verifier of a plugin's entry.
    func make(
        _ plugin: ServiceConfiguration.VerifierPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any VerifierDefinition {
        switch plugin.type {
        case .notation: try notation(plugin, warnings: &warnings)
        case .cosign: try cosign(plugin, warnings: &warnings)
        }
    }

    /// The artifact types that a verifier judges, separated by commas.
    func artifactTypes(
        _ plugin: ServiceConfiguration.VerifierPlugin, _ reader: inout ConfigurationReader, default usual: String
    ) throws(ConfigurationError) -> [String] {
        let types = (try reader.string("artifactTypes") ?? usual).split(separator: ",").map(\.trimmedOfSpaces)
        guard !types.isEmpty, !types.contains("") else {
            throw ConfigurationError(path: "\(plugin.path).artifactTypes", problem: "is empty: expected \"\(usual)\"")
        }
        return types
    }

    private func notation(
        _ plugin: ServiceConfiguration.VerifierPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> NotationVerifierDefinition {
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version", "source", "address", "nestedReferences")
        let types = try artifactTypes(plugin, &reader, default: MediaType.notationSignature)
        guard let policy = reader.value("trustPolicyDoc") else {
            throw ConfigurationError(
                path: "\(plugin.path).trustPolicyDoc",
                problem: "is missing: it says whose signatures count for which images")
        }
        let document: TrustPolicyDocument
        do { document = try TrustPolicyDocument(json: policy) } catch {
            throw ConfigurationError(path: "\(plugin.path).trustPolicyDoc", problem: "is not valid: \(error)")
        }
        let directories = try directories(plugin, &reader)
        let stores = try reader.section("verificationCertStores").map { section throws(ConfigurationError) in
            try VerifierFactory.stores(section)
        }
        let revocation = try revocationChecking(plugin, &reader)
        warnings += reader.unused()
        do {
            return try NotationVerifierDefinition(
                name: plugin.name, type: plugin.type.name, artifactTypes: types, policy: document,
                sources: TrustStoreSources(stores ?? [:], fallback: directories?.name), directories: directories,
                revocation: revocation, chains: chains, keepsDetails: keepsDetails)
        } catch {
            throw ConfigurationError(path: "\(plugin.path).trustPolicyDoc", problem: "cannot be served, \(error)")
        }
    }

    /// The source of the certificates in a verifier's own directories; `nil` when it names none.
    private func directories(
        _ plugin: ServiceConfiguration.VerifierPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> (any CertificateProvider)? {
        let paths = try reader.strings("verificationCerts") ?? []
        guard !paths.isEmpty else { return nil }
        try plugin.requireCluster("verificationCerts")
        // No resource can have this name.
        return try KeyManagementFactory.files(
            name: "\(plugin.name) verificationCerts", paths: paths, path: "\(plugin.path).verificationCerts")
    }

    /// `{"ocspTimeout": 2000, "crlTimeout": 5000, "cacheBytes": 67108864, "maximumAge": 86400000}`, times in
    /// milliseconds as elsewhere in the file, and `allowPrivateAddresses`.
    private func revocationChecking(
        _ plugin: ServiceConfiguration.VerifierPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> NotationVerifierDefinition.Revocation {
        var options = RevocationOptions()
        options.privateAddresses = privateAddresses
        options.tenant = plugin.namespace ?? ""
        var wish: RevocationAnswers.Wish?
        if var section = try reader.section("revocation") {
            if let value = try section.integer("ocspTimeout", in: 1...60_000) {
                options.ocspTimeout = .milliseconds(value)
            }
            if let value = try section.integer("crlTimeout", in: 1...60_000) {
                options.crlTimeout = .milliseconds(value)
            }
            if let value = try section.integer("cacheBytes", in: 0...(1 << 36)) {
                // The answers are the whole process's: a namespace has no say in its memory.
                try plugin.requireCluster("revocation.cacheBytes")
                wish = revocation.wish(bytes: Int(value))
            }
            if let value = try section.integer("maximumAge", in: 1_000...2_592_000_000) {
                // Answers are shared: whoever wants them young makes the whole process ask more often.
                try plugin.requireCluster("revocation.maximumAge")
                options.maximumAge = Double(value) / 1_000
            }
            if let value = try section.privateAddresses() {
                try plugin.requireCluster("revocation.allowPrivateAddresses")
                options.privateAddresses = value
            }
            reader.warnings += section.unused()
        }
        do {
            let checker = RevocationChecker(
                http: TimedHTTP(try clients.client(caBundle: nil), .revocation, metrics), cache: revocation.cache,
                options: options)
            return NotationVerifierDefinition.Revocation(checker, wish: wish)
        } catch {
            throw ConfigurationError(path: plugin.path, problem: "cannot check revocation: \(error)")
        }
    }

    /// `{"ca": {"store": ["provider"]}}`, or the older `{"store": ["provider"]}`, which means `ca`.
    private static func stores(
        _ section: ConfigurationReader
    ) throws(ConfigurationError) -> [TrustStoreSources.Name: [String]] {
        var section = section
        let byType = section.object.names.filter { TrustStoreType(rawValue: $0) != nil }
        guard byType.isEmpty || byType.count == section.object.count else {
            throw ConfigurationError(
                path: section.path,
                problem:
                    "mixes stores by type (\(byType.joined(separator: ", "))) with stores without one: use one of the two"
            )
        }
        var stores: [TrustStoreSources.Name: [String]] = [:]
        if byType.isEmpty {
            try add(&section, .ca, to: &stores)
        } else {
            for name in byType {
                guard let type = TrustStoreType(rawValue: name), var inner = try section.section(name) else { continue }
                try add(&inner, type, to: &stores)
            }
        }
        return stores
    }

    private static func add(
        _ section: inout ConfigurationReader, _ type: TrustStoreType,
        to stores: inout [TrustStoreSources.Name: [String]]
    ) throws(ConfigurationError) {
        for name in section.object.names {
            guard let providers = try section.strings(name), !providers.isEmpty else {
                throw ConfigurationError(
                    path: section.memberPath(name), problem: "names no key management provider")
            }
            stores[TrustStoreSources.Name(type: type, name: name)] = providers
        }
    }
}
