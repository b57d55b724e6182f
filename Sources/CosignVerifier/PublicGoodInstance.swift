import Sigstore

/// The public good instance, for policies that name no trusted root: one verifier for the whole process, so that all
/// share what it remembers of certificates.
enum PublicGoodInstance {
    static let verifier = Result { () throws(TrustedRootError) in BundleVerifier(root: try TrustedRoot.publicGood()) }
}
