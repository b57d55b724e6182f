import NIOCore
import NIOSSL

/// Which files hold what the server proves itself with, and whom it lets in.
package struct ServingCertificateFiles: Sendable, Hashable {
    /// The certificate chain in PEM, leaf first: `tls.crt`.
    package let certificate: String
    /// The private key in PEM: `tls.key`.
    package let key: String
    /// Certificates in PEM that client certificates must chain to; empty asks for no client certificate.
    package let clientAuthorities: [String]

    /// The files of a directory as Kubernetes mounts a TLS secret, and those of the client authorities.
    package init(directory: String, clientAuthorities: [String] = []) {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        self.certificate = prefix + "tls.crt"
        self.key = prefix + "tls.key"
        self.clientAuthorities = clientAuthorities
    }

    var all: [String] { [certificate, key] + clientAuthorities }
}

/// Why the files do not make a server: what is wrong with which, and what to do.
package struct ServingCertificateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The whole text.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Certificate, key and client authorities, read together and found to fit each other.
struct ServingCertificate: Sendable {
    /// What new connections are made with.
    let context: NIOSSLContext
    /// The same for clients that may prove themselves in another way: one that has a certificate must have a good one.
    let contextWithOptionalClient: NIOSSLContext
    /// The files as they were when they were read, in the order of ``ServingCertificateFiles/all``.
    let stamps: [FileStamp?]
    /// The end of the leaf's validity, in seconds since 1970.
    let expiry: Int
    /// The leaf's serial number in hexadecimal.
    let serialNumber: String
    /// The earliest end of validity among the client authorities.
    let clientAuthorityExpiry: Int?

    /// Reads the files now.
    ///
    /// - Throws: ``ServingCertificateError`` when one is missing, half-written or does not fit the others.
    init(files: ServingCertificateFiles) throws(ServingCertificateError) {
        let certificateFile = try WatchedFile(path: files.certificate)
        let keyFile = try WatchedFile(path: files.key)
        let chain = try ServingCertificate.certificates(certificateFile)
        guard let leaf = chain.first else { throw ServingCertificate.noCertificate(certificateFile) }
        let key = try ServingCertificate.privateKey(keyFile)

        var authorities: [NIOSSLCertificate] = []
        var stamps = [certificateFile.stamp, keyFile.stamp]
        for path in files.clientAuthorities {
            let file = try WatchedFile(path: path)
            let found = try ServingCertificate.certificates(file)
            // An empty set must not become the system's trusted roots, or nobody's.
            guard !found.isEmpty else { throw ServingCertificate.noCertificate(file) }
            authorities += found
            stamps.append(file.stamp)
        }

        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv13
        // A client that does not answer the end of a connection is not waited for long.
        configuration.shutdownTimeout = .seconds(1)
        if !authorities.isEmpty {
            // Full verification of the chain, and no connection without a certificate; a client has no host name.
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(authorities)
        }
        do {
            context = try NIOSSLContext(configuration: configuration)
            if !authorities.isEmpty { configuration.certificateVerification = .optionalVerification }
            contextWithOptionalClient = try NIOSSLContext(configuration: configuration)
        } catch {
            throw ServingCertificateError(
                "\(files.key) and \(files.certificate) cannot be used together: the key is not the certificate's"
                    + " (\(error)); write both, they are read again at once")
        }
        self.stamps = stamps
        expiry = Int(leaf.notValidAfter)
        serialNumber = leaf.serialNumber.map { byte in
            String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
        }.joined()
        clientAuthorityExpiry = authorities.map { Int($0.notValidAfter) }.min()
    }

    private static func certificates(_ file: WatchedFile) throws(ServingCertificateError) -> [NIOSSLCertificate] {
        do { return try NIOSSLCertificate.fromPEMBytes(file.bytes) } catch {
            throw ServingCertificateError("\(file.path) does not hold whole certificates in PEM")
        }
    }

    private static func privateKey(_ file: WatchedFile) throws(ServingCertificateError) -> NIOSSLPrivateKey {
        // The cause is left out: whatever the library says about a key's content does not belong in a log.
        do { return try NIOSSLPrivateKey(bytes: file.bytes, format: .pem) } catch {
            throw ServingCertificateError("\(file.path) does not hold a whole, unencrypted private key in PEM")
        }
    }

    private static func noCertificate(_ file: WatchedFile) -> ServingCertificateError {
        ServingCertificateError("\(file.path) holds no certificate")
    }
}
