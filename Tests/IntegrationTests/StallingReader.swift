import Foundation
import Synchronization

/// Who reads a process's log through a pipe that holds little, and stops reading when told: what it reads goes into a
/// file.
final class StallingReader: Sendable {
    let pipe = Pipe()
    private let isStalled = Mutex(false)

    /// Reads into a file.
    init(into path: String) throws {
        let output = try FileHandle(forWritingTo: URL(filePath: path))
        let input = pipe.fileHandleForReading.fileDescriptor
        // F_SETPIPE_SZ (linux/fcntl.h), a page: more than some lines do not fit.
        _ = fcntl(input, 1031, 4096)
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                guard !isStalled.withLock({ $0 }) else {
                    usleep(5000)
                    continue
                }
                let count = read(input, &buffer, buffer.count)
                guard count > 0 else { break }
                try? output.write(contentsOf: buffer[..<count])
            }
        }
    }

    /// Stops reading, or goes on.
    func stall(_ wanted: Bool) { isStalled.withLock { $0 = wanted } }
}
