import Concurrency
import HTTP
import OCI
import Synchronization

/// A client of registries by the OCI distribution specification 1.1.
///
/// It asks whichever registry a reference names. What it fetches by digest is checked against that digest, and kept;
/// the same question asked by several callers at once goes out once.
public final class RegistryClient: ReferrerStore, ArtifactPushing {
    /// The name of this store in reports.
    public let name: String

    let http: any HTTPSending
    let credentials: any RegistryCredentials
    /// Its choices and limits.
    package let options: RegistryOptions

    let contents: ContentCache.Part
    let descriptors: BoundedCache<ImageReference, Descriptor>
    let tags: BoundedCache<ImageReference, Descriptor>
    let listings: BoundedCache<ListingKey, [Descriptor]>
    /// The repositories whose registry answered 404 on its Referrers API.
    let missingReferrersAPI: BoundedCache<String, Bool>
    /// The repositories, and the registries, whose Referrers API has answered.
    let knownReferrersAPI: BoundedCache<String, Bool>
    /// The repositories that their registry has let this client read a moment ago.
    let openRepositories: BoundedCache<String, Bool>
    /// How each repository wants to be asked, from its last challenge.
    let schemes: BoundedCache<AuthorizationKey, AuthorizationScheme>
    let tokens: BoundedCache<TokenQuestion, Token>
    /// Where registries are.
    let origins = BoundedCache<String, HTTPURL>(maximumCost: 256)

    let fetching = SingleFlight<ContentKey, [UInt8], RegistryError>()
    let resolving = SingleFlight<ImageReference, Descriptor, RegistryError>()
    let listing = SingleFlight<ListingKey, [Descriptor], RegistryError>()
    /// The first call to each repository, whose answer says how it wants to be asked.
    let introducing = SingleFlight<AuthorizationKey, Introduction, RegistryError>()
    let introductions = Atomic<UInt64>(0)
    let authorizing = SingleFlight<TokenQuestion, Token, RegistryError>()
    /// Who writes each referrers tag.
    let referrersTagLocks = KeyedLock<ListingKey>()
    let requestCount = Atomic<Int>(0)

    /// A client.
    ///
    /// - Parameters:
    ///   - name: its name in reports.
    ///   - http: what sends its calls.
    ///   - credentials: where its credentials come from.
    public init(
        name: String = "oras", http: any HTTPSending, credentials: any RegistryCredentials = AnonymousCredentials(),
        options: RegistryOptions = RegistryOptions()
    ) {
        self.name = name
        self.http = http
        self.credentials = credentials
        self.options = options
        contents = (options.contents ?? ContentCache(maximumBytes: options.contentCacheBytes)).part()
        descriptors = BoundedCache(maximumCost: options.descriptorCacheBytes)
        tags = BoundedCache(maximumCost: options.tagCacheLifetime > .zero ? options.descriptorCacheBytes : 0)
        listings = BoundedCache(maximumCost: options.referrersCacheLifetime > .zero ? options.referrersCacheBytes : 0)
        missingReferrersAPI = BoundedCache(
            maximumCost: options.missingReferrersAPILifetime > .zero ? options.repositoryCacheBytes : 0)
        knownReferrersAPI = BoundedCache(maximumCost: options.repositoryCacheBytes)
        openRepositories = BoundedCache(maximumCost: options.repositoryCacheBytes)
        schemes = BoundedCache(maximumCost: options.tokenCacheBytes)
        tokens = BoundedCache(maximumCost: options.tokenCacheBytes)
    }

    /// What the caches were worth so far.
    public var statistics: RegistryStatistics {
        var statistics = RegistryStatistics()
        statistics.contents = contents.counts
        statistics.descriptors = descriptors.counts
        statistics.tags = tags.counts
        statistics.referrers = listings.counts
        statistics.tokens = tokens.counts
        statistics.schemes = schemes.counts
        statistics.missingReferrersAPI = missingReferrersAPI.counts
        statistics.knownReferrersAPI = knownReferrersAPI.counts
        statistics.openRepositories = openRepositories.counts
        statistics.requests = requestCount.load(ordering: .relaxed)
        return statistics
    }

    /// How registries are spoken to. Registries on the loopback, in plain HTTP by their port, make no difference to
    /// what a name without a port means.
    public var transport: RegistryTransport? { options.plainHTTP ? .http : .https }

    /// Whether a registry is talked to in plain HTTP.
    func isPlain(_ endpoint: String) -> Bool {
        options.plainHTTP || (options.plainHTTPForLoopback && Self.isLoopbackWithPort(endpoint))
    }

    /// The host must be one of these as a whole: Ratify looks for "127.0.0.1" anywhere in the reference, so that
    /// `127.0.0.1.example.com` loses its TLS.
    private static func isLoopbackWithPort(_ endpoint: String) -> Bool {
        guard let colon = endpoint.utf8.lastIndex(of: UInt8(ascii: ":")), endpoint.utf8.last != UInt8(ascii: "]") else {
            return false
        }
        let host = endpoint[..<colon]
        if host == "localhost" || host == "[::1]" { return true }
        guard host.utf8.starts(with: "127.".utf8) else { return false }
        let numbers = host.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers.allSatisfy { UInt8(Substring($0)) != nil }
    }
}

/// The referrers of one type of one subject.
struct ListingKey: Hashable, Sendable {
    let scope: String
    let subject: Digest
    let artifactType: String?
}
