import Concurrency
import HTTP
import IPAddresses

/// The choices and limits of a ``RegistryClient``.
public struct RegistryOptions: Sendable {
    /// Talk plain HTTP to every registry (Ratify's `useHttp`).
    public var plainHTTP = false
    /// Talk plain HTTP to `localhost`, `127.x.x.x` and `[::1]` when the reference gives a port, as notation and
    /// Ratify do: nothing leaves the machine.
    public var plainHTTPForLoopback = true

    /// Whether a registry may send us to private addresses: by redirects, and as the place where tokens come from. The
    /// registry itself, which the reference names, may be anywhere, and one in a private network may name others there.
    public var privateAddresses = PrivateAddresses.allowed
    /// Which other hosts credentials for a registry may go to, as the place where its tokens come from.
    public var tokenRealms = TokenRealms()

    /// Whether the signatures that cosign keeps at the tag `sha256-<hex>.sig` of an image are among its referrers
    /// (Ratify's `cosignEnabled`). Each listing that they can be a part of is then one request more.
    public var cosignSignatures = false

    /// The largest manifest, index or page of referrers.
    public var maximumManifestBytes = 4 << 20
    /// The most referrers of the wanted type that one subject may have.
    public var maximumReferrers = 1000
    /// The most pages that one listing of referrers may have.
    public var maximumReferrerPages = 50

    /// The most referrers of one subject that a list may have without their type, each of which is fetched to learn it.
    public var maximumUntypedReferrers = 100
    /// How many bytes the manifests of those may have together.
    public var maximumUntypedBytes = 4 << 20

    /// How many bytes of manifests and blobs are kept, by their digest.
    public var contentCacheBytes = 16 << 20
    /// How many bytes of what references mean are kept; of digests and of tags each.
    public var descriptorCacheBytes = 2 << 20
    /// How long the media type and size that a registry has stated of a digest are kept.
    public var descriptorCacheLifetime: Duration = .seconds(60)
    /// How long what a tag means is kept; zero: not at all.
    public var tagCacheLifetime: Duration = .zero
    /// How many bytes of listings of referrers are kept.
    public var referrersCacheBytes = 4 << 20
    /// How long a listing of referrers is kept; zero: not at all.
    public var referrersCacheLifetime: Duration = .zero
    /// How long it is remembered that a registry has no Referrers API, for one repository.
    public var missingReferrersAPILifetime: Duration = .seconds(300)
    /// The same where the registry has answered it for other repositories.
    public var doubtfulReferrersAPILifetime: Duration = .seconds(5)
    /// How long it is remembered that a registry has answered its Referrers API.
    public var knownReferrersAPILifetime: Duration = .seconds(300)
    /// How many bytes of what is known of repositories are kept: whether they have a Referrers API, and may be read.
    public var repositoryCacheBytes = 512 << 10
    /// How many bytes of tokens are kept, and of how repositories want to be asked for them.
    public var tokenCacheBytes = 1 << 20

    /// How long a fetch that several callers may share goes on when the caller that began it waits for less.
    public var sharedFetchTime: Duration = .seconds(10)
    /// How often and how calls are tried again.
    public var retry: RetryPolicy = .standard
    /// Told of every answer, and of every call that had none (`nil`): for metrics.
    public var onAnswer: (@Sendable (_ host: String, _ status: Int?) -> Void)?
    /// Told how long such work took, successful or not: for metrics.
    public var onWork: (@Sendable (_ work: RegistryWork, _ host: String, _ time: Duration) -> Void)?

    /// Where manifests and blobs are kept, together with other clients'; `nil` for a cache of ``contentCacheBytes``.
    package var contents: ContentCache?
    /// What other replicas have fetched.
    package var sharedContent: (any SharedContent)?

    /// The defaults.
    public init() {}
}

/// Work of a ``RegistryClient`` that is a part of other work.
public enum RegistryWork: Hashable, Sendable {
    /// A manifest or a blob, from the registry.
    case fetch
    /// A token, from where the registry says.
    case token
}

/// What the caches of a ``RegistryClient`` were worth.
public struct RegistryStatistics: Hashable, Sendable {
    /// Manifests and blobs.
    public var contents = CacheCounts()
    /// What digest references mean.
    public var descriptors = CacheCounts()
    /// What tags mean.
    public var tags = CacheCounts()
    /// Listings of referrers.
    public var referrers = CacheCounts()
    /// Tokens.
    public var tokens = CacheCounts()
    /// How repositories want to be asked.
    public var schemes = CacheCounts()
    /// Repositories without a Referrers API.
    public var missingReferrersAPI = CacheCounts()
    /// Repositories and registries with one.
    public var knownReferrersAPI = CacheCounts()
    /// Repositories that may be read.
    public var openRepositories = CacheCounts()
    /// How many calls were made to registries and token endpoints.
    public var requests = 0

    /// All zero.
    public init() {}
}
