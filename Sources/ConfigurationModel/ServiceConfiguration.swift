import Quotation
import StrictJSON

/// `config.json` in Ratify's shape: which stores, verifiers, policy and certificates there are, and how requests are
/// served. What a plugin's own parameters mean is known where the plugin is made.
package struct ServiceConfiguration: Sendable, Equatable {
    /// One store, verifier, policy or key management provider.
    package struct Plugin<Kind: ConfigurationType>: Sendable, Equatable {
        /// The name that others refer to it by.
        package var name: String
        /// What it is; for stores, verifiers and policies the name itself unless `type` is given.
        package var type: Kind
        /// Everything in its object.
        package var parameters: JSONObject
        /// Where it stands in the file, for error messages: `verifier.plugins[0]`.
        package var path: String
        /// The namespace that it is for, when it is a resource of one.
        package var namespace: String?

        /// An entry.
        package init(
            name: String, type: Kind, parameters: JSONObject, path: String, namespace: String? = nil
        ) {
            self.name = name
            self.type = type
            self.parameters = parameters
            self.path = path
            self.namespace = namespace
        }

        /// Refuses a member in a resource that belongs to one namespace: its owner has no right to what it gives, the
        /// files and the network of this program.
        package func requireCluster(_ member: String) throws(ConfigurationError) {
            guard let namespace else { return }
            throw ConfigurationError(
                path: "\(path).\(member)",
                problem:
                    "gives files, the network or the memory of the provider: only a resource of the cluster may, not one of namespace \"\(namespace)\""
            )
        }
    }

    /// How the program logs.
    package struct Logger: Sendable, Equatable {
        /// `text`, `json` or `logstash`.
        package var formatter: String
        /// `trace`, `debug`, `info`, `warning`, `error` or `critical`; Ratify's names are understood.
        package var level: String

        /// Text, from level info.
        package init(formatter: String = "text", level: String = "info") {
            self.formatter = formatter
            self.level = level
        }
    }

    /// An entry of `store.plugins`.
    package typealias StorePlugin = Plugin<StoreType>
    /// An entry of `verifier.plugins`.
    package typealias VerifierPlugin = Plugin<VerifierType>
    /// `policy.plugin`.
    package typealias PolicyPlugin = Plugin<PolicyType>
    /// An entry of `keyManagementProvider.plugins`.
    package typealias ProviderPlugin = Plugin<CertificateSourceType>

    /// `store.plugins`.
    package var stores: [StorePlugin] = []
    /// `verifier.plugins`.
    package var verifiers: [VerifierPlugin] = []
    /// `policy.plugin`; without one every artifact must verify.
    package var policy: PolicyPlugin?
    /// `keyManagementProvider.plugins`: what are custom resources in a cluster. Ratify's file has none of these.
    package var keyManagementProviders: [ProviderPlugin] = []
    /// `executor` and `logger.requestHeaders`.
    package var settings = ServiceSettings()
    /// `logger`.
    package var logger = Logger()
    /// Members that have no effect here, each with the reason, to be logged.
    package var warnings: [String] = []

    /// Reads a file's content.
    ///
    /// - Parameter isWhole: whether the file must say what is verified and how; `false` where custom resources do, and
    ///   the file says only how requests are served.
    /// - Throws: ``ConfigurationError`` naming the member at fault.
    package init(parsing content: [UInt8], isWhole: Bool = true) throws(ConfigurationError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(content) } catch {
            throw ConfigurationError(path: "", problem: "is not valid JSON: \(error.description(showing: content))")
        }
        var root = try ConfigurationReader(value, path: "")
        if isWhole { try readPlugins(&root) }
        try readExecutor(&root)
        try readCache(&root)
        try readLogger(&root)
        root.ignore("crl")
        guard isWhole else {
            // Nobody reads these: what is in them need not even be known here.
            root.ignore("store", "verifier", "policy", "keyManagementProvider")
            warnings += root.unused()
            for name in ["store", "verifier", "policy", "keyManagementProvider"] where root.object[name] != nil {
                warnings.append("\(name) has no effect: custom resources say what is verified and how")
            }
            return
        }
        warnings += root.unused()
        guard !stores.isEmpty else {
            throw ConfigurationError(
                path: "store.plugins",
                problem: "names no store: add {\"name\": \"oras\"} to look images up in registries")
        }
        guard !verifiers.isEmpty else {
            throw ConfigurationError(
                path: "verifier.plugins",
                problem:
                    "names no verifier: add one with \"name\": \"notation\" and a trustPolicyDoc, or \"cosign\" and trustPolicies"
            )
        }
        let names = keyManagementProviders.map(\.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw ConfigurationError(
                path: "keyManagementProvider.plugins", problem: "has two providers named \"\(twice.quoted)\"")
        }
    }

    /// A list of names, or the text that Ratify's chart makes of one: `[x-request-id x-trace]`.
    private static func headerNames(_ headers: inout ConfigurationReader) throws(ConfigurationError) -> [String] {
        guard let text = headers.value("traceIDHeaderName")?.string else {
            return (try headers.strings("traceIDHeaderName") ?? []).filter { !$0.isEmpty }
        }
        return text.split { " ,[]".contains($0) }.map(String.init)
    }

    private mutating func readPlugins(_ root: inout ConfigurationReader) throws(ConfigurationError) {
        stores = try ServiceConfiguration.plugins(&root, "store")
        verifiers = try ServiceConfiguration.plugins(&root, "verifier")
        keyManagementProviders = try ServiceConfiguration.plugins(&root, "keyManagementProvider")
        guard var section = try root.section("policy") else { return }
        section.ignore("version", "policyPlugins")
        if let plugin = try section.section("plugin") { policy = try ServiceConfiguration.plugin(plugin) }
        warnings += section.unused()
    }

    private static func plugins<Kind>(
        _ root: inout ConfigurationReader, _ name: String
    ) throws(ConfigurationError) -> [Plugin<Kind>] {
        guard var section = try root.section(name) else { return [] }
        section.ignore("version", "pluginBinDirs")
        var plugins: [Plugin<Kind>] = []
        for reader in try section.sections("plugins") { plugins.append(try plugin(reader)) }
        root.warnings += section.unused()
        return plugins
    }

    private static func plugin<Kind>(_ reader: ConfigurationReader) throws(ConfigurationError) -> Plugin<Kind> {
        var reader = reader
        let name = try reader.requiredString("name")
        let type = try reader.string("type")
        let kind = try Kind(parsing: type ?? name, path: reader.path + (type == nil ? ".name" : ".type"))
        return Plugin(name: name, type: kind, parameters: reader.object, path: reader.path)
    }

    private mutating func readExecutor(_ root: inout ConfigurationReader) throws(ConfigurationError) {
        guard var section = try root.section("executor") else { return }
        if let milliseconds = try section.integer("verificationRequestTimeout", in: 1...600_000) {
            settings.verificationTimeout = .milliseconds(milliseconds)
        }
        if let milliseconds = try section.integer("mutationRequestTimeout", in: 1...600_000) {
            settings.mutationTimeout = .milliseconds(milliseconds)
        }
        if let count = try section.integer("maximumConcurrent", in: 1...100_000) {
            settings.limits.overall = Int(count)
        }
        if let count = try section.integer("maximumConcurrentPerRegistry", in: 1...100_000) {
            settings.limits.perRegistry = Int(count)
        }
        if let count = try section.integer("maximumQueued", in: 0...1_000_000) { settings.limits.queued = Int(count) }
        // The largest envelope must fit into what one registry may hold, beside others.
        if let bytes = try section.integer("maximumDownloadBytes", in: 32 << 20...1 << 40) {
            settings.maximumDownloadBytes = Int(bytes)
        }
        warnings += section.unused()
    }

    /// `"cache": {"staleIfError": "10m", "prewarm": {"enabled": true}}`.
    private mutating func readCache(_ root: inout ConfigurationReader) throws(ConfigurationError) {
        guard var section = try root.section("cache") else { return }
        if let text = try section.string("staleIfError"), !text.isEmpty {
            guard let duration = DurationText.parse(text), duration >= .zero, duration <= .seconds(86_400) else {
                throw ConfigurationError(
                    path: "cache.staleIfError",
                    problem: "is \"\(text.quoted)\": expected a duration up to 24h, 10m for instance")
            }
            settings.staleIfError = duration
        }
        if let prewarm = try section.section("prewarm") {
            settings.prewarming = try PrewarmingSettings(prewarm, warnings: &warnings)
        }
        warnings += section.unused()
    }

    private mutating func readLogger(_ root: inout ConfigurationReader) throws(ConfigurationError) {
        guard var section = try root.section("logger") else { return }
        if let formatter = try section.string("formatter"), !formatter.isEmpty {
            guard ["text", "json", "logstash"].contains(formatter) else {
                throw ConfigurationError(
                    path: section.path + ".formatter",
                    problem: "is \"\(formatter.quoted)\": use \"text\", \"json\" or \"logstash\"")
            }
            logger.formatter = formatter
        }
        if let level = try section.string("level"), !level.isEmpty { logger.level = level }
        if var headers = try section.section("requestHeaders") {
            settings.traceIDHeaderNames = try ServiceConfiguration.headerNames(&headers)
            warnings += headers.unused()
        }
        warnings += section.unused()
    }
}
