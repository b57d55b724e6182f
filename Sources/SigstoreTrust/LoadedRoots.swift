import Crypto
import Sigstore
import Synchronization

/// A trusted root that was read, with the one verifier for it.
final class LoadedRoot: Sendable {
    /// The SHA-256 of what it was read from.
    let sha256: [UInt8]
    /// Verifies by it.
    let verifier: BundleVerifier

    fileprivate init(sha256: [UInt8], root: TrustedRoot) {
        self.sha256 = sha256
        verifier = BundleVerifier(root: root)
    }
}

/// The trusted roots that are in use, held weakly: all who have the same root share one verifier, and what it remembers
/// of certificates.
final class LoadedRoots: Sendable {
    private struct Entry {
        weak var root: LoadedRoot?
    }

    private let entries = Mutex<[[UInt8]: Entry]>([:])

    /// The trusted root in some bytes, which are read unless somebody uses the same.
    func root<Fault: Error>(
        of bytes: [UInt8], reading read: () throws(Fault) -> TrustedRoot
    ) throws(Fault) -> LoadedRoot {
        let sha256 = Array(SHA256.hash(data: bytes))
        if let known = entries.withLock({ $0[sha256]?.root }) { return known }
        let root = LoadedRoot(sha256: sha256, root: try read())
        return entries.withLock { entries in
            if let known = entries[sha256]?.root { return known }
            entries = entries.filter { $0.value.root != nil }
            entries[sha256] = Entry(root: root)
            return root
        }
    }

    /// The trusted root in JSON.
    func root(parsing bytes: [UInt8]) throws(TrustedRootError) -> LoadedRoot {
        try root(of: bytes) { () throws(TrustedRootError) in try TrustedRoot(parsing: bytes) }
    }
}
