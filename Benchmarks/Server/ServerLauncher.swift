import Glibc

/// Starts `countersign serve` for a measurement and ends it after it, whatever happens.
struct ServerLauncher: Sendable {
    let countersign: String

    /// Runs a server until the body returns or throws; the body gets it when it is ready, with its port.
    func withServer<Result>(
        _ files: ServingFiles, configuration: String? = nil, _ body: (ServerProcess, Int) async throws -> Result
    ) async throws -> Result {
        let (port, health) = (try ServerLauncher.freePort(), try ServerLauncher.freePort())
        let log = files.directory + "/serve.log"
        let process = try ServerProcess(
            countersign,
            files.arguments(
                port: port, healthPort: health, configuration: configuration ?? files.layoutConfiguration), log: log)
        do {
            _ = try await ServerLauncher.untilReady(process, port: health)
            let result = try await body(process, port)
            await process.stop()
            return result
        } catch {
            await process.stop()
            throw BenchmarkError("\(error)\nThe end of the server's log:\n\(textFile(log).suffix(3000))")
        }
    }

    /// Waits until `/readyz` says 200; gives the time since the start in seconds.
    static func untilReady(_ process: ServerProcess, port: Int) async throws -> Double {
        while ContinuousClock.now - process.started < .seconds(15) {
            if let head = ask("/readyz", port: port), head.hasPrefix("HTTP/1.1 200") {
                return (ContinuousClock.now - process.started).seconds
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw BenchmarkError("the server did not get ready within 15 s")
    }

    /// A port that nobody listens on now.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw BenchmarkError("no socket: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard result == 0 else { throw BenchmarkError("no port: \(String(cString: strerror(errno)))") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Whether somebody accepts connections on a port.
    static func isListening(port: Int) -> Bool {
        guard let descriptor = connected(to: port) else { return false }
        close(descriptor)
        return true
    }

    private static func connected(to port: Int) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = loopback(port: port)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if connected { return descriptor }
        close(descriptor)
        return nil
    }

    /// A GET without TLS over a connection of its own; nil when nobody answers.
    private static func ask(_ path: String, port: Int) -> String? {
        guard let descriptor = connected(to: port) else { return nil }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return nil
        }
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = recv(descriptor, &answer, answer.count, 0)
        return count > 0 ? String(decoding: answer.prefix(count), as: UTF8.self) : nil
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }
}
