/// Why trusted certificates are not there.
package struct KeyManagementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    package enum Kind: String, Hashable, Sendable {
        /// The configuration of a provider is wrong.
        case configuration
        /// No provider has the name.
        case missingProvider
        /// The provider has no certificates, and never had any.
        case noCertificates
        /// A file or directory cannot be read.
        case unreadable
    }

    /// What happened.
    package let kind: Kind
    /// What happened, where and what to do, for a person.
    package let description: String

    /// An error with its text.
    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
