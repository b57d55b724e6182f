import FoundationEssentials
import OCI
import Quotation
import StrictJSON

/// The folder in which notation keeps what it is configured with: trust policy, trust store, signing keys, settings
/// (notation-go, package `dir`).
struct NotationFolder {
    /// Where it is.
    let path: String

    /// Where the environment says that it is: `$NOTATION_CONFIG`, else `notation` in `$XDG_CONFIG_HOME`, else in
    /// `.config` of the home directory. Whether anything is there is another question.
    ///
    /// notation takes `.notation` of the current directory where neither a home nor an absolute `XDG_CONFIG_HOME` is
    /// known. A policy that happens to lie where the command is started is nobody's word, so that is an error here.
    init(environment: [String: String]) throws(CommandFailure) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let folder = value("NOTATION_CONFIG") {
            path = folder
        } else if let folder = value("XDG_CONFIG_HOME") {
            guard folder.hasPrefix("/") else {
                throw CommandFailure(
                    .usage, "XDG_CONFIG_HOME is not an absolute path: correct it, or say in NOTATION_CONFIG where it is"
                )
            }
            path = "\(folder)/notation"
        } else if let home = value("HOME") {
            path = "\(home)/.config/notation"
        } else {
            throw CommandFailure(
                .usage, "notation's folder is not known without HOME: say in NOTATION_CONFIG where it is")
        }
    }

    /// `truststore`, laid out as ``DirectoryTrustStore`` wants it.
    var trustStore: String { "\(path)/truststore" }

    /// The trust policy for OCI artifacts: `trustpolicy.oci.json`, or `trustpolicy.json` where there is none.
    func trustPolicy() throws(CommandFailure) -> (path: String, content: [UInt8]) {
        for name in ["trustpolicy.oci.json", "trustpolicy.json"] {
            if let content = try content(of: name) { return ("\(path)/\(name)", content) }
        }
        throw CommandFailure(
            .usage,
            "there is no trust policy: give --trust-policy and --trust-store, or --config; or put trustpolicy.oci.json or trustpolicy.json into notation's folder \(path.quotedPath) (NOTATION_CONFIG names another)"
        )
    }

    /// `config.json`; no settings where there is none.
    func settings() throws(CommandFailure) -> NotationSettings {
        let name = "config.json"
        guard let content = try content(of: name) else { return NotationSettings() }
        return try NotationSettings(parsing: content, path: "\(path)/\(name)")
    }

    /// `signingkeys.json`; no keys where there is none.
    func signingKeys() throws(CommandFailure) -> SigningKeys {
        let name = "signingkeys.json"
        guard let content = try content(of: name) else { return SigningKeys(path: "\(path)/\(name)") }
        return try SigningKeys(parsing: content, path: "\(path)/\(name)")
    }

    /// The content of one of its files, `nil` when there is none. "Symlinks are not supported": a link, as a directory,
    /// is refused as notation does it.
    private func content(of name: String) throws(CommandFailure) -> [UInt8]? {
        let file = "\(path)/\(name)"
        let type: FileAttributeType?
        do {
            type = try FileManager.default.attributesOfItem(atPath: file)[.type] as? FileAttributeType
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile || error.code == .fileNoSuchFile {
            return nil
        } catch {
            throw CommandFailure(.usage, "\(file.quotedPath) cannot be read: check its permissions, and the folder's")
        }
        guard type == .typeRegular else {
            throw CommandFailure(
                .usage, "\(file.quotedPath) is not a regular file; links are not followed, as notation does not")
        }
        do { return Array(try Data(contentsOf: URL(filePath: file))) } catch {
            throw CommandFailure(.usage, "\(file.quotedPath) cannot be read: check its permissions")
        }
    }
}

/// What `config.json` of ``NotationFolder`` says (notation-go, `config.Config`), as far as it concerns this command.
struct NotationSettings {
    /// Registries that are talked to in plain HTTP.
    private var insecureRegistries: [String] = []
    /// The format of signatures where no option says it.
    private(set) var signatureFormat: String?
    /// Whether it names credentials, or programs that have some: then those of Docker's configuration do not count.
    private(set) var hasCredentials = false

    init() {}

    init(parsing content: [UInt8], path: String) throws(CommandFailure) {
        let document = try object(content, path)
        func wrong(_ member: String, _ expected: String) -> CommandFailure {
            CommandFailure(.usage, "\(path.quotedPath): \"\(member)\" is not \(expected)")
        }
        if let value = document["insecureRegistries"], !value.isNull {
            guard let registries = value.strings else { throw wrong("insecureRegistries", "a list of registries") }
            insecureRegistries = registries
        }
        if let value = document["signatureFormat"], !value.isNull {
            guard let format = value.string else { throw wrong("signatureFormat", "a string") }
            signatureFormat = format.isEmpty ? nil : format.lowercased()
        }
        for name in ["auths", "credHelpers"] {
            guard let value = document[name], !value.isNull else { continue }
            guard let object = value.object else { throw wrong(name, "an object") }
            if !object.isEmpty { hasCredentials = true }
        }
        if let value = document["credsStore"], !value.isNull {
            guard let store = value.string else { throw wrong("credsStore", "a string") }
            if !store.isEmpty { hasCredentials = true }
        }
    }

    /// Whether the registry of a reference is one of ``insecureRegistries``, however either is spelled.
    func isInsecure(_ reference: ImageReference) -> Bool {
        let registry = reference.over(.http).registry
        return insecureRegistries.contains {
            (try? ImageReference(parsing: "\($0)/x", over: .http))?.registry == registry
        }
    }
}

/// `signingkeys.json` of ``NotationFolder`` (notation-go, `config.SigningKeys`): keys by name, and which is the
/// default.
struct SigningKeys {
    /// A key that lies in files.
    struct Files {
        /// What it is called in messages.
        let name: String
        /// The private key.
        let key: String
        /// The certificate chain.
        let chain: String
    }

    /// Where the list is.
    let path: String
    private var entries: [(name: String, value: JSONObject)] = []
    private var defaultName: String?

    /// No keys.
    init(path: String) { self.path = path }

    init(parsing content: [UInt8], path: String) throws(CommandFailure) {
        self.path = path
        func wrong(_ problem: String) -> CommandFailure { CommandFailure(.usage, "\(path.quotedPath): \(problem)") }
        let document = try object(content, path, isShown: true)
        let keys = document["keys"] ?? .array([])
        guard let values = keys.isNull ? [] : keys.array else { throw wrong("\"keys\" is not a list") }
        for value in values {
            guard let entry = value.object, let name = entry["name"]?.string, !name.isEmpty else {
                throw wrong("\"keys\" has an entry without a name")
            }
            guard !entries.contains(where: { $0.name == name }) else {
                throw wrong("two keys have the name \"\(name.quoted)\"")
            }
            entries.append((name, entry))
        }
        guard let value = document["default"], !value.isNull else { return }
        guard let name = value.string, entries.contains(where: { $0.name == name }) else {
            throw wrong("\"default\" is not the name of one of the keys")
        }
        defaultName = name
    }

    /// Whether a key has this name.
    func has(_ name: String) -> Bool { entries.contains { $0.name == name } }

    /// The files of a key, of the default one without a name.
    func files(named name: String?) throws(CommandFailure) -> Files {
        guard let wanted = name ?? defaultName else {
            throw CommandFailure(
                .usage,
                "no key is given: give --key with --certificate-chain, --key with the name of a key in \(path.quotedPath), or --akv-key; without any the default key of that file signs, and it names none"
            )
        }
        guard let entry = entries.first(where: { $0.name == wanted })?.value else {
            let known = entries.prefix(20).map { "\"\($0.name.quoted)\"" }.joined(separator: ", ")
            throw CommandFailure(
                .usage,
                "--key \(wanted.quoted): no key of \(path) has this name"
                    + (known.isEmpty ? "" : " (there are \(known))")
                    + "; for a key in a file give --certificate-chain too"
            )
        }
        if let plugin = entry["pluginName"]?.string, !plugin.isEmpty {
            let identifier = entry["id"]?.string ?? ""
            throw CommandFailure(
                .usage,
                "the key \"\(wanted.quoted)\" of \(path) is kept by the plugin \"\(plugin.quoted)\", and countersign runs no plugins: "
                    + (plugin == "azure-kv"
                        ? "give --akv-key \(identifier.isEmpty ? "ID" : identifier.quoted)"
                        : "sign with notation, or give --key with --certificate-chain, or --akv-key"))
        }
        guard let key = entry["keyPath"]?.string, !key.isEmpty, let chain = entry["certPath"]?.string, !chain.isEmpty
        else {
            throw CommandFailure(
                .usage, "\(path.quotedPath): the key \"\(wanted.quoted)\" has no \"keyPath\" or no \"certPath\"")
        }
        return Files(name: "key \"\(wanted.quoted)\" of \(path)", key: key, chain: chain)
    }
}

/// The object that one of the folder's files holds.
///
/// - Parameter isShown: whether the line of a fault may be shown; `config.json` may hold passwords.
private func object(
    _ content: [UInt8], _ path: String, isShown: Bool = false
) throws(CommandFailure) -> JSONObject {
    let value: JSONValue
    do { value = try StrictJSON.parse(content) } catch {
        let problem = isShown ? error.description(showing: content) : error.description
        throw CommandFailure(.usage, "\(path.quotedPath) is not valid JSON: \(problem)")
    }
    guard let object = value.object else { throw CommandFailure(.usage, "\(path.quotedPath) is not a JSON object") }
    return object
}
