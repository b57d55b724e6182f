/// What a client accepts. Each download has one of these as its bound, whatever metadata says.
package struct TUFLimits: Hashable, Sendable {
    /// The longest root, in bytes (W of step 5.3.3).
    package var rootLength = 512_000
    /// The longest timestamp, in bytes (X of step 5.4.1).
    package var timestampLength = 16_384
    /// The longest snapshot, in bytes (Y of step 5.5.1), also where the timestamp names a greater length.
    package var snapshotLength = 2_000_000
    /// The longest metadata of a role of targets, in bytes (Z of step 5.6.1), also where the snapshot names a greater
    /// length.
    package var targetsLength = 5_000_000
    /// The longest target, in bytes.
    package var targetLength = 10_000_000
    /// The most new versions of the root in one update (Y of step 5.3.3).
    package var newRoots = 256
    /// The most roles that the search for one target visits (step 5.6.7.1).
    package var visitedRoles = 32
    /// How many delegations may lead from the top-level role to a role.
    package var delegationDepth = 8

    /// The bounds that are used unless told otherwise: those of the reference implementation, and a depth.
    package init() {}
}
