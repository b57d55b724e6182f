import ArgumentParser
import CountersignService
import FoundationEssentials
import HTTP
import OCI

/// Where a command finds images.
struct StoreOptions: ParsableArguments {
    @Option(
        name: .customLong("oci-layout"),
        help: ArgumentHelp(
            "Look the image up in this OCI image layout; REF still names the repository that policies speak of.",
            valueName: "directory"))
    var layout: String?

    @Flag(help: "Talk HTTP to the registry.")
    var plainHTTP = false

    @Option(
        help: ArgumentHelp(
            "Registry credentials. (default: $DOCKER_CONFIG/config.json, then ~/.docker/config.json)", valueName: "file"
        ))
    var registryConfig: String?

    @Option(help: ArgumentHelp("How long the whole command may take.", valueName: "seconds"))
    var timeout = 60

    func validate() throws {
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout is \(timeout): expected 1 to 3600") }
    }

    /// How registries are spoken to.
    var transport: RegistryTransport { plainHTTP ? .http : .https }

    /// When the command gives up.
    func deadline() -> ContinuousClock.Instant { .now + .seconds(timeout) }

    /// The layout or the registry.
    func open() throws -> any ReferrerStore & ArtifactPushing {
        if let layout {
            do { return try ImageLayout(directory: layout) } catch { throw CommandFailure(.usage, "\(error)") }
        }
        var options = RegistryOptions()
        options.plainHTTP = plainHTTP
        do {
            return RegistryClient(
                name: "registry", http: try http(),
                credentials: DockerConfigCredentials(path: registryConfig, onProblem: { Terminal.complain($0) }),
                options: options)
        } catch let error as CommandFailure { throw error } catch { throw CommandFailure(.usage, "\(error)") }
    }

    /// A client for registries, revocation and timestamps.
    func http() throws -> HTTPClient {
        do { return try HTTPClient(configuration: HTTPClientConfiguration(userAgent: Release.agent)) } catch {
            throw CommandFailure(.usage, "\(error)")
        }
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
        do { return try ImageReference(parsing: reference, over: transport) } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }
}

extension CommandFailure {
    /// A store's error: not there is a verdict of sorts, trouble that may pass is none.
    init(_ error: RegistryError) {
        self.init(error.isPassing ? .undetermined : .notVerified, "\(error)")
    }
}

/// Does something with a store, and turns its errors into exit statuses.
func asking<Value>(_ work: () async throws(RegistryError) -> Value) async throws -> Value {
    do throws(RegistryError) { return try await work() } catch { throw CommandFailure(error) }
}
