import Azure
import ConfigurationModel
import KeyManagement
import Logging
import Quotation
import Synchronization

/// The providers of key vaults that are in use, held weakly: one that takes the place of another begins with what that
/// one knows.
final class KeyVaultProviders: Sendable {
    private struct Entry {
        weak var provider: KeyVaultCertificates?
    }

    private let entries = Mutex<[String: [Entry]]>([:])

    /// The newest provider of a name that is in use and has what it is for.
    ///
    /// A configuration that is refused leaves its providers behind for a moment; the one in force is older than those.
    func provider(named name: String) -> KeyVaultCertificates? {
        let living = entries.withLock { ($0[name] ?? []).compactMap(\.provider) }
        return living.last(where: \.isReady)
    }

    /// Remembers a provider for as long as somebody uses it.
    func remember(_ provider: KeyVaultCertificates) {
        entries.withLock { entries in
            entries = entries.mapValues { $0.filter { $0.provider != nil } }.filter { !$0.value.isEmpty }
            entries[provider.name, default: []].append(Entry(provider: provider))
        }
    }
}

extension KeyManagementFactory {
    /// The shortest interval: a vault limits how often it is asked.
    private static let shortestInterval = Duration.seconds(1)

    /// A provider of Ratify's type `azurekeyvault`. It reads the vault when it runs, and is not ready before.
    func vault(
        _ plugin: ServiceConfiguration.ProviderPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> any CertificateProvider {
        let uri = trimmed(try reader.requiredString("vaultURI"))
        let tenant = try reader.string("tenantID").map(trimmed)
        let client = try reader.string("clientID").map(trimmed)
        let identity = try reader.string("identity").map { text throws(ConfigurationError) in
            try VaultIdentity(parsing: text, path: "\(plugin.path).identity")
        }
        let bundle = try reader.string("caBundle")
        if bundle != nil { try plugin.requireCluster("caBundle") }
        let certificates = try objects("certificates", &reader)
        let keys = try objects("keys", &reader)
        var settings = KeyVaultCertificates.Settings(certificates: certificates, keys: keys)
        // Ratify's resource reads once when there is no interval; that leaves revoked and new versions unseen for good.
        if let text = try reader.string("refreshInterval"), !text.isEmpty {
            guard let interval = DurationText.parse(text), interval == .zero || interval >= Self.shortestInterval else {
                throw ConfigurationError(
                    path: "\(plugin.path).refreshInterval",
                    problem:
                        "is \"\(text.quoted)\": expected a duration such as \"1m\", at least 1s, or \"0\" to read once"
                )
            }
            settings.refreshInterval = interval
        }
        do {
            let http = try clients.client(caBundle: bundle)
            let source: any AzureTokenSource =
                identity == .managed
                ? try ManagedIdentity(clientID: client, environment: environment, http: try clients.withoutProxy())
                : try WorkloadIdentity(clientID: client, tenantID: tenant, environment: environment, http: http)
            let former = azure.vaults.provider(named: plugin.name)
            let label = plugin.name
            let provider = try KeyVaultCertificates(
                name: plugin.name,
                client: KeyVaultClient(vaultURI: uri, source: source, tokens: azure.tokens, http: http),
                settings: settings, former: former, observe: azure.observe
            ) { [logger] notice in
                switch notice {
                case .refreshed(let certificates, let keys):
                    logger.info(
                        "key vault read",
                        metadata: ["provider": "\(label)", "certificates": "\(certificates)", "keys": "\(keys)"])
                case .failing(let error):
                    logger.error("key vault: \(error)", metadata: ["provider": "\(label)"])
                case .exportableKey(let warning):
                    logger.warning("key vault: \(warning)", metadata: ["provider": "\(label)"])
                }
            }
            azure.vaults.remember(provider)
            return provider
        } catch { throw ConfigurationError(path: plugin.path, problem: "cannot be used: \(error)") }
    }

    private func objects(
        _ member: String, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> [KeyVaultObject] {
        var objects: [KeyVaultObject] = []
        for var section in try reader.sections(member) {
            let isCertificate = member == "certificates"
            let name = try Self.spelt("name", or: isCertificate ? "certificateName" : nil, &section)
            let version = try Self.spelt("version", or: isCertificate ? "certificateVersion" : nil, &section)
            guard let name else {
                throw ConfigurationError(path: "\(section.path).name", problem: "is missing or empty")
            }
            let limit = try section.integer(
                "versionHistoryLimit", in: 0...Int64(KeyVaultObject.maximumHistory))
            do throws(AzureError) {
                objects.append(
                    try KeyVaultObject(
                        name: trimmed(name), version: trimmed(version ?? ""), versionHistoryLimit: Int(limit ?? 0)))
            } catch { throw ConfigurationError(path: section.path, problem: "cannot be used: \(error)") }
            reader.warnings += section.unused()
        }
        return objects
    }

    /// A member in the spelling of a KeyManagementProvider, or in that of the CertificateStore which Ratify had before
    /// 1.2: walkthroughs of that time are still copied. Two that disagree are a fault, for one of them would have no
    /// effect.
    private static func spelt(
        _ name: String, or older: String?, _ section: inout ConfigurationReader
    ) throws(ConfigurationError) -> String? {
        let newer = try section.string(name).flatMap { $0.isEmpty ? nil : $0 }
        guard let older, let former = try section.string(older), !former.isEmpty else { return newer }
        guard let newer, newer != former else { return former }
        throw ConfigurationError(
            path: "\(section.path).\(older)",
            problem: "says something else than \(name), which means the same: keep one")
    }

    /// Without white space around it, which values of YAML easily have.
    private func trimmed(_ text: String) -> String {
        let start = text.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}
