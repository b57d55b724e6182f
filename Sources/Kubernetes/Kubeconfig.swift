import FoundationEssentials
import HTTP
import Quotation
import StrictJSON
import YAML

extension KubernetesConfiguration {
    /// The configuration of one kubeconfig file. See ``kubeconfig(paths:context:environment:)``.
    package static func kubeconfig(
        path: String, context: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(KubernetesError) -> KubernetesConfiguration {
        try kubeconfig(paths: [path], context: context, environment: environment)
    }

    /// The configuration of kubeconfig files, merged as `kubectl` does: of clusters, users and contexts with the same
    /// name the first one counts; files that are missing do not matter as long as there is one.
    ///
    /// - Parameter context: the context's name; `nil`: the current one of the files.
    /// - Throws: `configuration` for what is missing, wrong, or not supported.
    package static func kubeconfig(
        paths: [String], context: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(KubernetesError) -> KubernetesConfiguration {
        var files: [Kubeconfig] = []
        for path in paths where paths.count == 1 || FileManager.default.fileExists(atPath: path) {
            files.append(try Kubeconfig(path: path))
        }
        guard !files.isEmpty else {
            throw .configuration("no cluster to talk to: none of \(paths.joined(separator: ", ")) is there")
        }
        let current = files.lazy.compactMap(\.currentContext).first
        guard let name = context ?? current else {
            throw .configuration("\(paths.joined(separator: ", ")) has no current-context: name a context")
        }
        let source = "context \"\(name.quoted)\" of \(paths.joined(separator: ", "))"
        func entry(_ list: String, _ name: String, _ member: String) throws(KubernetesError) -> KubeconfigEntry {
            for file in files {
                if let entry = try file.entry(list, name, member) { return entry }
            }
            throw .configuration("\(source): there is no \(member) \"\(name.quoted)\"")
        }
        let chosen = try entry("contexts", name, "context")
        guard let clusterName = try chosen.string("cluster") else {
            throw .configuration("\(source) names no cluster")
        }
        let cluster = try entry("clusters", clusterName, "cluster")
        let user = try chosen.string("user").map { (name) throws(KubernetesError) in
            try entry("users", name, "user")
        }
        return try make(
            cluster: cluster, user: user, namespace: try chosen.string("namespace"), source: source,
            environment: environment)
    }

    private static func make(
        cluster: KubeconfigEntry, user: KubeconfigEntry?, namespace: String?, source: String,
        environment: [String: String]
    ) throws(KubernetesError) -> KubernetesConfiguration {
        guard let server = try cluster.string("server") else { throw .configuration("\(cluster.name): no server") }
        guard try cluster.bool("insecure-skip-tls-verify") != true else {
            throw .configuration(
                "\(cluster.name): insecure-skip-tls-verify is not supported: anyone on the way could read and change everything; give certificate-authority-data"
            )
        }
        let authorities: Authorities =
            if let data = try cluster.data("certificate-authority-data") {
                .pem(data)
            } else if let path = try cluster.path("certificate-authority") {
                .file(path)
            } else {
                .system
            }
        return try KubernetesConfiguration(
            server: server.hasPrefix("http") ? server : "https://\(server)", authorities: authorities,
            tlsServerName: try cluster.string("tls-server-name"), proxyURL: try cluster.string("proxy-url"),
            credentials: try user.map { (user) throws(KubernetesError) in try credentials(of: user) } ?? .none,
            clientCertificate: try user.flatMap { (user) throws(KubernetesError) in try certificate(of: user) },
            namespace: namespace ?? "default", source: source, environment: environment)
    }

    private static func credentials(of user: KubeconfigEntry) throws(KubernetesError) -> Credentials {
        for member in ["username", "password", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra"]
        where user.object[member] != nil {
            throw .configuration(
                "\(user.name): \(member) is not supported; use token, tokenFile, exec or a client certificate")
        }
        // As in client-go: a token's file is read, and the token beside it is not.
        if let path = try user.path("tokenFile") { return .tokenFile(path) }
        if let token = try user.string("token") { return .token(token) }
        guard let exec = user.object["exec"] else { return .none }
        return .exec(try ExecPlugin(exec, of: user))
    }

    private static func certificate(of user: KubeconfigEntry) throws(KubernetesError) -> ClientCertificate? {
        func source(_ name: String) throws(KubernetesError) -> ClientCertificate.Source? {
            if let data = try user.data("\(name)-data") { return .bytes(data) }
            return try user.path(name).map { .file($0) }
        }
        switch (try source("client-certificate"), try source("client-key")) {
        case (nil, nil): return nil
        case (let certificates?, let key?): return ClientCertificate(certificates: certificates, key: key)
        default: throw .configuration("\(user.name): client-certificate and client-key belong together")
        }
    }
}

/// One kubeconfig file.
struct Kubeconfig {
    private let path: String
    private let document: JSONObject

    init(path: String) throws(KubernetesError) {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw .configuration("the kubeconfig \(path) cannot be read")
        }
        let value: JSONValue?
        do { value = try YAML.parseOne([UInt8](data)) } catch {
            throw .configuration("the kubeconfig \(path): \(error)")
        }
        guard let object = value?.object else { throw .configuration("the kubeconfig \(path) holds no mapping") }
        document = object
        self.path = path
    }

    var currentContext: String? { document["current-context"]?.string.flatMap { $0.isEmpty ? nil : $0 } }

    /// The entry of this name in a list, its content under `member`.
    func entry(_ list: String, _ name: String, _ member: String) throws(KubernetesError) -> KubeconfigEntry? {
        guard let entries = document[list]?.array,
            let entry = entries.first(where: { $0["name"]?.string.map { Array($0.utf8) } == Array(name.utf8) })
        else { return nil }
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        return KubeconfigEntry(
            name: "the \(member) \"\(name.quoted)\" of \(path)", object: entry[member]?.object ?? [:],
            directory: directory)
    }
}

/// A cluster, user or context of a kubeconfig. Its errors never repeat a value: it may be a secret.
struct KubeconfigEntry {
    let name: String
    let object: JSONObject
    /// What relative paths are relative to.
    let directory: String

    func string(_ member: String) throws(KubernetesError) -> String? {
        guard let value = object[member], !value.isNull else { return nil }
        guard let text = value.string else { throw .configuration("\(name): \(member) is \(value.kind), not a string") }
        return text.isEmpty ? nil : text
    }

    func bool(_ member: String) throws(KubernetesError) -> Bool? {
        guard let value = object[member], !value.isNull else { return nil }
        guard let bool = value.bool else { throw .configuration("\(name): \(member) is \(value.kind), not a Boolean") }
        return bool
    }

    func data(_ member: String) throws(KubernetesError) -> [UInt8]? {
        guard let text = try string(member) else { return nil }
        guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters), !data.isEmpty else {
            throw .configuration("\(name): \(member) is not base64")
        }
        return [UInt8](data)
    }

    func path(_ member: String) throws(KubernetesError) -> String? {
        guard let text = try string(member) else { return nil }
        return text.hasPrefix("/") ? text : "\(directory)/\(text)"
    }
}
