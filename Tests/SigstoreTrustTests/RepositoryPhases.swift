import Foundation
import Synchronization
import TUF
import TestSupport

@testable import SigstoreTrust

/// A repository that is one of those of `trusted_roots.py` after the other, in memory, and the time.
final class RepositoryPhases: RepositoryFetcher {
    /// Trusted roots that differ in nothing but their bytes.
    static let contents = ["", " ", "  "].map { space in
        "{\(space)"
            + #""mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"#
            + #""certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}"#
    }

    private static let made = Result { try TUFScript.run("trusted_roots.py", contents) }

    /// Nobody answers.
    struct Down: Error {}

    private struct State {
        var phase = 0
        var day = 1.0
        var asked: [String] = []
    }

    /// All files, with the number of the phase before their paths.
    let files: [String: [UInt8]]
    private let state = Mutex(State())

    init() throws { files = try Self.made.get() }

    /// Where trust begins.
    var root: [UInt8] { files["root.json"] ?? [] }

    /// The number of the repository that answers; 0 for none.
    var phase: Int {
        get { state.withLock { $0.phase } }
        set { state.withLock { $0.phase = newValue } }
    }

    /// The day since the repository began.
    var day: Double {
        get { state.withLock { $0.day } }
        set { state.withLock { $0.day = newValue } }
    }

    /// The paths that were asked for since this was last asked.
    func takeAsked() -> [String] {
        state.withLock { state in
            defer { state.asked = [] }
            return state.asked
        }
    }

    /// 1 January 2026, and so many days after it.
    static func date(_ day: Double) -> Date { Date(timeIntervalSince1970: 1_767_225_600 + day * 86_400) }

    func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
        let phase = state.withLock { state in
            state.asked.append(path)
            return state.phase
        }
        guard phase > 0 else { throw Down() }
        return files["\(phase)/\(path)"]
    }

    /// A trusted root of this repository.
    func origin(
        _ origins: TrustedRootOrigins = TrustedRootOrigins(), shipped: String? = nil, directory: String? = nil,
        retry: Duration = .seconds(5), notices: NoticeList = NoticeList()
    ) throws -> RepositoryTrustedRoot {
        let place = RepositoryTrustedRoot.Place(url: "https://tuf.example.com", root: root, directory: directory)
        return try origins.repository(place) {
            try RepositoryTrustedRoot(
                place, fetcher: self, shipped: shipped.map { Array($0.utf8) }, origins: origins, retry: retry,
                notice: { notices.append($0) }, now: { Self.date(self.day) })
        }
    }
}

/// What was told.
final class NoticeList: Sendable {
    private let notices = Mutex<[TrustedRootNotice]>([])

    func append(_ notice: TrustedRootNotice) { notices.withLock { $0.append(notice) } }

    /// What was told since this was last asked, in short.
    func take() -> [String] {
        notices.withLock { notices in
            defer { notices = [] }
            return notices.map { notice in
                switch notice {
                case .fetched: "fetched"
                case .failing: "failing"
                case .forgetful: "forgetful"
                }
            }
        }
    }
}
