import Quotation
import StrictJSON

/// Metadata of a role of targets, the top-level one or a delegated one (specification, section 4.5).
struct TargetsMetadata: Sendable {
    let header: MetadataHeader
    /// The roles that some targets are left to, in their order.
    let delegations: [Delegation]
    private let targets: [String: Target]
    private let keys: [String: RepositoryKey]

    private struct Target {
        let name: String
        let content: ExpectedContent
    }

    init(_ metadata: SignedMetadata) throws(TUFError.Problem) {
        let members = MetadataMembers(metadata.signed, "the targets")
        header = try MetadataHeader(members, type: TopLevelRole.targets.rawValue)
        var targets: [String: Target] = [:]
        for (name, value) in try members.object("targets").members {
            let target = try MetadataMembers(value, "the target \"\(name.quoted)\"")
            targets[name] = Target(name: name, content: try ExpectedContent(target, isRequired: true))
        }
        self.targets = targets
        guard members.object["delegations"] != nil else {
            keys = [:]
            delegations = []
            return
        }
        let delegations = MetadataMembers(try members.object("delegations"), "\"delegations\" of the targets")
        keys = try SigningRole.keys(delegations.object("keys"))
        // Hash bins in short form (TAP 15) are no part of the specification.
        guard delegations.object["succinct_roles"] == nil else {
            throw delegations.fault("succinct_roles", "is not supported; write the bins out as roles")
        }
        var names: Set<String> = []
        var roles: [Delegation] = []
        for value in try delegations.array("roles") {
            let role = try Delegation(MetadataMembers(value, "a delegated role"))
            guard names.insert(role.name).inserted else {
                throw .malformed("the role \"\(role.name.quoted)\" is delegated twice")
            }
            roles.append(role)
        }
        self.delegations = roles
    }

    /// What it says of a target. Swift holds some texts for equal that have different bytes; names of files are bytes.
    func target(_ path: String) -> ExpectedContent? {
        guard let target = targets[path], target.name.utf8.elementsEqual(path.utf8) else { return nil }
        return target.content
    }

    /// Checks that metadata was signed for a role that this one delegates to.
    func verify(_ metadata: SignedMetadata, as delegation: Delegation, owner: String) throws(TUFError.Problem) {
        try metadata.verify(
            by: delegation.signing, of: keys,
            owner: "the role \(delegation.name.quoted), which \(owner.quoted) delegates to")
    }
}
