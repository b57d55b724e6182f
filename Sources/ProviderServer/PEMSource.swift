import Synchronization

/// Where a PEM text for the server comes from: a file, or what another part of the program holds.
package enum PEMSource: Sendable, Hashable, CustomStringConvertible {
    case file(String)
    case held(HeldPEM)

    /// The file's path, or the name of what is held.
    package var description: String {
        switch self {
        case .file(let path): path
        case .held(let held): held.name
        }
    }

    /// What tells one state of the source from another; `nil` when there is nothing yet.
    var stamp: PEMStamp? {
        switch self {
        case .file(let path): FileStamp(path: path).map { .file($0) }
        case .held(let held): held.content.map { .held($0.version) }
        }
    }
}

/// A PEM text in memory that changes: certificates that the program makes itself, or reads from the cluster.
package final class HeldPEM: Sendable, Hashable {
    /// What it is, for messages.
    package let name: String
    private let state = Mutex<(bytes: [UInt8], version: UInt64)?>(nil)

    /// Nothing yet.
    package init(name: String) { self.name = name }

    /// Replaces the text; it is in force for new connections within a second, if it is usable. The same text again is
    /// no change.
    package func set(_ bytes: [UInt8]) {
        state.withLock { state in
            guard state?.bytes != bytes else { return }
            state = (bytes, (state?.version ?? 0) + 1)
        }
    }

    var content: (bytes: [UInt8], version: UInt64)? { state.withLock(\.self) }

    /// The same object.
    package static func == (left: HeldPEM, right: HeldPEM) -> Bool { left === right }
    /// Feeds the object's identity.
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The state of a source.
enum PEMStamp: Sendable, Hashable {
    case file(FileStamp)
    case held(UInt64)
}

/// What a source has now, with the stamp of the state that was read.
struct PEMText: Sendable {
    let source: PEMSource
    let bytes: [UInt8]
    let stamp: PEMStamp

    init(_ source: PEMSource) throws(ServingCertificateError) {
        self.source = source
        switch source {
        case .file(let path):
            let file = try WatchedFile(path: path)
            bytes = file.bytes
            stamp = .file(file.stamp)
        case .held(let held):
            guard let content = held.content else { throw ServingCertificateError("\(held.name) is not there yet") }
            bytes = content.bytes
            stamp = .held(content.version)
        }
    }
}
