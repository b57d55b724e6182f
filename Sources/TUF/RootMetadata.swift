import FoundationEssentials
import StrictJSON

/// A root (specification, section 4.3): which keys sign for the four top-level roles.
struct RootMetadata: Sendable {
    let header: MetadataHeader
    /// Whether the names of files begin with their version or digest.
    let consistentSnapshot: Bool
    private let keys: [String: RepositoryKey]
    private let roles: [TopLevelRole: SigningRole]

    /// A root whose signatures nobody has looked at yet.
    init(unverified metadata: SignedMetadata) throws(TUFError.Problem) {
        let members = MetadataMembers(metadata.signed, "the root")
        header = try MetadataHeader(members, type: TopLevelRole.root.rawValue)
        consistentSnapshot =
            members.object["consistent_snapshot"] == nil ? false : try members.bool("consistent_snapshot")
        keys = try SigningRole.keys(members.object("keys"))
        let all = MetadataMembers(try members.object("roles"), "\"roles\" of the root")
        var roles: [TopLevelRole: SigningRole] = [:]
        for role in TopLevelRole.allCases {
            roles[role] = try SigningRole(
                MetadataMembers(try all.object(role.rawValue), "the role \"\(role.rawValue)\" of the root"))
        }
        self.roles = roles
    }

    /// A root that is trusted by where it comes from. It must have been signed by its own keys: one that was not could
    /// never have a successor.
    init(trusted bytes: [UInt8]) throws(TUFError.Problem) {
        let metadata = try SignedMetadata(bytes)
        self = try RootMetadata(unverified: metadata)
        try verify(metadata, as: .root)
    }

    /// The next root: signed by a threshold of the keys of this one (step 5.3.4, first half), and of its own.
    func successor(_ bytes: [UInt8]) throws(TUFError) -> RootMetadata {
        let version = header.version + 1
        do throws(TUFError.Problem) {
            let metadata = try SignedMetadata(bytes)
            try metadata.verify(by: try role(.root), of: keys, owner: "root version \(header.version)")
            let root = try RootMetadata(unverified: metadata)
            try metadata.verify(by: try root.role(.root), of: root.keys, owner: "the new root itself")
            // Step 5.3.5: no version is left out.
            guard root.header.version == version else {
                throw .wrongVersion(found: root.header.version, expected: version)
            }
            return root
        } catch {
            if case .wrongVersion = error { throw TUFError(.rootVersion, "root", version: version, error) }
            throw TUFError(.rootSignatures, "root", version: version, error)
        }
    }

    /// Checks that metadata was signed for a top-level role.
    func verify(_ metadata: SignedMetadata, as role: TopLevelRole) throws(TUFError.Problem) {
        try metadata.verify(
            by: try self.role(role), of: keys,
            owner: "the role \(role.rawValue) in root version \(header.version)")
    }

    /// Whether the keys of a role, or its threshold, are others in another root.
    func hasRotated(_ role: TopLevelRole, to other: RootMetadata) -> Bool {
        guard let mine = roles[role], let others = other.roles[role] else { return true }
        return mine.threshold != others.threshold || Set(mine.keyIDs) != Set(others.keyIDs)
            || mine.keys(of: keys) != others.keys(of: other.keys)
    }

    private func role(_ role: TopLevelRole) throws(TUFError.Problem) -> SigningRole {
        guard let found = roles[role] else { throw .malformed("the root has no role \"\(role.rawValue)\"") }
        return found
    }
}

/// The four roles that a root names.
enum TopLevelRole: String, Hashable, Sendable, CaseIterable {
    case root, timestamp, snapshot, targets
}
