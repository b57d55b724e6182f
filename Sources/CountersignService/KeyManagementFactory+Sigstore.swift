import ConfigurationModel
import Encoding
import FoundationEssentials
import KeyManagement
import Quotation
import Sigstore
import SigstoreTrust
import TUF

extension KeyManagementFactory {
    /// The members that say which repository a trusted root comes from, and how it is asked.
    private static let repositoryMembers = ["instance", "tufURL", "tufRoot", "stateDirectory", "caBundle"]
    /// The members that are a trusted root together.
    private static let ownMembers = ["fulcioCertificates", "rekorKeys", "ctLogKeys", "timestampCertificates"]
    /// The shortest interval: repositories are everybody's.
    private static let shortestRefresh = Duration.seconds(60)

    /// A provider of the type `sigstore`, which Ratify does not have. A trusted root that stands in the configuration
    /// is read here, a file too; a repository is asked when the provider runs.
    func trustedRoot(
        _ plugin: ServiceConfiguration.ProviderPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> any CertificateProvider {
        var values: [String: String] = [:]
        for member in Self.repositoryMembers + Self.ownMembers + ["trustedRoot", "trustedRootFile"] {
            guard let value = try reader.string(member) else { continue }
            // What was left empty by mistake must not mean that somebody else is trusted.
            guard value.contains(where: { !$0.isWhitespace }) else {
                throw ConfigurationError(
                    path: reader.memberPath(member), problem: "is empty: give it a value, or take it out")
            }
            values[member] = value
        }
        for member in ["tufURL", "tufRoot", "stateDirectory", "caBundle", "trustedRootFile"]
        where values[member] != nil { try plugin.requireCluster(member) }
        try requireOneSource(values, plugin.path)
        if let json = values["trustedRoot"] {
            do {
                return TrustedRootProvider(
                    name: plugin.name, origin: try FixedTrustedRoot(json: Array(json.utf8), origins: origins))
            } catch {
                throw ConfigurationError(path: "\(plugin.path).trustedRoot", problem: "cannot be used: \(error)")
            }
        }
        if let path = values["trustedRootFile"] {
            return TrustedRootProvider(
                name: plugin.name, origin: origins.file(inHome(path)), interval: TrustedRootProvider.fileInterval)
        }
        if Self.ownMembers.contains(where: { values[$0] != nil }) {
            do {
                let own = try OwnInstance(
                    fulcio: values["fulcioCertificates"], rekor: values["rekorKeys"],
                    certificateLogs: values["ctLogKeys"], timestamps: values["timestampCertificates"])
                return TrustedRootProvider(
                    name: plugin.name, origin: try FixedTrustedRoot(own: own, origins: origins))
            } catch { throw ConfigurationError(path: plugin.path, problem: "cannot be used: \(error)") }
        }
        return try repository(values, plugin, &reader)
    }

    private func requireOneSource(_ values: [String: String], _ path: String) throws(ConfigurationError) {
        let sources = [Self.repositoryMembers, ["trustedRoot"], ["trustedRootFile"], Self.ownMembers]
            .compactMap { members in members.first { values[$0] != nil } }
        guard sources.count <= 1 else {
            throw ConfigurationError(
                path: path,
                problem: "has \(sources.joined(separator: " and ")): a trusted root comes from one place. Give an "
                    + "instance or a repository (\(Self.repositoryMembers.joined(separator: ", "))), or trustedRoot, or "
                    + "trustedRootFile, or certificates and keys (\(Self.ownMembers.joined(separator: ", ")))")
        }
        if values["tufRoot"] != nil, values["instance"] != nil {
            throw ConfigurationError(
                path: path,
                problem: "has instance and tufRoot: give either the instance, whose root is compiled in, or the root")
        }
        if values["tufRoot"] != nil, values["tufURL"] == nil {
            throw ConfigurationError(
                path: "\(path).tufURL", problem: "is missing: tufRoot says whom to trust, and tufURL where to ask")
        }
    }

    /// A path, where `~/` stands for the home directory.
    private func inHome(_ path: String) -> String {
        guard path.hasPrefix("~/"), let home = environment["HOME"], !home.isEmpty else { return path }
        return home + path.dropFirst(1)
    }

    private func repository(
        _ values: [String: String], _ plugin: ServiceConfiguration.ProviderPlugin, _ reader: inout ConfigurationReader
    ) throws(ConfigurationError) -> TrustedRootProvider {
        var interval = TrustedRootProvider.refreshInterval
        if let text = try reader.string("refreshInterval"), !text.isEmpty {
            guard let parsed = DurationText.parse(text), parsed >= Self.shortestRefresh else {
                throw ConfigurationError(
                    path: "\(plugin.path).refreshInterval",
                    problem: "is \"\(text.quoted)\": expected a duration such as \"24h\", at least 1m")
            }
            interval = parsed
        }
        let instance = try values["instance"].map { text throws(ConfigurationError) in
            try SigstoreInstance(parsing: text, path: "\(plugin.path).instance")
        }
        let shipped = instance == .github ? ShippedRoot.github : .publicGood
        let place = RepositoryTrustedRoot.Place(
            url: values["tufURL"] ?? shipped.url, root: values["tufRoot"].map { Array($0.utf8) } ?? shipped.bytes,
            directory: values["stateDirectory"].map(inHome), authorities: values["caBundle"])
        if values["tufRoot"] != nil {
            do throws(TUFError) { try TUFClient.check(trustedRoot: place.root) } catch {
                throw ConfigurationError(path: "\(plugin.path).tufRoot", problem: "cannot be used: \(error)")
            }
        }
        do {
            let fetcher = try HTTPRepositoryFetcher(place.url, http: try clients.client(caBundle: place.authorities))
            // The trusted root that is compiled in is one of the public good instance.
            let isPublicGood = values["tufRoot"] == nil && shipped == .publicGood
            let origin = try origins.repository(place) { () throws(TrustedRootError) in
                try RepositoryTrustedRoot(
                    place, fetcher: fetcher, shipped: isPublicGood ? TrustedRoot.publicGoodJSON : nil, origins: origins
                ) { [logger] in TrustedRootLog.write($0, of: place.url, to: logger) }
            }
            return TrustedRootProvider(name: plugin.name, origin: origin, interval: interval)
        } catch {
            let member = error is HTTPRepositoryFetcher.Fault ? ".tufURL" : ""
            throw ConfigurationError(path: plugin.path + member, problem: "cannot be used: \(error)")
        }
    }
}
