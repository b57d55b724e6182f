import Foundation

/// A real Redis: Debian's `redis-server` as a process of its own on a free port of loopback, which keeps nothing on
/// disk.
package final class RedisServer: Sendable {
    /// How it wants to be talked to.
    package struct Options: Sendable {
        package var password: String?
        /// A user beside the default one, which is switched off then.
        package var user: String?
        /// Certificate chain and key in PEM: TLS only.
        package var tls: (certificateChain: String, key: String)?
        /// The port; 0 chooses a free one.
        package var port = 0

        package init() {}
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    package static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server") }

    package let port: Int
    private let directory: TemporaryDirectory
    private let process: Process

    /// Starts a server and waits until it answers.
    package init(_ options: Options = Options()) async throws {
        directory = try TemporaryDirectory()
        for _ in 1...5 {
            let port = options.port > 0 ? options.port : try LoopbackPort.free()
            var settings = """
                bind 127.0.0.1
                save ""
                appendonly no
                daemonize no
                dir \(directory.path)
                logfile \(directory.path("log"))

                """
            if let tls = options.tls {
                directory.write(tls.certificateChain, to: "tls.crt")
                directory.write(tls.key, to: "tls.key")
                settings += """
                    port 0
                    tls-port \(port)
                    tls-cert-file \(directory.path("tls.crt"))
                    tls-key-file \(directory.path("tls.key"))
                    tls-auth-clients no
                    tls-ca-cert-dir /etc/ssl/certs

                    """
            } else {
                settings += "port \(port)\n"
            }
            if let user = options.user {
                settings += "user default off\nuser \(user) on >\(options.password ?? "") ~* &* +@all\n"
            } else if let password = options.password {
                settings += "requirepass \(password)\n"
            }
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/redis-server")
            process.arguments = [directory.write(settings, to: "redis.conf")]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            for _ in 1...400 where process.isRunning {
                if LoopbackPort.answers(port) {
                    self.process = process
                    self.port = port
                    return
                }
                try await Task.sleep(for: .milliseconds(25))
            }
            process.terminate()
        }
        let log = (try? String(contentsOfFile: directory.path("log"), encoding: .utf8)) ?? ""
        directory.remove()
        throw Failure(description: "redis-server does not start: \(log.suffix(500))")
    }

    /// Stops it dead, its connections with it. SIGKILL: children of the tests have SIGTERM blocked.
    package func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Stops answering, connections open.
    package func freeze() { Foundation.kill(process.processIdentifier, SIGSTOP) }

    package func thaw() { Foundation.kill(process.processIdentifier, SIGCONT) }

    package func stop() {
        if process.isRunning {
            thaw()
            kill()
        }
        directory.remove()
    }

    deinit { stop() }
}

/// Ports of loopback.
package enum LoopbackPort {
    private static func withSocket<Value>(_ port: Int, _ body: (Int32, inout sockaddr_in) -> Value) -> Value {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = UInt16(port).bigEndian
        return body(descriptor, &address)
    }

    /// One that nobody has just now.
    package static func free() throws -> Int {
        let port = withSocket(0) { descriptor, address -> Int in
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            return withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            } ? Int(UInt16(bigEndian: address.sin_port)) : 0
        }
        guard port > 0 else { throw RedisServer.Failure(description: "there is no free port") }
        return port
    }

    static func answers(_ port: Int) -> Bool {
        withSocket(port) { descriptor, address in
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
    }
}
