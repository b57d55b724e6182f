import Encoding

/// Where a client gets files of a repository from: the room has no network of its own.
package protocol RepositoryFetcher: Sendable {
    /// Gives a file.
    ///
    /// - Parameters:
    ///   - path: relative to the repository, percent-encoded, without `.` and `..`: `5.root.json`,
    ///     `targets/<digest>.trusted_root.json`.
    ///   - maximumLength: in bytes. Reading more than one byte more is of no use; ``RepositoryFetchError/tooLong`` says
    ///     so.
    /// - Returns: the file; `nil` when the repository says that there is none.
    /// - Throws: anything, whose text becomes part of the client's error. It must end soon after its task is cancelled:
    ///   that is how the caller's deadline comes.
    func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]?
}

/// What a fetcher can say of a file besides its own errors.
package enum RepositoryFetchError: Error, Hashable, Sendable {
    /// The file is longer than was asked for.
    case tooLong
}

/// The paths of files, as section 5 of the specification names them.
enum RepositoryPath {
    static func metadata(_ role: String, version: Int64?) -> String {
        let name = "\(PercentEncoding.encode(role)).json"
        return version.map { "\($0).\(name)" } ?? name
    }

    /// A target, below a directory; `nil` for a name that is not a plain relative path.
    ///
    /// - Parameter prefix: the digest that the name of the file begins with in a consistent snapshot.
    static func target(_ path: String, below directory: String, prefix: String?) -> String? {
        guard isPlain(path) else { return nil }
        var segments = path.split(separator: "/").map { PercentEncoding.encode(String($0)) }
        if let prefix, let last = segments.popLast() { segments.append("\(prefix).\(last)") }
        return (directory.isEmpty ? segments : [directory] + segments).joined(separator: "/")
    }

    /// Whether a name leads nowhere else than below the repository, on whatever reads it.
    static func isPlain(_ path: String) -> Bool {
        guard !path.isEmpty, path.utf8.count <= 1024 else { return false }
        guard path.unicodeScalars.allSatisfy({ !$0.isControlOrDirection && $0 != "\\" }) else { return false }
        return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".."
        }
    }
}
