/// What a cache was worth, and what it holds.
public struct CacheCounts: Hashable, Sendable {
    /// How often the answer was there.
    public var hits = 0
    /// How often it was not.
    public var misses = 0
    /// How many entries made room for others. What had expired makes room without being counted.
    public var evictions = 0
    /// How many entries are kept.
    public var entries = 0
    /// The sum of the entries' costs: their bytes, about.
    public var cost = 0

    /// All zero.
    public init() {}
}
