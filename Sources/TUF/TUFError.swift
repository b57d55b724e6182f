import Encoding
import FoundationEssentials
import PKI
import Quotation

/// Why a repository, or what was kept of it, is not trusted: the step of the client workflow, the role, the version
/// where one is known, and what is wrong.
package struct TUFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A step of the specification's client workflow. The raw value is the number of its section.
    package enum Step: String, Hashable, Sendable, CaseIterable {
        case loadTrustedRoot = "5.2"
        case downloadRoot = "5.3.3"
        case rootSignatures = "5.3.4"
        case rootVersion = "5.3.5"
        case rootExpiry = "5.3.10"
        case downloadTimestamp = "5.4.1"
        case timestampSignatures = "5.4.2"
        case timestampRollback = "5.4.3"
        case timestampExpiry = "5.4.4"
        case downloadSnapshot = "5.5.1"
        case snapshotHashes = "5.5.2"
        case snapshotSignatures = "5.5.3"
        case snapshotVersion = "5.5.4"
        case snapshotRollback = "5.5.5"
        case snapshotExpiry = "5.5.6"
        case downloadTargets = "5.6.1"
        case targetsHashes = "5.6.2"
        case targetsSignatures = "5.6.3"
        case targetsVersion = "5.6.4"
        case targetsExpiry = "5.6.5"
        case searchTarget = "5.6.7"
        case findTarget = "5.7.2"
        case downloadTarget = "5.7.3"
    }

    /// What is wrong.
    package enum Problem: Error, Hashable, Sendable {
        /// The repository says that it has no such file, or nothing was kept of it.
        case notFound
        /// The fetcher gave no answer: its own words.
        case fetchFailed(String)
        /// The time that the caller gave is over.
        case deadline
        /// Another update by this client is under way.
        case busy
        /// More bytes than are accepted.
        case tooLong(limit: Int)
        /// Not as many bytes as signed metadata says.
        case wrongLength(expected: Int, found: Int)
        /// Another digest than signed metadata says.
        case wrongHash(String)
        /// Digests are given, and none by a function that is known.
        case noKnownHash
        /// Not metadata as the specification has it.
        case malformed(String)
        /// Metadata of another role.
        case wrongType(expected: String, found: String)
        /// Written for another specification.
        case unsupportedSpecification(String)
        /// Fewer good signatures by different keys than the role's threshold; whose keys were asked.
        case unsigned(valid: Int, threshold: Int, by: String)
        /// Older than what is trusted already.
        case rollback(trusted: Int64, found: Int64, of: String)
        /// Another version than the one that must come.
        case wrongVersion(found: Int64, expected: Int64)
        /// A file that the trusted snapshot lists is not listed any more, or was never.
        case notListed(String)
        /// Not valid any more at the time of the update.
        case expired(Date)
        /// More new versions of the root at once than are accepted.
        case tooManyRoots(limit: Int)
        /// The search for a target visited as many roles, or went as deep, as is accepted.
        case searchLimit(String)
        /// No role has a target of this name.
        case noSuchTarget
        /// The name of a target that is no plain relative path.
        case unsafePath
    }

    /// Where in the workflow.
    package let step: Step
    /// The role; for targets the name of the target.
    package let role: String
    /// The version of the metadata that is not trusted; for a root that was not found out, the one that was asked for.
    package let version: Int64?
    /// What is wrong.
    package let problem: Problem

    package init(_ step: Step, _ role: String, version: Int64? = nil, _ problem: Problem) {
        self.step = step
        self.role = role
        self.version = version
        self.problem = problem
    }

    /// What happened, where, and what to do.
    package var description: String {
        let subject =
            switch step {
            case .searchTarget, .findTarget, .downloadTarget: "target \"\(role.quoted)\""
            default: "role \"\(role.quoted)\"" + (version.map { " version \($0)" } ?? "")
            }
        return "TUF \(subject): \(problem) (step \(step.rawValue) of the client workflow)"
    }
}

extension TUFError.Problem: CustomStringConvertible {
    /// What is wrong, and what to do about it.
    package var description: String {
        switch self {
        case .notFound: "the repository does not have it; check the repository's URL"
        case .fetchFailed(let why): "it could not be fetched: \(why)"
        case .deadline: "the time for the update is over; the update is tried again later"
        case .busy: "another update is under way; wait for it"
        case .tooLong(let limit): "it is longer than the \(limit) bytes that are accepted"
        case .wrongLength(let expected, let found): "it has \(found) bytes, signed metadata says \(expected)"
        case .wrongHash(let name):
            "its \(name) digest is not the one in signed metadata; something on the way changed it"
        case .noKnownHash: "signed metadata gives no sha256, sha384 or sha512 digest for it"
        case .malformed(let what): "it is not valid metadata: \(what)"
        case .wrongType(let expected, let found): "it is metadata of type \"\(found.quoted)\", not \"\(expected)\""
        case .unsupportedSpecification(let version):
            "it is written for version \"\(version.quoted)\" of the specification; version 1 is understood"
        case .unsigned(let valid, let threshold, let by):
            "\(valid) of \(threshold) required signatures by different keys of \(by) are valid;"
                + " if the repository's keys were replaced, a newer root is needed"
        case .rollback(let trusted, let found, let what):
            "version \(found) of \(what.quoted) is older than version \(trusted), which is trusted already"
        case .wrongVersion(let found, let expected): "it says that it is version \(found), and must be \(expected)"
        case .notListed(let file): "the snapshot does not list \"\(file.quoted)\""
        case .expired(let date): "it expired at \(UTC.text(date)); check the clock, and whether the repository is alive"
        case .tooManyRoots(let limit):
            "there are more than \(limit) new versions; those are kept, and the next update goes on from there"
        case .searchLimit(let what): "the search ended at the limit of \(what)"
        case .noSuchTarget: "no role that may provide it lists it; check the name"
        case .unsafePath: "the name is not a plain relative path"
        }
    }
}
