/// The counters of a cache, and what it holds.
public struct CacheCounts: Hashable, Sendable {
    /// How often a lookup found an answer.
    public var hits = 0
    /// How often it did not.
    public var misses = 0
    /// How many entries were evicted to make room. Expired entries are not counted.
    public var evictions = 0
    /// How many entries are kept.
    public var entries = 0
    /// The sum of the entries' costs: their bytes, about.
    public var cost = 0

    /// All zero.
    public init() {}
}
