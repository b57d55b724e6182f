import ArgumentParser
import CountersignService
import FoundationEssentials
import HTTP
import OCI
import OCIRegistry
import Quotation

/// Where a command finds images.
struct StoreOptions: ParsableArguments {
    @Option(
        name: .customLong("oci-layout"),
        help: ArgumentHelp(
            "Look the image up in this OCI image layout; REF still names the repository that policies speak of.",
            valueName: "directory"))
    var layout: String?

    @Flag(
        name: [.customLong("plain-http"), .customLong("insecure-registry")],
        help:
            "Talk HTTP to the registry, as to localhost with a port, and to insecureRegistries of notation's config.json."
    )
    var plainHTTP = false

    @Option(
        help: ArgumentHelp(
            "Registry credentials. (default: notation's config.json if it names any, then $DOCKER_CONFIG/config.json, then ~/.docker/config.json)",
            valueName: "file"))
    var registryConfig: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The user at the registry. (default: $NOTATION_USERNAME)", valueName: "name"))
    var username: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The password, or without a user an identity token. Other users of this machine see what a command line holds: $NOTATION_PASSWORD is the default.",
            valueName: "password"))
    var password: String?

    @Flag(name: .shortAndLong, help: "Tell on standard error what is asked of which host, and what came back.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "The same, with what answers say of themselves.")
    var debug = false

    @Option(
        name: .customLong("token-realm"),
        help: ArgumentHelp(
            "Another host that issues a registry's tokens, and may have the credentials for that registry: registry.example.com=gitlab.example.com. Repeatable. The registry's own host may, and those of public registries that are known.",
            valueName: "registry=host"))
    var tokenRealms: [String] = []

    @Option(help: ArgumentHelp("How long the whole command may take.", valueName: "seconds"))
    var timeout = 60

    func validate() throws {
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout is \(timeout): expected 1 to 3600") }
        guard registryConfig == nil || username == nil && password == nil else {
            throw ValidationError("give either --registry-config, or --username and --password")
        }
        _ = try realms()
    }

    /// What `--token-realm` says.
    private func realms() throws -> TokenRealms {
        var realms = TokenRealms()
        for text in tokenRealms {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw ValidationError("--token-realm is \"\(text.quoted)\": expected REGISTRY=HOST")
            }
            do throws(TokenRealms.Fault) { try realms.allow(String(parts[1]), for: String(parts[0])) } catch {
                throw ValidationError("--token-realm: \(error)")
            }
        }
        return realms
    }

    /// Whether an option says where images are, or who asks.
    var isGiven: Bool {
        layout != nil || plainHTTP || registryConfig != nil || username != nil || password != nil
            || !tokenRealms.isEmpty
    }

    /// How registries are spoken to, but for those that notation's settings name.
    var transport: RegistryTransport { plainHTTP ? .http : .https }

    /// Whether notation's settings say that the registry of a reference is spoken to in plain HTTP.
    func isInsecure(_ reference: ImageReference) throws(CommandFailure) -> Bool {
        guard layout == nil, let folder = Self.notationFolder else { return false }
        return try folder.settings().isInsecure(reference)
    }

    /// When the command gives up.
    func deadline() -> ContinuousClock.Instant { .now + .seconds(timeout) }

    /// The layout or the registry.
    ///
    /// - Parameters:
    ///   - reference: what it will be asked for: given credentials are for its registry.
    ///   - directory: the layout's directory, where it is not ``layout``.
    ///   - withCosignSignatures: whether the tag that cosign keeps signatures at is looked for.
    func open(
        for reference: ImageReference, layout directory: String? = nil, withCosignSignatures: Bool = false
    ) throws -> any ReferrerStore & ArtifactPushing {
        if let layout = directory ?? layout {
            do { return try ImageLayout(directory: layout) } catch { throw CommandFailure(.usage, "\(error)") }
        }
        let folder = Self.notationFolder
        let settings = try folder?.settings() ?? NotationSettings()
        var options = RegistryOptions()
        options.plainHTTP = plainHTTP || settings.isInsecure(reference)
        options.tokenRealms = try realms()
        options.cosignSignatures = withCosignSignatures
        return RegistryClient(
            name: "registry", http: try http(), credentials: try credentials(for: reference, folder, settings),
            options: options)
    }

    /// notation's folder where there can be one: what is read from it besides the trust policy has other places too.
    static var notationFolder: NotationFolder? {
        try? NotationFolder(environment: ProcessInfo.processInfo.environment)
    }

    /// What was given goes first, an option before the environment; then what notation and Docker are configured with.
    private func credentials(
        for reference: ImageReference, _ folder: NotationFolder?, _ settings: NotationSettings
    ) throws -> any RegistryCredentials {
        if let registryConfig { return Self.dockerConfig(registryConfig) }
        let environment = GivenCredentials.ofEnvironment
        let user = username ?? environment.user
        let password = password ?? environment.password
        guard !password.isEmpty || user.isEmpty else {
            throw CommandFailure(
                .usage, "there is a user name and no password: set NOTATION_PASSWORD, or give --password")
        }
        if !password.isEmpty { return GivenCredentials(user: user, password: password, for: reference) }
        return Self.dockerConfig(settings.hasCredentials ? folder.map { "\($0.path)/config.json" } : nil)
    }

    private static func dockerConfig(_ path: String?) -> DockerConfigCredentials {
        DockerConfigCredentials(path: path, onProblem: { Terminal.complain($0) })
    }

    /// A client for registries, revocation and timestamps.
    func http() throws -> any HTTPSending {
        do {
            let client = try HTTPClient(configuration: HTTPClientConfiguration(userAgent: Release.agent))
            return verbose || debug ? NarratedHTTP(client, tellsHeaders: debug) : client
        } catch { throw CommandFailure(.usage, "\(error)") }
    }
}

/// The image that a command is about.
struct ReferenceArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The image: registry/repository:tag or @digest.", valueName: "ref"))
    var reference: String

    /// The reference.
    ///
    /// - Parameter transport: how the command speaks to registries.
    func parse(over transport: RegistryTransport = .https) throws -> ImageReference {
        try Self.parse(reference, over: transport)
    }

    private static func parse(_ text: String, over transport: RegistryTransport) throws -> ImageReference {
        do { return try ImageReference(parsing: text, over: transport) } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }

    /// The reference as a command means it: which port needs no saying depends on how its registry is spoken to.
    func parse(for store: StoreOptions) throws -> ImageReference { try Self.parse(reference, for: store) }

    /// The same of a text that was typed.
    static func parse(_ text: String, for store: StoreOptions) throws -> ImageReference {
        let reference = try parse(text, over: store.transport)
        return try store.isInsecure(reference) ? reference.over(.http) : reference
    }

    /// `DIR:TAG` or `DIR@DIGEST`, as notation names what is in a layout, with the repository that stands for it: the
    /// reference in that repository, and the directory.
    func parse(inLayoutWithScope scope: String) throws -> (reference: ImageReference, layout: String) {
        guard let separator = reference.lastIndex(of: "@") ?? reference.lastIndex(of: ":"),
            separator > reference.startIndex
        else {
            throw CommandFailure(.usage, "\"\(reference.quoted)\" is not DIR:TAG or DIR@DIGEST of an image layout")
        }
        let repository: ImageReference
        let parsed: ImageReference
        do {
            repository = try ImageReference(parsing: scope)
            parsed = try ImageReference(parsing: scope + reference[separator...])
        } catch { throw CommandFailure(.usage, "\(error)") }
        // `local/app` would be a repository of Docker Hub, and another statement of the policy might apply to that.
        guard repository.scopeName == scope, repository.digest == nil else {
            throw CommandFailure(
                .usage,
                "--scope \(scope.quoted): expected a registry and a repository, as registry.example.com/app, and the same in the registryScopes of the trust policy"
            )
        }
        return (parsed, String(reference[..<separator]))
    }
}

extension CommandFailure {
    /// A store's error: not there is a verdict of sorts, trouble that may pass is none, and what is configured wrongly
    /// must be mended.
    init(_ error: RegistryError) {
        self.init(
            error.isConfiguration ? .usage : error.isTransient ? .undetermined : .notVerified, "\(error)")
    }
}

/// Does something with a store, and turns its errors into exit statuses.
func asking<Value>(_ work: () async throws(RegistryError) -> Value) async throws -> Value {
    do throws(RegistryError) { return try await work() } catch { throw CommandFailure(error) }
}
