import Foundation
import TestSupport

/// `openssl s_server`, or `nghttpd` for HTTP/2, with a certificate of an authority of its own, both made by the openssl
/// command.
///
/// Unchecked, but safe: its properties are set once, and its process is used by one thread at a time.
final class TLSServer: @unchecked Sendable {
    let directory: String
    let port: Int
    private let process: Process

    /// The authority's certificate as PEM.
    var authorityFile: String { directory + "/authority.pem" }
    /// The server's own certificate as PEM.
    var certificateFile: String { directory + "/server.crt" }
    var url: String { "https://127.0.0.1:\(port)/" }

    /// Starts a server. Its processes are waited for on a thread of their own: waiting on one of the few threads that
    /// run tasks would stop every other test.
    static func start(
        names: String = "IP:127.0.0.1", authority: String = "authority \(UUID())", options: [String] = [],
        http2Files: [String: Int]? = nil
    ) async throws -> TLSServer {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try TLSServer(names: names, authority: authority, options: options, http2Files: http2Files)
                    })
            }
        }
    }

    /// - Parameter http2Files: what `nghttpd` serves: files of zeros, with their sizes; without it it is `openssl
    ///   s_server`.
    private init(names: String, authority: String, options: [String], http2Files: [String: Int]?) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "countersign-tls-\(UUID())")
        directory = folder.path
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        try TLSServer.openssl(
            ["req", "-x509"] + key + [
                "-subj", "/CN=\(authority)", "-keyout", "authority.key", "-out", "authority.pem",
                "-addext", "basicConstraints=critical,CA:TRUE",
            ], in: folder)
        try TLSServer.openssl(
            ["req", "-x509"] + key + [
                "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.crt", "-CA", "authority.pem",
                "-CAkey", "authority.key", "-addext", "subjectAltName=\(names)",
                "-addext", "basicConstraints=critical,CA:FALSE",
            ], in: folder)
        process = Process()
        process.currentDirectoryURL = folder
        if let http2Files {
            for (name, size) in http2Files { try Data(count: size).write(to: folder.appending(path: name)) }
            port = try LoopbackPort.free()
            process.executableURL = URL(filePath: "/usr/sbin/nghttpd")
            process.arguments = ["-a", "127.0.0.1", "-d", folder.path, "\(port)", "server.key", "server.crt"] + options
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            return
        }
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            ["openssl", "s_server", "-www", "-accept", "127.0.0.1:0", "-cert", "server.crt", "-key", "server.key"]
            + options
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        // It prints "ACCEPT 127.0.0.1:PORT" when it listens.
        var text = ""
        var found: Int?
        while found == nil {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw CocoaError(.fileReadUnknown) }
            text += String(decoding: data, as: UTF8.self)
            for line in text.split(separator: "\n").dropLast(text.hasSuffix("\n") ? 0 : 1)
            where line.hasPrefix("ACCEPT") {
                found = line.split(separator: ":").last.flatMap { Int($0) }
            }
        }
        port = found ?? 0
    }

    func stop() {
        // Not terminate(): a child started from a thread of Dispatch inherits its blocked signals, SIGTERM included.
        kill(process.processIdentifier, SIGKILL)
        try? FileManager.default.removeItem(atPath: directory)
    }

    private static func openssl(_ arguments: [String], in folder: URL) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = folder
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
