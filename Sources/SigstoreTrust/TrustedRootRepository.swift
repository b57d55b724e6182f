import FoundationEssentials
import HTTP
import Sigstore
import TUF

/// A trusted root of Sigstore as its instance's TUF repository has it now.
package struct FetchedTrustedRoot: Sendable {
    /// The trusted root in JSON, as it was signed.
    package let bytes: [UInt8]
    /// The trusted root.
    package let root: TrustedRoot
    /// The version of the metadata of each role that took part.
    package let versions: [String: Int64]
    /// Until when it may be relied on without another look.
    package let validUntil: Date
}

/// Where trusted roots of an instance of Sigstore come from: its TUF repository.
package struct TrustedRootRepository: Sendable {
    /// The name of the target.
    package static let target = "trusted_root.json"

    private let client: TUFClient

    /// - Parameters:
    ///   - fetcher: asks the repository.
    ///   - root: where trust begins.
    ///   - store: keeps what was good, and which versions were seen.
    package init(_ fetcher: any RepositoryFetcher, root: [UInt8], store: any MetadataStore) {
        client = TUFClient(trustedRoot: root, fetcher: fetcher, store: store)
    }

    /// Brings the metadata up to date and gives the trusted root.
    package func update(
        at time: Date, deadline: ContinuousClock.Instant
    ) async throws(TrustedRootFault) -> FetchedTrustedRoot {
        do throws(TUFError) {
            return try read(await client.update(targets: [Self.target], at: time, deadline: deadline))
        } catch { throw TrustedRootFault(error) }
    }

    /// The trusted root of the last update that came to its end, without asking anybody.
    package func lastGood(at time: Date) async throws(TrustedRootFault) -> FetchedTrustedRoot {
        do throws(TUFError) {
            return try read(await client.lastGood(targets: [Self.target], at: time))
        } catch { throw TrustedRootFault(error) }
    }

    /// What went wrong with the store in the last update.
    package var storeFaults: [String] {
        get async { await client.storeFaults }
    }

    private func read(_ targets: TrustedTargets) throws(TUFError) -> FetchedTrustedRoot {
        let bytes = targets.contents[Self.target] ?? []
        do {
            return FetchedTrustedRoot(
                bytes: bytes, root: try TrustedRoot(parsing: bytes), versions: targets.versions,
                validUntil: targets.validUntil)
        } catch { throw TUFError(.downloadTarget, Self.target, .malformed("\(error)")) }
    }
}

/// Why there is no trusted root.
package struct TrustedRootFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The step of the client workflow, the role, and what is wrong.
    package let error: TUFError

    init(_ error: TUFError) { self.error = error }

    /// What happened, where, and what to do.
    package var description: String { error.description }

    /// Whether the trusted root is what was signed and cannot be read, as one of a later format.
    var isUnreadable: Bool {
        guard case .malformed = error.problem else { return false }
        return error.step == .downloadTarget
    }

    /// Whether the same may succeed in a moment: nobody has said anything that is wrong.
    package var isTransient: Bool {
        switch error.problem {
        case .fetchFailed, .deadline, .busy, .notFound: true
        default: false
        }
    }
}
