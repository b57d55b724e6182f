import FoundationEssentials
import PKI
import Quotation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Trust stores in directories laid out as notation's: `x509/<type>/<name>/*` (trust store and trust policy
/// specification, "Trust Store").
///
/// Every file of a store must be readable and hold certificates only, PEM or DER, that may be trusted; anything else in
/// it, a subdirectory or a symbolic link included, makes the store fail as a whole, as in the reference implementation.
/// What was read is kept until a file changes.
public struct DirectoryTrustStore: TrustStore {
    /// The directory that has `x509` in it.
    public let directory: String
    private let cache = Cache()

    /// How large a file of a store may be.
    public static let maximumFileBytes = 1 << 20
    /// How many files a store may have.
    public static let maximumFiles = 1_000

    /// Stores under a directory, read when they are asked for.
    public init(directory: String) { self.directory = directory }

    /// All certificates of a named store.
    public func certificates(type: TrustStoreType, named name: String) throws(TrustStoreError) -> [Certificate] {
        let store: TrustStoreName
        do { store = try TrustStoreName(type, name) } catch { throw TrustStoreError(error.description) }
        let path = "\(directory)/x509/\(type.rawValue)/\(name)"
        guard let status = FileStatus(path) else {
            throw TrustStoreError("the trust store \(store) does not exist: there is no directory \(path.quotedPath)")
        }
        // "Symlinks are not supported for the named store directories or certificate files."
        guard status.kind == .directory else {
            throw TrustStoreError(
                "the trust store \(store) is not a directory (links are not followed): \(path.quotedPath)")
        }
        let files = try files(in: path, store)
        if let kept = cache.certificates(store, files) { return kept }
        var certificates: [Certificate] = []
        for file in files { certificates += try read(file, store) }
        guard !certificates.isEmpty else {
            throw TrustStoreError("the trust store \(store) has no certificate: \(path.quotedPath) is empty")
        }
        cache.keep(certificates, store, files)
        return certificates
    }

    private func files(in path: String, _ store: TrustStoreName) throws(TrustStoreError) -> [FileStatus] {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
            throw TrustStoreError("the trust store \(store) cannot be read: \(path.quotedPath)")
        }
        guard names.count <= Self.maximumFiles else {
            throw TrustStoreError(
                "the trust store \(store) has more than \(Self.maximumFiles) files: \(path.quotedPath)")
        }
        var files: [FileStatus] = []
        for name in names {
            guard let status = FileStatus("\(path)/\(name)"), status.kind == .file else {
                throw TrustStoreError(
                    "the trust store \(store) has something that is not a regular file (links are not followed): "
                        + "\("\(path)/\(name)".quotedPath); a store holds certificate files only")
            }
            files.append(status)
        }
        return files
    }

    private func read(_ file: FileStatus, _ store: TrustStoreName) throws(TrustStoreError) -> [Certificate] {
        func fault(_ problem: String) -> TrustStoreError {
            TrustStoreError("the trust store \(store) cannot be used: \(file.path.quotedPath): \(problem)")
        }
        guard file.size <= Self.maximumFileBytes else {
            throw fault("it is larger than \(Self.maximumFileBytes) bytes")
        }
        let content: [UInt8]
        do { content = try [UInt8](Data(contentsOf: URL(filePath: file.path))) } catch {
            throw fault("it cannot be read; check its permissions")
        }
        let certificates: [Certificate]
        do { certificates = try Certificate.parsePEMOrDER(content) } catch { throw fault("\(error)") }
        guard !certificates.isEmpty else { throw fault("it has no certificate") }
        for certificate in certificates {
            if let refusal = TrustedCertificateRule.refusal(of: certificate, in: store.type) { throw fault(refusal) }
        }
        return certificates
    }

    /// What has been read, by store, with the files that it was read from.
    private final class Cache: Sendable {
        private let entries = Mutex<[TrustStoreName: (files: [FileStatus], certificates: [Certificate])]>([:])

        func certificates(_ store: TrustStoreName, _ files: [FileStatus]) -> [Certificate]? {
            entries.withLock { entries in
                guard let entry = entries[store], entry.files == files else { return nil }
                return entry.certificates
            }
        }

        func keep(_ certificates: [Certificate], _ store: TrustStoreName, _ files: [FileStatus]) {
            entries.withLock { $0[store] = (files, certificates) }
        }
    }
}

/// What the file system says of a file, without following a link; two that are equal have the same content.
private struct FileStatus: Hashable, Sendable {
    enum Kind: Hashable, Sendable { case file, directory, other }

    let path: String
    let kind: Kind
    let size: Int
    private let inode: UInt64
    private let modified: [Int]

    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        self.path = path
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            default: .other
            }
        size = Int(status.st_size)
        inode = UInt64(status.st_ino)
        modified = [
            Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec), Int(status.st_ctim.tv_sec),
            Int(status.st_ctim.tv_nsec),
        ]
    }
}
