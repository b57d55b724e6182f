import Foundation
import TestSupport

/// A library that a process loads before libc, so that something of the machine is another thing to this process alone.
struct PreloadedLibrary: Sendable {
    /// Why there is none.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let path: String

    /// What a process has to have in its environment to load it.
    var environment: [String: String] { ["LD_PRELOAD": path] }

    /// Compiles it from C.
    init(_ name: String, source: String, in directory: TemporaryDirectory) throws {
        path = directory.path("\(name).so")
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        // What builds the package's C targets.
        compiler.arguments = [
            "clang", "-shared", "-fPIC", "-O1", "-o", path, directory.write(source, to: "\(name).c"),
        ]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else {
            throw Failure(description: "the library \(name) cannot be compiled")
        }
    }

    /// Names of hosts that lead where a test says: `["lists.test": "127.0.0.1"]`.
    static func hosts(_ names: [String: String], in directory: TemporaryDirectory) throws -> [String: String] {
        let library = try PreloadedLibrary("hosts", source: hostsSource, in: directory)
        let table = names.map { " \($0.key)=\($0.value)" }.sorted().joined() + " "
        return library.environment.merging(["HOST_NAMES": table]) { $1 }
    }

    private static let hostsSource = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <netdb.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>

        typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

        int getaddrinfo(const char *restrict name, const char *restrict service,
                        const struct addrinfo *restrict hints, struct addrinfo **restrict result) {
            look_up *next = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
            const char *names = getenv("HOST_NAMES");
            char wanted[300], address[64];
            if (name && names && snprintf(wanted, sizeof wanted, " %s=", name) < (int)sizeof wanted) {
                const char *found = strstr(names, wanted);
                if (found && sscanf(found + strlen(wanted), "%63s", address) == 1) name = address;
            }
            return next(name, service, hints, result);
        }
        """
}
