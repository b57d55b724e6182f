import COpenSSL
import Foundation

/// The `openssl` command, the independent judge of what we read and write.
package enum OpenSSLCommand {
    /// Why a run failed.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs `openssl` and gives what it wrote to standard output.
    @discardableResult
    package static func run(_ arguments: String..., input: [UInt8] = [], in directory: String? = nil) throws -> [UInt8]
    {
        try run(arguments, input: input, in: directory)
    }

    /// Runs `openssl` and gives what it wrote to standard output.
    @discardableResult
    package static func run(_ arguments: [String], input: [UInt8] = [], in directory: String? = nil) throws -> [UInt8] {
        // Input and outputs pass through files: a pipe that nobody reads would block both sides.
        let scratch = try TemporaryDirectory()
        defer { scratch.remove() }
        let inputFile = scratch.write(input, to: "stdin")
        let outputFile = scratch.write([], to: "stdout")
        let errorFile = scratch.write([], to: "stderr")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        process.standardInput = try FileHandle(forReadingFrom: URL(filePath: inputFile))
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: outputFile))
        process.standardError = try FileHandle(forWritingTo: URL(filePath: errorFile))
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text = try String(contentsOf: URL(filePath: errorFile), encoding: .utf8)
            throw Failure(description: "openssl \(arguments.joined(separator: " ")): \(text)")
        }
        return Array(try Data(contentsOf: URL(filePath: outputFile)))
    }
}

/// OpenSSL's own reader in this process, where a run of the command for each input would take too long.
package enum OpenSSLReader {
    /// Whether it accepts these bytes as exactly one certificate.
    package static func acceptsCertificate(_ der: [UInt8]) -> Bool {
        countersign_accepts_certificate(der, der.count) == 1
    }
}
