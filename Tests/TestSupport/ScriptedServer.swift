import Foundation
import Synchronization

/// An HTTP/1.1 server on loopback that does exactly what a test's script says, down to the byte and the reset: raw
/// sockets and one thread per connection, so that nothing repairs what a test breaks.
package final class ScriptedServer: Sendable {
    /// A request as it arrived.
    package struct Request: Sendable {
        /// The number of the connection it came on, from 0.
        package let connection: Int
        package let method: String
        /// As in the request line: a path, for a proxy a URL or `host:port`.
        package let target: String
        package let headers: [(name: String, value: String)]
        package let body: [UInt8]

        /// The first header of this name, without regard to case.
        package func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    /// One thing to do in answer to a request.
    package enum Step: Sendable {
        /// A whole answer with its `Content-Length`.
        case reply(Int, headers: [(String, String)] = [], body: String = "")
        /// A whole answer with any bytes in it.
        case content(Int, type: String, [UInt8])
        /// These bytes as they are.
        case bytes(String)
        /// Zeros, so many.
        case zeros(Int)
        /// Nothing for a while.
        case wait(Duration)
        /// An orderly end of the connection.
        case close
        /// A reset of the connection.
        case reset
    }

    private struct State {
        var requests: [Request] = []
        var connections = 0
        var open: Set<Int32> = []
        var isStopped = false
    }

    /// The port the system chose.
    package let port: Int
    private let host: String
    private let listener: Int32
    private let script: @Sendable (Request) -> [Step]
    private let state = Mutex(State())

    /// Starts a server that answers every request with what the script returns.
    ///
    /// - Parameter host: its address, of this machine.
    package init(host: String = "127.0.0.1", _ script: @escaping @Sendable (Request) -> [Step]) throws {
        self.script = script
        self.host = host
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr(host)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 512) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in acceptConnections() }
    }

    /// A server whose answers come from a list, one for each request in order; the last one repeats.
    package convenience init(answers: [[Step]]) throws {
        let next = Mutex(0)
        try self.init { _ in
            next.withLock { index in
                defer { index += 1 }
                return answers[min(index, answers.count - 1)]
            }
        }
    }

    /// `http://127.0.0.1:port`
    package var url: String { "http://\(host):\(port)" }

    /// Every request so far, in the order in which they were complete.
    package var requests: [Request] { state.withLock { $0.requests } }

    /// How many connections were accepted so far.
    package var connections: Int { state.withLock { $0.connections } }

    /// How many connections are open now.
    package var openConnections: Int { state.withLock { $0.open.count } }

    /// Accepts nothing more and breaks every connection.
    package func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            // The threads see the end of their sockets, and close them themselves.
            shutdown(listener, Int32(SHUT_RDWR))
            for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    private func acceptConnections() {
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { break }
            let number = state.withLock { state -> Int? in
                guard !state.isStopped else { return nil }
                state.open.insert(descriptor)
                defer { state.connections += 1 }
                return state.connections
            }
            guard let number else {
                close(descriptor)
                break
            }
            Thread.detachNewThread { [self] in
                serve(descriptor, number)
                state.withLock { state in
                    state.open.remove(descriptor)
                    close(descriptor)
                }
            }
        }
        close(listener)
    }

    private func serve(_ descriptor: Int32, _ number: Int) {
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var buffer: [UInt8] = []
        while let request = readRequest(descriptor, number, &buffer) {
            state.withLock { $0.requests.append(request) }
            for step in script(request) {
                guard perform(step, for: request, descriptor) else { return }
            }
        }
    }

    private func perform(_ step: Step, for request: Request, _ descriptor: Int32) -> Bool {
        switch step {
        case .reply(let status, let headers, let body):
            var text = "HTTP/1.1 \(status) Scripted\r\nContent-Length: \(body.utf8.count)\r\n"
            for (name, value) in headers { text += "\(name): \(value)\r\n" }
            text += "\r\n"
            if request.method != "HEAD" { text += body }
            return write(Array(text.utf8), descriptor)
        case .content(let status, let type, let body):
            let head = "HTTP/1.1 \(status) Scripted\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n\r\n"
            return write(Array(head.utf8) + (request.method == "HEAD" ? [] : body), descriptor)
        case .bytes(let text): return write(Array(text.utf8), descriptor)
        case .zeros(let count):
            let block = [UInt8](repeating: 0, count: min(count, 65_536))
            var left = count
            while left > 0 {
                guard write(Array(block.prefix(left)), descriptor) else { return false }
                left -= block.count
            }
            return true
        case .wait(let duration):
            let (seconds, attoseconds) = duration.components
            Thread.sleep(forTimeInterval: Double(seconds) + Double(attoseconds) / 1e18)
            return true
        case .close:
            shutdown(descriptor, Int32(SHUT_RDWR))
            return false
        case .reset:
            // Lingering for no time makes close() send RST.
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
            return false
        }
    }

    private func readRequest(_ descriptor: Int32, _ number: Int, _ buffer: inout [UInt8]) -> Request? {
        let separator = Array("\r\n\r\n".utf8)
        var end: Int?
        while true {
            end = buffer.firstIndex(of: separator)
            if end != nil { break }
            guard readMore(descriptor, &buffer) else { return nil }
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        buffer.removeFirst(end + separator.count)
        let parts = lines[0].split(separator: " ")
        guard parts.count >= 2 else { return nil }
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            return (String(line[..<colon]), value)
        }
        let length = headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
        while buffer.count < length {
            guard readMore(descriptor, &buffer) else { return nil }
        }
        let body = Array(buffer.prefix(length))
        buffer.removeFirst(length)
        return Request(
            connection: number, method: String(parts[0]), target: String(parts[1]), headers: headers, body: body)
    }

    private func readMore(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Bool {
        var block = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &block, block.count, 0)
        guard count > 0 else { return false }
        buffer += block.prefix(count)
        return true
    }

    private func write(_ bytes: [UInt8], _ descriptor: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}

extension Array where Element == UInt8 {
    fileprivate func firstIndex(of pattern: [UInt8]) -> Int? {
        guard count >= pattern.count else { return nil }
        return (0...(count - pattern.count)).first { self[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }
}
