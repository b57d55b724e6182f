import Foundation
import Synchronization
import TestSupport

/// The clock on the wall as one process sees it: a library that is loaded before libc adds as many seconds as a file
/// says to CLOCK_REALTIME, and to nothing else. (libfaketime moves absolute timers of the other clocks as well.)
final class WallClock: Sendable {
    private static let source = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>

        static volatile const long long *ahead;

        __attribute__((constructor)) static void start(void) {
            const char *path = getenv("WALL_CLOCK");
            int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (file < 0) return;
            void *page = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
            close(file);
            if (page != MAP_FAILED) ahead = page;
        }

        int clock_gettime(clockid_t clock, struct timespec *out) {
            int result = syscall(SYS_clock_gettime, clock, out);
            if (result == 0 && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += *ahead;
            return result;
        }

        int gettimeofday(struct timeval *restrict out, void *restrict zone) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            out->tv_sec = now.tv_sec;
            out->tv_usec = now.tv_nsec / 1000;
            return 0;
        }

        time_t time(time_t *out) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (out) *out = now.tv_sec;
            return now.tv_sec;
        }
        """

    /// What a process has to have in its environment to see it.
    let environment: [String: String]
    private let file: FileHandle

    /// One that shows the time.
    init(_ directory: TemporaryDirectory) throws {
        let library = try PreloadedLibrary("wall-clock", source: Self.source, in: directory)
        let path = directory.write([UInt8](repeating: 0, count: 8), to: "wall-clock")
        file = try FileHandle(forUpdating: URL(filePath: path))
        environment = library.environment.merging(["WALL_CLOCK": path]) { $1 }
    }

    /// Sets it so many seconds ahead of the time, at once.
    func set(_ seconds: Double) throws {
        try file.seek(toOffset: 0)
        try file.write(contentsOf: withUnsafeBytes(of: Int64(seconds)) { Data($0) })
    }
}
