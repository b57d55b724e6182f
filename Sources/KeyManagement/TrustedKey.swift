import FoundationEssentials
import PKI

/// One public key to verify signatures with, and what its provider calls it.
package struct TrustedKey: Hashable, Sendable {
    /// The file's path, or the name in a vault; empty where there is no name.
    package let name: String
    /// The version in a vault; empty where there are no versions.
    package let version: String
    /// The key.
    package let key: PublicKey
    /// When the source last told of it.
    package let lastRefreshed: Date?

    /// A key with its name.
    package init(name: String = "", version: String = "", key: PublicKey, lastRefreshed: Date? = nil) {
        self.name = name
        self.version = version
        self.key = key
        self.lastRefreshed = lastRefreshed
    }

    /// Whether it is the same key under the same name and version, whenever the source told of it: a trust policy may
    /// ask for a name and a version, so that another name is another key.
    func isSame(as other: TrustedKey) -> Bool {
        name == other.name && version == other.version && key == other.key
    }
}
