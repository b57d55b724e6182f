extension TrustedRoot {
    /// The trusted root of Sigstore's public good instance as it was published when this version was made, for callers
    /// that have no newer one. It lacks logs and authorities that were added later, and still trusts those that ended
    /// later.
    public static func publicGood() throws(TrustedRootError) -> TrustedRoot {
        try TrustedRoot(parsing: publicGoodJSON)
    }

    /// ``publicGood()`` in JSON, as it was published.
    package static var publicGoodJSON: [UInt8] { PackageResources.sigstore_dev_trusted_root_json }
}
