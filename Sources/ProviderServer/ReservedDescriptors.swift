import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// File descriptors that are reserved for the health and metrics listeners. When the process has as many files open as
/// it may, probes must still be answered, or the pod would be restarted.
final class ReservedDescriptors: Sendable {
    private let count: Int
    private let descriptors = Mutex<[Int32]>([])

    init(count: Int) {
        self.count = count
        refill()
    }

    /// Gives one up, for whatever is opened next.
    ///
    /// - Returns: whether there was one.
    func release() -> Bool {
        guard let descriptor = descriptors.withLock({ $0.popLast() }) else { return false }
        close(descriptor)
        return true
    }

    /// Opens again what was given up, as far as that is possible now.
    func refill() {
        descriptors.withLock { descriptors in
            while descriptors.count < count {
                // Any file will do; the root directory always exists.
                let descriptor = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                guard descriptor >= 0 else { return }
                descriptors.append(descriptor)
            }
        }
    }

    deinit {
        for descriptor in descriptors.withLock({ $0 }) { close(descriptor) }
    }
}
