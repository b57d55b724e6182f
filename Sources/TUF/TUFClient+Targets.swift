import Crypto
import Encoding
import FoundationEssentials

/// Steps 5.6.7 and 5.7: the search for targets, and the targets.
extension TUFClient {
    func contents(
        of paths: [String], _ set: TrustedSet, at time: Date, _ access: MetadataAccess, _ record: inout UpdateRecord
    ) async throws(TUFError) -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for path in paths {
            guard RepositoryPath.isPlain(path) else { throw TUFError(.findTarget, path, .unsafePath) }
            let expected = try await search(for: path, set, at: time, access, &record)
            contents[path] = try await content(of: path, expected, set.root, access, &record)
        }
        return contents
    }

    /// A role that the search still has to visit.
    private struct Visit {
        let delegation: Delegation
        /// The role that delegates, and its name.
        let delegator: TargetsMetadata
        let owner: String
        let depth: Int
    }

    /// Step 5.6.7: pre-order, depth first, from the top-level role. Metadata that cannot be had or is not good ends
    /// the search: who can keep a role from us does not choose the next one.
    private func search(
        for path: String, _ set: TrustedSet, at time: Date, _ access: MetadataAccess, _ record: inout UpdateRecord
    ) async throws(TUFError) -> ExpectedContent {
        if let target = set.targets.target(path) { return target }
        var visited: Set<String> = ["targets"]
        var visits = Self.visits(from: set.targets, "targets", path, depth: 1)
        var pending = Array(visits.roles.reversed())
        while let visit = pending.popLast() {
            // Step 5.6.7.1: each role once, and no more than so many. A role that was visited is passed over, also
            // where another role delegates to it with other keys.
            guard visited.insert(visit.delegation.name).inserted else { continue }
            guard visited.count <= limits.visitedRoles else {
                throw TUFError(.searchTarget, path, .searchLimit("\(limits.visitedRoles) roles"))
            }
            guard visit.depth <= limits.delegationDepth else {
                throw TUFError(
                    .searchTarget, path, .searchLimit("\(limits.delegationDepth) delegations one after the other"))
            }
            let role = visit.delegation.name
            let metadata = try await targetsRole(role, set.root, set.snapshot, at: time, access) {
                metadata throws(TUFError.Problem) in
                try visit.delegator.verify(metadata, as: visit.delegation, owner: visit.owner)
            }
            record.add(metadata.header, of: role, .targets(role: role, version: metadata.header.version))
            if let target = metadata.target(path) { return target }
            // Step 5.6.7.2: what it delegates comes next; after a terminating delegation nothing else does.
            visits = Self.visits(from: metadata, role, path, depth: visit.depth + 1)
            if visits.isTerminated { pending = [] }
            pending += visits.roles.reversed()
        }
        throw TUFError(.findTarget, path, .noSuchTarget)
    }

    /// The roles that a role leaves a target to, in order, up to the first terminating one.
    private static func visits(
        from metadata: TargetsMetadata, _ owner: String, _ path: String, depth: Int
    ) -> (roles: [Visit], isTerminated: Bool) {
        var roles: [Visit] = []
        for delegation in metadata.delegations where delegation.covers(path) {
            roles.append(Visit(delegation: delegation, delegator: metadata, owner: owner, depth: depth))
            if delegation.isTerminating { return (roles, true) }
        }
        return (roles, false)
    }

    /// Step 5.7.3.
    private func content(
        of path: String, _ expected: ExpectedContent, _ root: RootMetadata, _ access: MetadataAccess,
        _ record: inout UpdateRecord
    ) async throws(TUFError) -> [UInt8] {
        let bound = min(expected.length ?? limits.targetLength, limits.targetLength)
        guard (expected.length ?? 0) <= bound else {
            throw TUFError(.downloadTarget, path, .tooLong(limit: limits.targetLength))
        }
        let prefixes = expected.prefixes
        if let sha256 = expected.sha256, let bytes = kept(.target(sha256: sha256), bound),
            (try? expected.check(bytes)) != nil
        {
            record.add(target: .target(sha256: sha256))
            return bytes
        }
        guard !prefixes.isEmpty else { throw TUFError(.downloadTarget, path, .noKnownHash) }
        // A repository writes a target under each of its digests, or under one of them.
        for prefix in root.consistentSnapshot ? prefixes.map(Optional.some) : [nil] {
            guard let location = RepositoryPath.target(path, below: targetsDirectory, prefix: prefix) else {
                throw TUFError(.downloadTarget, path, .unsafePath)
            }
            guard let bytes = try await fetched(location, bound, .downloadTarget, path, version: nil, access) else {
                continue
            }
            do { try expected.check(bytes) } catch { throw TUFError(.downloadTarget, path, error) }
            let item = StoredItem.target(sha256: Hex.text(SHA256.hash(data: bytes)))
            keep(bytes, as: item)
            record.add(target: item)
            return bytes
        }
        throw TUFError(.downloadTarget, path, .notFound)
    }
}
