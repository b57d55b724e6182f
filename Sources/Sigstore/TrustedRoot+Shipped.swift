extension TrustedRoot {
    /// The trusted root of Sigstore's public good instance as it was published when this version was made: for who has
    /// no newer one. Logs and authorities that began later are not in it, and what ended later goes on in it.
    public static func publicGood() throws(TrustedRootError) -> TrustedRoot {
        try TrustedRoot(parsing: PackageResources.sigstore_dev_trusted_root_json)
    }
}
