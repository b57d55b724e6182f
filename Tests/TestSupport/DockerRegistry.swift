import Foundation

/// A real registry: Debian's `docker-registry` as a process of its own on a free port of loopback, its content in a
/// directory that goes away with it. Version 2.8 has no Referrers API.
package final class DockerRegistry: Sendable {
    /// How it wants to be asked.
    package enum Authentication: Sendable {
        case none
        case basic(user: String, password: String)
        /// Tokens from an endpoint, which it believes by this certificate (PEM).
        case token(realm: String, service: String, issuer: String, certificate: String)
    }

    /// Why it does not run.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// `127.0.0.1:port`
    package let host: String
    private let directory: TemporaryDirectory
    private let process: Process

    /// Whether the program is installed.
    package static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/docker-registry") }

    /// Starts a registry and waits until it answers.
    package init(_ authentication: Authentication = .none) async throws {
        directory = try TemporaryDirectory()
        var settings = ""
        switch authentication {
        case .none: break
        case .basic(let user, let password):
            let file = directory.path("htpasswd")
            try Self.run("/usr/bin/htpasswd", ["-Bbc", file, user, password])
            settings = "auth:\n  htpasswd:\n    realm: test\n    path: \(file)\n"
        case .token(let realm, let service, let issuer, let certificate):
            let file = directory.write(certificate, to: "issuer.pem")
            settings = """
                auth:
                  token:
                    realm: \(realm)
                    service: \(service)
                    issuer: \(issuer)
                    rootcertbundle: \(file)

                """
        }
        // Another process may take the port between looking and starting: then the next one is tried.
        for _ in 1...5 {
            let port = try Self.freePort()
            let config = directory.write(
                """
                version: 0.1
                log:
                  level: error
                storage:
                  filesystem:
                    rootdirectory: \(directory.path("data"))
                  delete:
                    enabled: true
                http:
                  addr: 127.0.0.1:\(port)
                  secret: test
                \(settings)
                """, to: "config.yml")
            let log = directory.write([], to: "log")
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/docker-registry")
            process.arguments = ["serve", config]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = try FileHandle(forWritingTo: URL(filePath: log))
            try process.run()
            for _ in 1...400 where process.isRunning {
                if Self.answers(port) {
                    self.process = process
                    host = "127.0.0.1:\(port)"
                    return
                }
                try await Task.sleep(for: .milliseconds(25))
            }
            process.terminate()
        }
        let log = (try? String(contentsOfFile: directory.path("log"), encoding: .utf8)) ?? ""
        directory.remove()
        throw Failure(description: "docker-registry does not start: \(log.suffix(500))")
    }

    /// Ends the process and removes what it kept.
    package func stop() {
        if process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        directory.remove()
    }

    deinit { stop() }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "\(program) failed") }
    }

    private static func withSocket<Value>(_ port: UInt16, _ body: (Int32, inout sockaddr_in) -> Value) -> Value {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = port.bigEndian
        return body(descriptor, &address)
    }

    private static func freePort() throws -> UInt16 {
        let port = withSocket(0) { descriptor, address -> UInt16 in
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            return withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            } ? UInt16(bigEndian: address.sin_port) : 0
        }
        guard port > 0 else { throw Failure(description: "there is no free port") }
        return port
    }

    private static func answers(_ port: UInt16) -> Bool {
        withSocket(port) { descriptor, address in
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
    }
}
