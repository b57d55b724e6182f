import FoundationEssentials
import PKI
import Synchronization

/// Certificates in files and directories (Ratify's `verificationCerts`, a mounted ConfigMap or Secret), read again when
/// they change.
///
/// Every file stands for itself. One that cannot be read keeps what it last gave, and the status names it; the others
/// go on. One that is gone from its directory takes its certificates with it. So a file that is just being written
/// opens no gap, and nothing is ever trusted that its source did not say.
package final class FileCertificates: CertificateProvider {
    /// What may be read.
    package struct Limits: Sendable {
        /// How many files.
        package var maximumFiles = 1_000
        /// How many bytes a file may have.
        package var maximumFileBytes = PEM.maximumBytes
        /// How many directories may lie in one another.
        package var maximumDepth = 8

        /// The usual limits.
        package init() {}
    }

    package let name: String
    package let type = "files"
    package let offersCertificates = true
    private let paths: [String]
    private let interval: Duration
    private let limits: Limits
    private let now: @Sendable () -> Date
    private let holder = CertificateHolder()
    /// What each file last gave: its bytes and its certificates.
    private let known = Mutex<[String: Content]>([:])

    private struct Content {
        let bytes: [UInt8]
        let certificates: [Certificate]
        /// What of it is no certificate.
        let problems: [String]
    }

    /// A provider of some files and directories; nothing is read yet.
    ///
    /// - Parameters:
    ///   - paths: files, or directories that are read with the directories in them. `~/` stands for `home`. Names that
    ///     begin with a dot are skipped, which Kubernetes' own names in a mounted volume (`..data`) do.
    ///   - interval: how often ``run()`` looks for changes.
    ///   - now: the time of day, for the status.
    package init(
        name: String, paths: [String], interval: Duration = .seconds(10), limits: Limits = Limits(),
        home: String? = ProcessInfo.processInfo.environment["HOME"], now: @escaping @Sendable () -> Date = { Date() }
    ) throws(KeyManagementError) {
        guard !paths.isEmpty, !paths.contains(where: \.isEmpty) else {
            throw KeyManagementError(
                .configuration, "the certificate files of \"\(name)\" have no path, or an empty one")
        }
        self.name = name
        self.paths = paths.map { path in
            guard path.hasPrefix("~/"), let home, !home.isEmpty else { return path }
            return home + path.dropFirst(1)
        }
        self.interval = interval
        self.limits = limits
        self.now = now
    }

    package func current() -> CertificateSet? { holder.current() }
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

    /// Reads all files. Small as they are they are read each time, and only parsed when their bytes are others: sizes
    /// and times of modification can stay the same when a file changes twice within one tick of the file system.
    package func load() {
        var problems: [String] = []
        var files: [String] = []
        var lost: [String] = []
        for path in paths {
            do { try FileTree.files(at: path, limits: limits, into: &files) } catch {
                problems.append(error.description)
                lost.append(path)
            }
        }
        let offered = known.withLock { known in
            // A path that cannot be listed says nothing about its files: they stay as they were.
            let kept = known.keys.filter { file in lost.contains { file == $0 || file.hasPrefix($0 + "/") } }
            var next: [String: Content] = [:]
            var offered: [TrustedCertificate] = []
            for file in files + kept.sorted() where next[file] == nil {
                guard let content = read(file, last: known[file], problems: &problems) else { continue }
                next[file] = content
                offered += content.certificates.map { TrustedCertificate(name: file, certificate: $0) }
            }
            known = next
            return offered
        }
        holder.install(offered, problems: problems, at: now())
    }

    /// What a file holds, or what it held when that cannot be told now.
    private func read(_ file: String, last: Content?, problems: inout [String]) -> Content? {
        do {
            let bytes = try FileTree.content(of: file, maximumBytes: limits.maximumFileBytes)
            if let last, last.bytes == bytes {
                problems += last.problems
                return last
            }
            let content = try Self.parse(bytes, file)
            problems += content.problems
            return content
        } catch {
            problems.append(error.description + (last == nil ? "" : "; what it held before stays in force"))
            return last
        }
    }

    /// Each certificate of a PEM file stands for itself, too: the others are in force.
    private static func parse(_ content: [UInt8], _ file: String) throws(KeyManagementError) -> Content {
        do {
            guard PEM.isPEM(content) else {
                return Content(bytes: content, certificates: try Certificate.parsePEMOrDER(content), problems: [])
            }
            let (certificates, faults) = try Certificate.parseEachPEM(content)
            return Content(
                bytes: content, certificates: certificates,
                problems: faults.map { "\(file): \($0); its other certificates are in force" })
        } catch {
            throw KeyManagementError(.unreadable, "\(file) holds no certificates that can be read: \(error)")
        }
    }
}
