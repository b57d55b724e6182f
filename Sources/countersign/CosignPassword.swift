#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The password of a private key that cosign has encrypted, from where cosign takes it.
enum CosignPassword {
    /// Where a password came from, and what it may be: with a line break at its end, the line without it too.
    struct Given {
        let source: String
        let candidates: [[UInt8]]
    }

    private static let maximumBytes = 16 << 10

    /// `COSIGN_PASSWORD`; `nil` where it is not set. It leaves this process's environment when it is first looked at,
    /// so that no program that it starts inherits it.
    static let ofEnvironment: [UInt8]? = {
        guard let text = getenv("COSIGN_PASSWORD") else { return nil }
        let bytes = (0..<strlen(text)).map { UInt8(bitPattern: text[$0]) }
        unsetenv("COSIGN_PASSWORD")
        return bytes
    }()

    /// `COSIGN_PASSWORD`, else what a person types, else all of standard input.
    static func read(until deadline: ContinuousClock.Instant) throws(CommandFailure) -> Given {
        if let ofEnvironment { return Given(source: "$COSIGN_PASSWORD", candidates: [ofEnvironment]) }
        if isatty(STDIN_FILENO) == 1 { return Given(source: "what was typed", candidates: [try typed()]) }
        let bytes = try piped(deadline)
        var line = bytes
        if line.last == 0x0A { line.removeLast() }
        if line.last == 0x0D { line.removeLast() }
        return Given(
            source: "standard input, since $COSIGN_PASSWORD is not set",
            candidates: line == bytes ? [bytes] : [bytes, line])
    }

    private static func piped(_ deadline: ContinuousClock.Instant) throws(CommandFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let left = (deadline - .now).components.seconds
            var watched = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard left >= 0, poll(&watched, 1, Int32(clamping: left * 1000 + 1)) != 0 else {
                throw CommandFailure(
                    .usage, "the private key is encrypted, and no password came on standard input: set COSIGN_PASSWORD")
            }
            let count = systemRead(&buffer)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= maximumBytes else {
                throw CommandFailure(
                    .usage, "standard input has more than \(maximumBytes) bytes, which no password has")
            }
        }
    }

    /// One line, unseen. The terminal gives each key at once, so that an interrupt leaves it as it was.
    private static func typed() throws(CommandFailure) -> [UInt8] {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else {
            throw CommandFailure(.usage, "the terminal cannot be read from: set COSIGN_PASSWORD")
        }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0 else {
            throw CommandFailure(.usage, "the terminal would show the password: set COSIGN_PASSWORD")
        }
        Terminal.write("Password of the private key: ")
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            Terminal.write("\n")
        }
        var password: [UInt8] = []
        var key: [UInt8] = [0]
        while true {
            let count = systemRead(&key)
            if count < 0, errno == EINTR { continue }
            switch (count, key[0]) {
            case (1, 0x0A), (1, 0x0D): return password
            case (1, 0x03), (1, 0x04): throw CommandFailure(.usage, "no password was given")
            case (1, 0x15): password = []
            case (1, 0x08), (1, 0x7F):
                // A character may have several bytes.
                while let last = password.popLast(), last & 0xC0 == 0x80 {}
            case (1, let byte) where password.count < maximumBytes: password.append(byte)
            default: throw CommandFailure(.usage, "no password was given")
            }
        }
    }

    private static func systemRead(_ buffer: inout [UInt8]) -> Int {
        let count = buffer.count
        return buffer.withUnsafeMutableBytes { systemCall(STDIN_FILENO, $0.baseAddress, count) }
    }
}

/// The system's call, where `read` is a name of our own.
private func systemCall(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, bytes, count)
}
