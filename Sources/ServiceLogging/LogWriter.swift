import NIOPosix
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Writes log lines on a thread of its own: whoever reads them, or does not, keeps nobody from answering.
///
/// What has not been written is bounded. Where there is no room, lines are dropped until the thread has taken what
/// waits; how many is told in a line at the place where they are missing, and by ``droppedLines``. The order is kept.
package final class LogWriter: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        /// The bytes that the thread has taken and not written yet.
        var underWay = 0
        /// Lines dropped since the thread last took what waited.
        var missing: UInt64 = 0
        /// Lines that were never written.
        var dropped: UInt64 = 0
        /// Whether the thread has something to do.
        var isBusy = false
    }

    /// How many bytes may wait, about the lines of four thousand keys.
    package static let usualBytes = 1 << 20
    /// How long lines wait for others, so that one write takes many.
    private static let gatheringMicroseconds: UInt32 = 10_000
    /// Room that is kept for the next lines.
    private static let keptCapacity = 128 << 10

    private let descriptor: Int32
    private let maximumBytes: Int
    /// Makes the line that tells of dropped ones.
    private let notes: StructuredLogHandler
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let state = Mutex(State())

    /// A writer to an open file, pipe or terminal, which stays open as long as the writer lives.
    ///
    /// - Parameters:
    ///   - format: how a line looks that tells of dropped ones, with the logger's `label`.
    ///   - maximumBytes: how many bytes may wait to be written.
    package init(
        to descriptor: Int32 = STDERR_FILENO, format: LogFormat, label: String,
        maximumBytes: Int = LogWriter.usualBytes
    ) {
        self.descriptor = descriptor
        self.maximumBytes = maximumBytes
        notes = StructuredLogHandler(label: label, format: format, level: .warning) { _ in }
        thread.start()
    }

    deinit { thread.shutdownGracefully { _ in } }

    /// Lines that were never written: there was no room for them, or nobody reads them any more.
    package var droppedLines: UInt64 { state.withLock { $0.dropped + $0.missing } }

    /// Takes whole lines with their line feeds; either all of them or none. Never waits for whoever reads them.
    package func write(_ lines: [UInt8]) {
        let mustWake = state.withLock { state in
            // The first that finds no room ends the taking: lines that are missing are missing in one place.
            if state.missing == 0, state.waiting.count + state.underWay + lines.count <= maximumBytes {
                state.waiting.append(contentsOf: lines)
            } else {
                state.missing += LogWriter.count(lines)
            }
            defer { state.isBusy = true }
            return !state.isBusy
        }
        if mustWake { thread.submit { [self] _ in drain() } }
    }

    /// Waits until everything is written, or the time is up because nobody reads it.
    ///
    /// - Returns: whether everything is.
    @discardableResult
    package func finish(within limit: Duration = .seconds(5)) async -> Bool {
        let end = ContinuousClock.now + limit
        // Not in the caller's task, which may have been cancelled: it could not sleep.
        return await Task.detached { [self] in
            while state.withLock({ $0.isBusy }) {
                guard ContinuousClock.now < end else { return false }
                try? await Task.sleep(for: .milliseconds(1))
            }
            return true
        }.value
    }

    // MARK: On the thread

    /// Writes what waits until nothing does.
    private func drain() {
        var batch: [UInt8] = []
        repeat {
            usleep(LogWriter.gatheringMicroseconds)
            guard let missing = take(&batch) else { return }
            if missing > 0 {
                notes.addLine(.warning, "log lines dropped", time: Timestamp.now(), to: &batch) { fields in
                    fields.add("lines", String(missing))
                    fields.add("reason", "what reads them is too slow")
                }
            }
            let unwritten = batch[write(batch)...]
            if !unwritten.isEmpty {
                // Nobody reads: telling of it would fail, too.
                let lost = LogWriter.count(unwritten)
                state.withLock { $0.dropped += lost }
            }
        } while true
    }

    /// Takes what waits, and leaves the room of the former batch for what comes.
    ///
    /// - Returns: how many lines are missing after it; `nil` when nothing waits.
    private func take(_ batch: inout [UInt8]) -> UInt64? {
        if batch.capacity > LogWriter.keptCapacity { batch = [] } else { batch.removeAll(keepingCapacity: true) }
        return state.withLock { state in
            defer { state.missing = 0 }
            swap(&state.waiting, &batch)
            state.underWay = batch.count
            state.dropped += state.missing
            state.isBusy = !batch.isEmpty || state.missing > 0
            return state.isBusy ? state.missing : nil
        }
    }

    /// Writes bytes, however long it takes.
    ///
    /// - Returns: how many could be written.
    private func write(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { bytes in
            var position = 0
            while position < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
                #if canImport(Glibc)
                    let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                #else
                    let written = Musl.write(descriptor, rest.baseAddress, rest.count)
                #endif
                if written > 0 {
                    position += written
                } else if written < 0, errno == EAGAIN {
                    // Whoever shares the pipe has made it one that does not wait.
                    var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&room, 1, -1)
                } else if written == 0 || errno != EINTR {
                    break
                }
            }
            return position
        }
    }

    private static func count(_ lines: some Sequence<UInt8>) -> UInt64 {
        lines.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
    }
}
