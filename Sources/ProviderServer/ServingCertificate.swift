import Encoding
import NIOCore
import NIOSSL
import OCI

/// What the server proves itself with, and whom it lets in: files, or what the program holds.
package struct ServingCertificateFiles: Sendable, Hashable {
    /// The certificate chain in PEM, leaf first: `tls.crt`.
    package let certificate: PEMSource
    /// The private key in PEM: `tls.key`.
    package let key: PEMSource
    /// Certificates in PEM that client certificates must chain to; empty asks for no client certificate.
    package var clientAuthorities: [PEMSource]

    /// The files of a directory as Kubernetes mounts a TLS secret, and those of the client authorities.
    package init(directory: String, clientAuthorities: [String] = []) {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        self.certificate = .file(prefix + "tls.crt")
        self.key = .file(prefix + "tls.key")
        self.clientAuthorities = clientAuthorities.map { .file($0) }
    }

    /// Certificate and key in one text.
    package init(held: HeldPEM, clientAuthorities: [PEMSource]) {
        certificate = .held(held)
        key = .held(held)
        self.clientAuthorities = clientAuthorities
    }

    /// Whether something is not there yet that another part of the program is to bring.
    var isAwaited: Bool {
        all.contains { source in
            if case .held(let held) = source { held.content == nil } else { false }
        }
    }

    var all: [PEMSource] { [certificate, key] + clientAuthorities }
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
    let stamps: [PEMStamp?]
    /// What certificate and key are, and what the client authorities are: the same files written again are no change.
    let content: (own: [Digest], clientAuthorities: [Digest])
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
        let certificateFile = try PEMText(files.certificate)
        // Of one text both are read at once: they belong together.
        let keyFile = files.key == files.certificate ? certificateFile : try PEMText(files.key)
        let chain = try ServingCertificate.certificates(certificateFile)
        guard let leaf = chain.first else { throw ServingCertificate.noCertificate(certificateFile) }
        let key = try ServingCertificate.privateKey(keyFile)

        var authorities: [NIOSSLCertificate] = []
        var stamps = [certificateFile.stamp, keyFile.stamp]
        var authorityDigests: [Digest] = []
        for source in files.clientAuthorities {
            let file = try PEMText(source)
            let found = try ServingCertificate.certificates(file)
            // An empty set must not become the system's trusted roots, or nobody's.
            guard !found.isEmpty else { throw ServingCertificate.noCertificate(file) }
            authorities += found
            stamps.append(file.stamp)
            authorityDigests.append(Digest(of: file.bytes))
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
        content = ([Digest(of: certificateFile.bytes), Digest(of: keyFile.bytes)], authorityDigests)
        expiry = Int(leaf.notValidAfter)
        serialNumber = Hex.text(leaf.serialNumber)
        clientAuthorityExpiry = authorities.map { Int($0.notValidAfter) }.min()
    }

    private static func certificates(_ file: PEMText) throws(ServingCertificateError) -> [NIOSSLCertificate] {
        do { return try NIOSSLCertificate.fromPEMBytes(file.bytes) } catch {
            throw ServingCertificateError("\(file.source) does not hold whole certificates in PEM")
        }
    }

    private static func privateKey(_ file: PEMText) throws(ServingCertificateError) -> NIOSSLPrivateKey {
        // The cause is left out: whatever the library says about a key's content does not belong in a log.
        do { return try NIOSSLPrivateKey(bytes: file.bytes, format: .pem) } catch {
            throw ServingCertificateError("\(file.source) does not hold a whole, unencrypted private key in PEM")
        }
    }

    private static func noCertificate(_ file: PEMText) -> ServingCertificateError {
        ServingCertificateError("\(file.source) holds no certificate")
    }
}
