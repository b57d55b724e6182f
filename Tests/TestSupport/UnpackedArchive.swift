import Foundation
import OCI

/// An archive of test data, unpacked once: below `.build`, where it is kept for the next run.
package enum UnpackedArchive {
    /// The package's directory.
    package static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The directory that an archive was unpacked to.
    ///
    /// - Parameters:
    ///   - path: the archive, from the package's directory.
    ///   - name: what the directory's name begins with.
    package static func directory(of path: String, name: String) throws -> URL {
        let archive = package.appending(path: path)
        let digest = Digest(of: Array(try Data(contentsOf: archive)))
        let builds = package.appending(path: ".build")
        let directory = builds.appending(path: "\(name)-\(digest.hex.prefix(16))")
        guard !FileManager.default.fileExists(atPath: directory.path()) else { return directory }
        // Unpacked beside its place and moved there, so that no other run sees half of it.
        let fresh = builds.appending(path: "\(name)-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: fresh, withIntermediateDirectories: true)
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/env")
        tar.arguments = ["tar", "-xJf", archive.path(), "-C", fresh.path()]
        try tar.run()
        tar.waitUntilExit()
        guard tar.terminationStatus == 0 else { throw CocoaError(.fileReadCorruptFile) }
        do { try FileManager.default.moveItem(at: fresh, to: directory) } catch {
            try? FileManager.default.removeItem(at: fresh)
        }
        return directory
    }
}
