import Foundation

/// A directory of its own for a test.
package struct TemporaryDirectory: Sendable {
    /// Where it is.
    package let path: String

    package init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "countersign-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// The path of a name inside.
    package func path(_ name: String) -> String { path + "/" + name }

    /// Writes a file, with the directories above it, and gives its path.
    @discardableResult
    package func write(_ content: [UInt8], to name: String) -> String {
        let file = path(name)
        let parent = URL(filePath: file).deletingLastPathComponent().path()
        try? FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        precondition(FileManager.default.createFile(atPath: file, contents: Data(content)), "cannot write \(file)")
        return file
    }

    /// Writes a text file, and gives its path.
    @discardableResult
    package func write(_ text: String, to name: String) -> String { write(Array(text.utf8), to: name) }

    /// Removes it with everything inside.
    package func remove() { try? FileManager.default.removeItem(atPath: path) }
}
