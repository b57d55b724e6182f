import ConfigurationModel
import FoundationEssentials
import KeyManagement
import Logging
import SigstoreTrust
import StrictJSON

/// Makes certificate providers from a configuration.
struct KeyManagementFactory {
    let clients: HTTPClients
    let azure: AzureAccess
    /// The trusted roots of Sigstore that are in use.
    let origins: TrustedRootOrigins
    let environment: [String: String]
    let logger: Logger

    func make(
        _ plugin: ServiceConfiguration.ProviderPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any CertificateProvider {
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version")
        defer { warnings += reader.unused() }
        switch plugin.type {
        case .inline:
            let contentType = try reader.string("contentType")
            let value = try reader.string("value")
            do {
                return try InlineCertificates(
                    name: plugin.name, contentType: contentType, value: value, now: Date())
            } catch { throw ConfigurationError(path: plugin.path, problem: "cannot be used: \(error)") }
        case .files:
            try plugin.requireCluster("paths")
            return try KeyManagementFactory.files(
                name: plugin.name, paths: try reader.strings("paths") ?? [], path: plugin.path + ".paths")
        case .azureKeyVault: return try vault(plugin, &reader)
        case .sigstore: return try trustedRoot(plugin, &reader)
        }
    }

    /// A provider of files, read once, so that it has its certificates before the first request.
    static func files(
        name: String, paths: [String], path: String
    ) throws(ConfigurationError) -> any CertificateProvider {
        do {
            let provider = try FileCertificates(name: name, paths: paths)
            provider.load()
            return provider
        } catch { throw ConfigurationError(path: path, problem: "cannot be used: \(error)") }
    }
}
