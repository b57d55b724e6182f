import Files
import FoundationEssentials
import Quotation
import Sigstore
import Synchronization

/// A trusted root in a file (a mounted ConfigMap or Secret, what `countersign trust fetch` wrote), read again when it
/// changes.
///
/// A file that is missing or cannot be read keeps what it last gave, and the status says so: one that is just being
/// written opens no gap. A trusted root is taken away by another one in its file, or by a configuration that does not
/// name the file.
package final class TrustedRootFile: TrustedRootOrigin {
    package let holder: TrustedRootHolder
    package let isFixed = false
    private let path: String
    private let roots: LoadedRoots
    private let now: @Sendable () -> Date
    /// When it was looked at last. One look at a time, so that no older one is put into force after a newer one.
    private let lastLook = Mutex<ContinuousClock.Instant?>(nil)

    init(_ path: String, roots: LoadedRoots, now: @escaping @Sendable () -> Date) {
        self.path = path
        self.roots = roots
        self.now = now
        holder = TrustedRootHolder(now: now)
    }

    package func look() async { load() }

    package func wait(interval: Duration) -> Duration? {
        guard let last = lastLook.withLock({ $0 }) else { return .zero }
        return max(.zero, last + interval - .now)
    }

    /// Reads the file. It is read each time, and only parsed when its bytes are others: sizes and times of modification
    /// can stay the same when a file changes twice within one tick of the file system.
    package func load() {
        lastLook.withLock { lastLook in
            do {
                let bytes = try FileAccess.read(path, maximumBytes: SigstoreLimits.trustedRootBytes)
                let root = try roots.root(parsing: bytes)
                holder.install(root, TrustedRootHolder.Description(source: "file \(path.quotedPath)", read: now()))
            } catch {
                let problem = error is TrustedRootError ? "\(path.quotedPath): \(error)" : "\(error)"
                let consequence = holder.verifier == nil ? "" : "; what it held before stays in force"
                holder.fail(problem + consequence, isConfiguration: true)
            }
            lastLook = .now
        }
    }
}
