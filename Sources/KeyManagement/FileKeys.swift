import FoundationEssentials
import PKI
import Quotation
import Synchronization

/// Public keys in files (the `file` of a key in Ratify's trust policies for cosign), read again when they change.
///
/// Each file holds one key in PEM. One that is missing or cannot be read keeps the key that it last gave, and the
/// status names it: a file that is just being replaced opens no gap. A key is taken away by another key in its file, or
/// by a configuration that does not name the file.
package final class FileKeys: CertificateProvider {
    package let name: String
    package let type = "files"
    package let offersCertificates = false
    private let paths: [String]
    private let interval: Duration
    private let home: String?
    private let now: @Sendable () -> Date
    private let holder = CertificateHolder()
    /// What each file last gave.
    private let known = Mutex<[String: Content]>([:])

    /// How many bytes a file may have.
    package static let maximumFileBytes = 64 << 10
    /// How many files there may be.
    package static let maximumFiles = 100

    private struct Content {
        let bytes: [UInt8]
        let key: PublicKey
        let read: Date
    }

    /// A provider of some files; nothing is read yet.
    ///
    /// - Parameters:
    ///   - paths: the files. `~/` stands for `home`. A key is called by its path as it stands here.
    ///   - interval: how often ``run()`` looks for changes.
    ///   - now: the time of day, for the status.
    package init(
        name: String, paths: [String], interval: Duration = .seconds(10),
        home: String? = ProcessInfo.processInfo.environment["HOME"], now: @escaping @Sendable () -> Date = { Date() }
    ) throws(KeyManagementError) {
        guard !paths.isEmpty, !paths.contains(where: \.isEmpty) else {
            throw KeyManagementError(.configuration, "the key files of \"\(name)\" have no path, or an empty one")
        }
        guard paths.count <= Self.maximumFiles else {
            throw KeyManagementError(
                .configuration, "there are more than \(Self.maximumFiles) key files of \"\(name)\"")
        }
        self.name = name
        self.paths = paths
        self.interval = interval
        self.now = now
        self.home = home.flatMap { $0.isEmpty ? nil : $0 }
    }

    package func current() -> CertificateSet? { nil }
    package var keys: [TrustedKey] { holder.keys }
    package var status: ProviderStatus { holder.status }
    package var generation: UInt64 { holder.generation }
    package func changes() -> AsyncStream<UInt64> { holder.changes() }

    package func run() async {
        while !Task.isCancelled {
            load()
            do { try await ContinuousClock().sleep(for: interval) } catch { return }
        }
    }

    package func refresh() async { load() }

    /// Reads all files. Small as they are they are read each time: sizes and times of modification can stay the same
    /// when a file changes twice within one tick of the file system.
    package func load() {
        var problems: [String] = []
        // One look at a time, so that no older one is put into force after a newer one.
        known.withLock { known in
            let keys = paths.map { path in
                let last = known[path]
                do throws(KeyManagementError) {
                    let content = try read(path, last: last)
                    known[path] = content
                    return ProviderStatus.PublicKeyProperties(
                        name: path, version: "", key: content.key, lastRefreshed: content.read)
                } catch {
                    problems.append(error.description + (last == nil ? "" : "; the key it held before stays in force"))
                    return ProviderStatus.PublicKeyProperties(
                        name: path, version: "", key: last?.key, problem: last == nil ? "cannot be read" : nil,
                        lastRefreshed: last?.read)
                }
            }
            holder.install(onlyKeys: keys, problems: problems, at: now())
        }
    }

    private func read(_ path: String, last: Content?) throws(KeyManagementError) -> Content {
        var file = path
        if path.hasPrefix("~/"), let home { file = home + path.dropFirst(1) }
        let bytes = try FileTree.content(of: file, maximumBytes: Self.maximumFileBytes)
        if let last, last.bytes == bytes { return Content(bytes: bytes, key: last.key, read: now()) }
        do throws(PKIError) { return Content(bytes: bytes, key: try PublicKey(pem: bytes), read: now()) } catch {
            throw KeyManagementError(
                .unreadable, "\(path.quotedPath) holds no public key that can be read: \(error)")
        }
    }
}
