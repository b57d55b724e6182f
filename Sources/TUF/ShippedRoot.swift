/// The roots that are compiled in: where trust in Sigstore's instances begins. Each is a root of the instance's
/// repository as it was published; newer ones come by the chain, so that their expiry does not matter.
package enum ShippedRoot: String, Hashable, Sendable, CaseIterable {
    /// Sigstore's own instance, for anybody.
    case publicGood = "public-good"
    /// GitHub's, for attestations of private repositories.
    case github

    /// The root, as it was published.
    package var bytes: [UInt8] {
        switch self {
        case .publicGood: PackageResources.sigstore_dev_root_json
        case .github: PackageResources.github_root_json
        }
    }

    /// Where the repository is.
    package var url: String {
        switch self {
        case .publicGood: "https://tuf-repo-cdn.sigstore.dev"
        case .github: "https://tuf-repo.github.com"
        }
    }
}
