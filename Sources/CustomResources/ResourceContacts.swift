import Kubernetes
import Logging

/// How the watches of all kinds of resources are doing, and what a log is to be told of it: one line when the API
/// server is lost, one when it is back, whichever and however many watches notice.
struct ResourceContacts {
    /// A line for the log.
    struct Line: Equatable {
        let level: Logger.Level
        let text: String
    }

    private struct Contact {
        var isSynced = false
        var failingSince: ContinuousClock.Instant?
        var failure: String?
    }

    private var contacts: [ResourceKind: Contact] = [:]
    /// The kinds for which the API server cannot be asked: it is away, or busy.
    private var away: Set<ResourceKind> = []
    private var absence = Outage()
    /// Kinds with a fault of their own: a right that is missing, a definition that is not installed.
    private var refusals: [ResourceKind: Outage] = [:]

    /// Whether the resources of a kind are known.
    func isSynced(_ kind: ResourceKind) -> Bool { contacts[kind]?.isSynced == true }

    /// Why a kind cannot be watched now.
    func failure(of kind: ResourceKind) -> String? { contacts[kind]?.failure }

    /// For how long a kind could not be watched: 0 when it is.
    func secondsOutOfSync(_ kind: ResourceKind, now: ContinuousClock.Instant = .now) -> Double {
        contacts[kind]?.failingSince.map { (now - $0) / .seconds(1) } ?? 0
    }

    /// Takes what a watch tells of the API server, and gives the lines for the log.
    mutating func take(
        _ kind: ResourceKind, _ event: WatchEvent, now: ContinuousClock.Instant = .now
    ) -> [Line] {
        var contact = contacts[kind, default: Contact()]
        defer { contacts[kind] = contact }
        if case .failed(let error) = event {
            contact.failingSince = contact.failingSince ?? now
            contact.failure = error.description
            return failed(kind, error, now)
        }
        if case .synced = event { contact.isSynced = true }
        contact.failingSince = nil
        contact.failure = nil
        return isBack(kind, now) + isGranted(kind, now)
    }

    private mutating func failed(
        _ kind: ResourceKind, _ error: KubernetesError, _ now: ContinuousClock.Instant
    ) -> [Line] {
        let text = "custom resources: what is in force stays, \(kind.rawValue) cannot be watched: \(error)"
        let telling: Outage.Telling
        var lines: [Line] = []
        if error.isTransient {
            away.insert(kind)
            telling = absence.fails(error.detail, at: now)
        } else {
            lines = isBack(kind, now)
            telling = refusals[kind, default: Outage()].fails(error.detail, at: now)
        }
        switch telling {
        case .begun: lines.append(Line(level: .warning, text: text))
        case .goesOn: lines.append(Line(level: .warning, text: "\(text); this lasts"))
        case .quiet: break
        }
        return lines
    }

    /// A kind for which the API server answers.
    private mutating func isBack(_ kind: ResourceKind, _ now: ContinuousClock.Instant) -> [Line] {
        guard away.remove(kind) != nil, away.isEmpty, let lasted = absence.ends(at: now) else { return [] }
        return [
            Line(
                level: .notice,
                text: "custom resources: the API server answers again, after \(lasted.inSeconds)")
        ]
    }

    /// A kind without a fault of its own.
    private mutating func isGranted(_ kind: ResourceKind, _ now: ContinuousClock.Instant) -> [Line] {
        guard let lasted = refusals[kind]?.ends(at: now) else { return [] }
        return [
            Line(
                level: .notice,
                text: "custom resources: \(kind.rawValue) can be watched again, after \(lasted.inSeconds)")
        ]
    }
}
