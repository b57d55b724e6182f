#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How many files the process may have open; connections are files.
enum OpenFiles {
    /// What the process has open besides the connections of clients: those to registries and vaults, watched files, its
    /// own.
    static let ownUse = 128
    /// More is of no use, and some systems have no end.
    private static let most: rlim_t = 1 << 20

    /// Raises the limit to what the system allows without asking anybody, as servers do: many shells and container
    /// engines give 1024, and allow far more.
    ///
    /// - Returns: how many files may be open.
    static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        let wanted = min(limit.rlim_max, most)
        if limit.rlim_cur < wanted {
            var raised = limit
            raised.rlim_cur = wanted
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return Int(min(limit.rlim_cur, most))
    }
}
