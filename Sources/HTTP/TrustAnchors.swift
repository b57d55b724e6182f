import CCurl
import FoundationEssentials
import Quotation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Which files hold the authorities to trust.
///
/// The system's store is the first bundle file of a list of well-known places, or else the first directory.
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` (colon-separated) replace it, both places at once: OpenSSL would keep the
/// default directory beside a given file, which makes it impossible to trust less than the system does. The
/// configured extra bundle is trusted beside whichever of these is in force.
struct TrustSources: Sendable {
    private static let bundleFiles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    ]
    private static let directories = ["/etc/ssl/certs", "/etc/pki/tls/certs"]

    /// Files that must be readable and hold at least one certificate.
    private var files: [String] = []
    /// Directories whose readable certificate files count; others in them do not matter.
    private var folders: [String] = []
    /// Certificates that come from no file.
    private let authorities: [UInt8]
    private let clientCertificate: ClientCertificate?

    init(configuration: HTTPClientConfiguration) {
        authorities = configuration.extraAuthorities
        clientCertificate = configuration.clientCertificate
        let environment = configuration.environment
        let file = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        let directory = environment["SSL_CERT_DIR"].flatMap { $0.isEmpty ? nil : $0 }
        if configuration.trustsSystemStore {
            if file != nil || directory != nil {
                if let file { files.append(file) }
                if let directory { folders = directory.split(separator: ":").map(String.init) }
            } else if let bundle = Self.bundleFiles.first(where: { access($0, R_OK) == 0 }) {
                files.append(bundle)
            } else if let folder = Self.directories.first(where: { access($0, R_OK) == 0 }) {
                folders.append(folder)
            }
        }
        if let bundle = configuration.extraCABundle { files.append(bundle) }
    }

    /// What tells whether any of the files has changed: a path with its file's identity, size and time. Symbolic
    /// links are followed, since Kubernetes replaces the link behind a mounted file.
    func stamp() -> [String] {
        var paths = files + folders.flatMap(Self.contents)
        for case .file(let path)? in [clientCertificate?.certificates, clientCertificate?.key] { paths.append(path) }
        return paths.map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return "\(path) -" }
            let time = status.st_mtim
            return "\(path) \(status.st_dev) \(status.st_ino) \(status.st_size) \(time.tv_sec) \(time.tv_nsec)"
        }
    }

    /// Looks over all certificates.
    func load() throws(HTTPError) -> TrustAnchors {
        let anchors = try TrustAnchors()
        var seen: Set<FileIdentity> = []
        for path in files {
            if let identity = FileIdentity(path) { seen.insert(identity) }
            let text: [UInt8]
            do { text = [UInt8](try Data(contentsOf: URL(filePath: path))) } catch {
                throw .configuration("the CA bundle \(path.quotedPath) cannot be read")
            }
            guard let count = anchors.add(pem: text), count > 0 else {
                throw .configuration(
                    "the CA bundle \(path.quotedPath) is not a file of PEM certificates"
                        + "; expected blocks that begin with -----BEGIN CERTIFICATE-----")
            }
        }
        if !authorities.isEmpty {
            guard let count = anchors.add(pem: authorities), count > 0 else {
                throw .configuration("the given certificate authorities are not PEM certificates")
            }
        }
        for path in folders.flatMap(Self.contents) {
            // A directory of certificates has each under two names, and often the bundle besides.
            guard let identity = FileIdentity(path), seen.insert(identity).inserted else { continue }
            if let text = try? Data(contentsOf: URL(filePath: path)) { _ = anchors.add(pem: [UInt8](text)) }
        }
        return anchors
    }

    /// Reads the client's certificate and key; `nil` when there is none.
    func identity() throws(HTTPError) -> ClientIdentity? {
        guard let clientCertificate else { return nil }
        func read(_ source: ClientCertificate.Source, _ what: String) throws(HTTPError) -> [UInt8] {
            switch source {
            case .bytes(let bytes): return bytes
            case .file(let path):
                guard let text = try? Data(contentsOf: URL(filePath: path)) else {
                    throw .configuration("the \(what) \(path.quotedPath) cannot be read")
                }
                return [UInt8](text)
            }
        }
        return ClientIdentity(
            certificates: try read(clientCertificate.certificates, "client certificate"),
            key: try read(clientCertificate.key, "client certificate's key"))
    }

    private static func contents(of folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { "\(folder)/\($0)" }
    }
}

/// Which file a path leads to.
private struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64

    /// `nil` when it leads nowhere.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}

/// A client's certificate and key as PEM.
struct ClientIdentity: Sendable {
    let certificates: [UInt8]
    let key: [UInt8]
}

/// The authorities in force, read once and shared by every connection.
///
/// libcurl would take a file name (and then parse the roughly 140 certificates of a system bundle again for
/// connections it cannot share the result with) or the bundle as one memory block (parsed for every connection,
/// about 15 ms each). One OpenSSL store, put into each connection's context, holds any number of sources, and is
/// replaced as a whole when they change. Certificates are decoded when a server's chain leads to them (`Trust.c`).
///
/// `@unchecked Sendable`: the pointer is filled before `load()` returns it and only read afterwards, but for OpenSSL's
/// store, which has a lock and a reference count of its own. It is freed in `deinit`, when no one else has it.
final class TrustAnchors: @unchecked Sendable {
    let pointer: OpaquePointer

    fileprivate init() throws(HTTPError) {
        guard let pointer = ccurl_trust_new() else {
            throw .configuration("there is no memory for a certificate store")
        }
        self.pointer = pointer
    }

    deinit { ccurl_trust_free(pointer) }

    /// How many different certificates there are.
    var count: Int { Int(ccurl_trust_count(pointer)) }

    /// Adds the certificates of a PEM text and says how many; `nil` when one of them is no certificate.
    fileprivate func add(pem: [UInt8]) -> Int? {
        let added = pem.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { ccurl_trust_add_pem(pointer, $0, buffer.count) } ?? 0
        }
        return added >= 0 ? Int(added) : nil
    }
}

extension HTTPError {
    /// The client cannot be set up.
    static func configuration(_ detail: String) -> HTTPError {
        HTTPError(kind: .configuration, host: "", method: .get, attempts: 0, detail: detail)
    }
}
