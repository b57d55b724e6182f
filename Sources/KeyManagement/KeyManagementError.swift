/// Why trusted certificates or keys are not there.
package struct KeyManagementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    package enum Kind: String, Hashable, Sendable {
        /// The configuration of a provider is wrong.
        case configuration
        /// No provider has the name.
        case missingProvider
        /// The provider has no certificates, and never had any.
        case noCertificates
        /// The provider has no public keys in force.
        case noKeys
        /// The provider has no trusted root of Sigstore, and never had one.
        case noTrustedRoot
        /// A file or directory cannot be read.
        case unreadable
    }

    /// What happened.
    package let kind: Kind
    /// What happened, where and what to do, for a person.
    package let description: String

    /// Whether asking again is of no use before somebody has mended what is configured, or what it names.
    package let isConfiguration: Bool

    /// An error with its text.
    ///
    /// - Parameter isConfiguration: whether it lasts until it is mended; unless told otherwise, all but missing
    ///   certificates, keys and trusted roots do, which may just be on their way.
    package init(_ kind: Kind, _ description: String, isConfiguration: Bool? = nil) {
        self.kind = kind
        self.description = description
        self.isConfiguration = isConfiguration ?? ![.noCertificates, .noKeys, .noTrustedRoot].contains(kind)
    }
}
