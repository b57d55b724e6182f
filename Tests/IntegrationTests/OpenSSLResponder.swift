import Foundation
import PKI
import Synchronization
import TestSupport

/// `openssl ocsp` as a responder that is up or down. Its port stays the same.
final class OpenSSLResponder: Sendable {
    /// What certificates name.
    let url: String
    private let port: Int
    private let directory: TemporaryDirectory
    private let process = Mutex<Process?>(nil)

    /// A responder that is down, and knows nobody.
    init(_ authority: CertificateAuthority) throws {
        // Below the ports that the system gives to others.
        port = Int.random(in: 20_000..<32_000)
        url = "http://127.0.0.1:\(port)"
        directory = try TemporaryDirectory()
        directory.write(authority.certificate.pem, to: "root.pem")
        directory.write(try authority.identity.keyPEM, to: "root.key")
    }

    /// Says which certificates are good, and which are revoked; known to it at its next start.
    func list(good: [Certificate], revoked: [Certificate]) {
        func line(_ certificate: Certificate, _ state: String, _ date: String) -> String {
            "\(state)\t491231235959Z\t\(date)\t\(certificate.serialNumberHex.uppercased())\tunknown\t/CN=leaf\n"
        }
        let lines =
            good.map { line($0, "V", "") } + revoked.map { line($0, "R", "260102030405Z,keyCompromise") }
        directory.write(lines.joined(), to: "index.txt")
    }

    var isUp: Bool { process.withLock { $0?.isRunning == true } }

    /// Brings it up, and waits until it listens.
    func start() async throws {
        stop()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "ocsp", "-port", "\(port)", "-index", "index.txt", "-CA", "root.pem", "-rsigner", "root.pem",
            "-rkey", "root.key", "-nmin", "10", "-ignore_err",
        ]
        process.currentDirectoryURL = URL(filePath: directory.path)
        let log = URL(filePath: directory.write([], to: "log"))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: log)
        process.standardError = process.standardOutput
        try process.run()
        self.process.withLock { $0 = process }
        _ = try await eventually {
            try !process.isRunning || String(contentsOf: log, encoding: .utf8).contains("waiting for OCSP")
        }
    }

    /// Takes it down in the middle of whatever it does.
    func stop() {
        guard let process = process.withLock({ $0.take() }) else { return }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    deinit {
        stop()
        directory.remove()
    }
}
