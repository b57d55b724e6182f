import Foundation
import Synchronization
import Testing

@testable import ServiceLogging

/// Log lines on their way to whoever reads them, or does not.
@Suite struct LogWriterTests {
    /// A pipe, and a writer to it.
    private final class Wire: Sendable {
        let output: Int32
        let writer: LogWriter
        private let input: Int32
        private let read = Mutex<[UInt8]>([])

        init(format: LogFormat = .text, maximumBytes: Int = LogWriter.usualBytes) throws {
            var ends: [Int32] = [0, 0]
            try #require(pipe(&ends) == 0)
            // A reader that goes away must not end the tests.
            signal(SIGPIPE, SIG_IGN)
            (input, output) = (ends[0], ends[1])
            writer = LogWriter(to: output, format: format, label: "test", maximumBytes: maximumBytes)
        }

        /// Reads until the other end is closed, on a thread of its own.
        func startReading() {
            Thread.detachNewThread { [self] in
                var buffer = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = Foundation.read(input, &buffer, buffer.count)
                    guard count > 0 else { break }
                    read.withLock { $0 += buffer[..<count] }
                }
            }
        }

        var lines: [String] {
            read.withLock { String(decoding: $0, as: UTF8.self) }.split(separator: "\n").map(String.init)
        }

        /// Waits until so many lines have been read.
        func lines(_ count: Int) async throws -> [String] {
            let end = ContinuousClock.now + .seconds(60)
            while lines.count < count, .now < end { try await Task.sleep(for: .milliseconds(2)) }
            return lines
        }

        func stopReading() { close(input) }

        deinit { close(output) }
    }

    private func line(_ text: String) -> [UInt8] { Array((text + "\n").utf8) }

    @Test func everyLineComesWholeAndInOrder() async throws {
        let wire = try Wire()
        wire.startReading()
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0..<500 {
                        wire.writer.write(line("\(writer) \(number) \(String(repeating: "x", count: 90))"))
                    }
                }
            }
        }
        #expect(await wire.writer.finish(within: .seconds(60)))
        let lines = try await wire.lines(2000)
        #expect(lines.count == 2000)
        for writer in 0..<4 {
            let own = lines.filter { $0.hasPrefix("\(writer) ") }
            #expect(own.map { $0.split(separator: " ")[1] } == (0..<500).map { "\($0)" })
        }
        #expect(wire.writer.droppedLines == 0)
    }

    /// It would hang here if writing waited for the reader.
    @Test(arguments: [LogFormat.text, .json])
    func aReaderThatIsStuckKeepsNobodyWaiting(format: LogFormat) async throws {
        let wire = try Wire(format: format, maximumBytes: 100_000)
        let filling = String(repeating: "x", count: 90)
        for number in 0..<5000 { wire.writer.write(line("\(number) \(filling)")) }
        let dropped = wire.writer.droppedLines
        #expect(dropped > 2000)
        #expect(await !wire.writer.finish(within: .milliseconds(50)))
        wire.startReading()
        #expect(await wire.writer.finish(within: .seconds(60)))

        // What fitted, in order and without a gap; then how many are missing, told as often as there was no room.
        let kept = 5000 - Int(dropped)
        wire.writer.write(line("afterwards"))
        let end = ContinuousClock.now + .seconds(60)
        while wire.lines.last != "afterwards", .now < end { try await Task.sleep(for: .milliseconds(2)) }
        let lines = wire.lines
        #expect(lines.prefix(kept).map { $0.split(separator: " ")[0] } == (0..<kept).map { "\($0)" })
        let notes = lines.dropFirst(kept).dropLast()
        #expect(notes.allSatisfy { $0.contains("log lines dropped") })
        #expect(notes.reduce(0) { $0 + count(in: $1, format) } == dropped, "\(notes)")
        #expect(wire.writer.droppedLines == dropped)
    }

    /// The number of lines that a note tells.
    private func count(in note: String, _ format: LogFormat) -> UInt64 {
        let mark = format == .text ? "lines=" : #""lines":""#
        guard let range = note.range(of: mark) else { return 0 }
        return UInt64(note[range.upperBound...].prefix { $0.isNumber }) ?? 0
    }

    @Test func whatIsLargerThanAllRoomIsMissing() async throws {
        let wire = try Wire(maximumBytes: 1000)
        wire.startReading()
        wire.writer.write(line("before"))
        wire.writer.write(line(String(repeating: "x", count: 2000)))
        #expect(await wire.writer.finish(within: .seconds(60)))
        let lines = try await wire.lines(2)
        #expect(lines.first == "before" && lines.count == 2)
        #expect(lines.last?.contains("lines=1") == true)
        #expect(wire.writer.droppedLines == 1)
    }

    @Test func aReaderThatIsGoneIsNoReasonToStop() async throws {
        let wire = try Wire()
        wire.stopReading()
        for number in 0..<10 { wire.writer.write(line("\(number)")) }
        #expect(await wire.writer.finish(within: .seconds(60)))
        #expect(wire.writer.droppedLines == 10)
    }

    /// Whoever shares the other end may have made it one that refuses instead of waiting.
    @Test func aPipeThatDoesNotWaitIsWaitedFor() async throws {
        let wire = try Wire()
        #expect(fcntl(wire.output, F_SETFL, fcntl(wire.output, F_GETFL) | O_NONBLOCK) == 0)
        for number in 0..<5000 { wire.writer.write(line("\(number) \(String(repeating: "x", count: 90))")) }
        #expect(await !wire.writer.finish(within: .milliseconds(50)))
        wire.startReading()
        #expect(try await wire.lines(5000).count == 5000)
        #expect(wire.writer.droppedLines == 0)
    }
}
