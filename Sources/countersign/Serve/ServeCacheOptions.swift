import ArgumentParser
import CountersignService
import FoundationEssentials
import ProviderServer
import Quotation
import Redis
import SharedCache

/// How `serve` remembers verdicts.
struct ServeCacheOptions: ParsableArguments {
    /// What Ratify's chart passes when nobody chose a name.
    private static let ratifysName = "dapr-redis"

    @Option(

        help: ArgumentHelp(
            "Whether verdicts are remembered; with =false none is.", valueName: "true|false"))
    var cacheEnabled = true

    @Option(
        help: ArgumentHelp(
            "Where verdicts are remembered: ristretto, this process's own memory; redis, which replicas share, behind it.",
            valueName: "type"))
    var cacheType = "ristretto"

    @Option(help: ArgumentHelp("A Dapr state store's name. Only Ratify's default is accepted.", valueName: "name"))
    var cacheName = ServeCacheOptions.ratifysName

    @Option(
        help: ArgumentHelp(
            "How many megabytes of verdicts, manifests and signatures are remembered at most, of all stores together.",
            valueName: "MB"))
    var cacheSize = 12

    @Option(help: ArgumentHelp("How long a verdict is remembered: 10s, 1m, 0s for not at all.", valueName: "duration"))
    var cacheTTL = "10s"

    @Option(
        help: ArgumentHelp(
            "Redis for --cache-type redis: HOST:PORT. Its password is taken from COUNTERSIGN_REDIS_PASSWORD.",
            valueName: "address"))
    var cacheRedis: String?

    @Flag(help: "Talk TLS to Redis.")
    var cacheRedisTls = false

    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities for Redis; the system's do not count then. Means --cache-redis-tls.",
            valueName: "file"))
    var cacheRedisCa: String?

    @Option(
        help: ArgumentHelp("The user for Redis, with the password in COUNTERSIGN_REDIS_PASSWORD.", valueName: "name"))
    var cacheRedisUser: String?

    @Option(
        help: ArgumentHelp(
            "File with 32 bytes or more that all replicas have and nobody else: it proves that a shared verdict is theirs.",
            valueName: "file"))
    var cacheKeyFile: String?

    /// The shared cache; `nil` for none.
    func sharedSettings(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> SharedCacheSettings? {
        guard cacheType == "redis" else {
            let given = [
                ("--cache-redis", cacheRedis != nil), ("--cache-redis-tls", cacheRedisTls),
                ("--cache-redis-ca", cacheRedisCa != nil), ("--cache-redis-user", cacheRedisUser != nil),
                ("--cache-key-file", cacheKeyFile != nil),
            ].first(where: \.1)
            guard let given else { return nil }
            throw CommandFailure(.usage, "\(given.0) has no meaning without --cache-type redis")
        }
        guard let cacheRedis else {
            throw CommandFailure(.usage, "--cache-type redis needs --cache-redis HOST:PORT")
        }
        guard let cacheKeyFile else {
            throw CommandFailure(
                .usage,
                "--cache-type redis needs --cache-key-file: without a key, whoever can write to Redis could admit any image; make one with openssl rand -hex 32"
            )
        }
        let address = try ListenAddress(flag: "--cache-redis", cacheRedis)
        guard let host = address.host, address.port > 0 else {
            throw CommandFailure(.usage, "--cache-redis is \"\(cacheRedis.quoted)\": expected HOST:PORT")
        }
        let password = environment["COUNTERSIGN_REDIS_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
        guard cacheRedisUser == nil || password != nil else {
            throw CommandFailure(.usage, "--cache-redis-user needs a password in COUNTERSIGN_REDIS_PASSWORD")
        }
        let redis = RedisConfiguration(
            host: host, port: address.port,
            security: cacheRedisTls || cacheRedisCa != nil ? .tls(authorities: cacheRedisCa) : .plain,
            user: cacheRedisUser, password: password)
        do { return try SharedCacheSettings(redis: redis, keyFile: cacheKeyFile) } catch {
            throw CommandFailure(.usage, error.description)
        }
    }

    func decisionSettings() throws -> DecisionSettings {
        let lifetime = try Duration(flag: "--cache-ttl", cacheTTL)
        guard (1...65_536).contains(cacheSize) else {
            throw CommandFailure(.usage, "--cache-size is \(cacheSize): expected 1 to 65536 megabytes")
        }
        switch cacheType {
        case "ristretto", "redis": break
        case "dapr":
            throw CommandFailure(
                .usage,
                "--cache-type is \"dapr\": state stores of Dapr are not supported; use \"ristretto\" or \"redis\"")
        default:
            throw CommandFailure(
                .usage, "--cache-type is \"\(cacheType.quoted)\": not known; use \"ristretto\" or \"redis\"")
        }
        guard cacheName == ServeCacheOptions.ratifysName || cacheName.isEmpty else {
            throw CommandFailure(
                .usage,
                "--cache-name is \"\(cacheName.quoted)\": it names a state store of Dapr, which a cache of type \"\(cacheType.quoted)\" has not; leave it out"
            )
        }
        return DecisionSettings(lifetime: cacheEnabled ? lifetime : .zero, maximumBytes: cacheSize << 20)
    }
}
