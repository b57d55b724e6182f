import Encoding
import FoundationEssentials
import KeyManagement
import Notation
import PKI
import StrictJSON
import Verification

/// What a configuration trusts at one moment: certificates, where they come from, until when they last and who uses
/// them.
package struct TrustOverview: Sendable {
    /// One provider.
    package struct Provider: Sendable {
        /// Its name.
        package let name: String
        /// The kind of source.
        package let type: String
        /// Whether certificates can come from it at all.
        package let offersCertificates: Bool
        /// How its last look went, and what it gave.
        package let status: ProviderStatus
        /// The trust stores that it fills.
        package let uses: [TrustUse]
    }

    /// A certificate in force and its provider.
    package struct Trusted: Sendable {
        /// The provider.
        package let provider: Provider
        /// The certificate.
        package let certificate: ProviderStatus.Properties
        /// When it expires.
        package let notAfter: Date
    }

    /// What a script wants to know.
    package enum Verdict: Sendable {
        /// All that is trusted is there and valid.
        case good
        /// Something has expired, is disabled or refused, or is not there.
        case lacking
        /// A provider could not be read at all, which may pass.
        case unknown
        /// A provider could not be read at all, and cannot before what it is configured with is mended.
        case misconfigured
    }

    /// All providers, by their names.
    package let providers: [Provider]
    /// When all this was so.
    package let moment: Date
    /// Expiry this close is warned of.
    package let margin: Duration
    /// Certificates that keep a trust store from being used.
    private let misfits: [StoreMisfit]

    /// The present state of the providers that verifiers trust.
    package init(
        of verifiers: [any ArtifactVerifier], trusting trusted: TrustedCertificates, margin: Duration,
        now: Date = Date()
    ) {
        let uses = verifiers.compactMap { $0 as? NotationVerifier }.flatMap(\.uses)
        let misfits = StoreMisfit.all(uses, in: trusted)
        self.misfits = misfits
        providers = trusted.providers.map { provider in
            let own = uses.filter { $0.providers.contains(provider.name) }
            var status = provider.status
            for index in status.properties.indices {
                guard let problem = StoreMisfit.problem(of: status.properties[index], uses: own, misfits) else {
                    continue
                }
                status.properties[index].problem = problem
            }
            return Provider(
                name: provider.name, type: provider.type, offersCertificates: provider.offersCertificates,
                status: status, uses: own)
        }
        moment = now
        self.margin = margin
    }

    /// The certificates in force that have not expired, the first to expire first.
    package var upcoming: [Trusted] {
        trusted.filter { $0.notAfter >= moment }.sorted { $0.notAfter < $1.notAfter }
    }

    /// The certificates in force that have expired.
    package var expired: [Trusted] { trusted.filter { $0.notAfter < moment } }

    private var trusted: [Trusted] {
        providers.flatMap { provider in
            provider.status.properties.compactMap { certificate in
                guard certificate.isInForce, let end = certificate.notAfter else { return nil }
                return Trusted(provider: provider, certificate: certificate, notAfter: end)
            }
        }
    }

    /// Whether all is well.
    package var verdict: Verdict {
        let unread = providers.filter { provider in
            let status = provider.status
            return status.lastFetched == nil && status.properties.isEmpty && status.trustedRoot == nil
        }
        if unread.contains(where: { !$0.status.isConfiguration }) { return .unknown }
        if !unread.isEmpty { return .misconfigured }
        let isLacking = providers.contains { provider in
            !provider.status.isSuccess || provider.status.properties.contains { !$0.isInForce }
                || provider.status.keys.contains { $0.problem != nil }
        }
        return isLacking || !expired.isEmpty || !misfits.isEmpty ? .lacking : .good
    }

    /// Whole days until a moment; negative when it has passed.
    package func days(until end: Date) -> Int { Int((end.timeIntervalSince(moment) / 86_400).rounded(.down)) }

    // MARK: In words

    /// What is wrong, and what will be within the margin, in sentences.
    package var warnings: [String] {
        var sentences: [String] = []
        for provider in providers {
            if let error = provider.status.error { sentences.append("\(provider.name): \(error)") }
            sentences += provider.status.warnings.map { "\(provider.name): \($0)" }
        }
        sentences += misfits.map(\.sentence)
        sentences += expired.map { entry in
            "\(label(entry)) expired at \(UTC.text(entry.notAfter)): \(effect(entry, "do not verify any more"))"
        }
        let seconds = Double(margin.components.seconds)
        sentences += upcoming.filter { $0.notAfter.timeIntervalSince(moment) < seconds }.map { entry in
            "\(label(entry)) expires at \(UTC.text(entry.notAfter)), \(inDays(entry)): "
                + "\(effect(entry, "stop verifying then")); trust its successor beside it before"
        }
        return sentences
    }

    /// What stops verifying next; nil when nothing is trusted that could.
    package var next: String? {
        guard let first = upcoming.first else { return nil }
        return "\(label(first)) expires first, at \(UTC.text(first.notAfter)), \(inDays(first)): "
            + effect(first, "stop verifying then")
    }

    private func label(_ entry: Trusted) -> String {
        let name = entry.certificate.place
        return "certificate \"\(entry.certificate.subject)\" of \(entry.provider.name)"
            + (name.isEmpty ? "" : " (\(name))")
    }

    private func inDays(_ entry: Trusted) -> String {
        let days = days(until: entry.notAfter)
        return days == 0 ? "in less than a day" : days == 1 ? "in a day" : "in \(days) days"
    }

    /// Signatures with a timestamp of the certificate's life go on verifying.
    private func effect(_ entry: Trusted, _ verb: String) -> String {
        let stores = entry.provider.uses.map { "\($0.store) of \($0.verifier)" }
        guard !stores.isEmpty else { return "no trust policy uses it" }
        return "signatures without a timestamp that rest on it in \(stores.joined(separator: ", ")) \(verb)"
    }

    // MARK: JSON

    /// Everything, for programs (docs/cli.md).
    package var json: JSONValue {
        var object: JSONObject = [
            "time": .string(UTC.text(moment)), "ok": .bool(verdict == .good),
            "providers": .array(providers.map { $0.json(self) }), "warnings": .array(warnings.map { .string($0) }),
        ]
        if let first = upcoming.first {
            var next = first.certificate.json(self).object ?? [:]
            next["provider"] = .string(first.provider.name)
            next["message"] = .string(self.next ?? "")
            object["next"] = .object(next)
        }
        return .object(object)
    }
}

extension TrustOverview.Provider {
    fileprivate func json(_ overview: TrustOverview) -> JSONValue {
        var object: JSONObject = [
            "name": .string(name), "type": .string(type), "success": .bool(status.isSuccess),
        ]
        if let error = status.error { object["error"] = .string(error) }
        if let time = status.lastFetched { object["lastFetched"] = .string(UTC.text(time)) }
        object["usedBy"] = .array(
            uses.map { use in
                [
                    "verifier": .string(use.verifier), "trustStore": .string(use.store),
                    "statements": .array(use.statements.map { .string($0) }),
                ]
            })
        object["certificates"] = .array(status.properties.map { $0.json(overview) })
        object["keys"] = .array(status.keys.map(\.json))
        return .object(object)
    }
}

extension ProviderStatus.Properties {
    /// The name and version in the source: `release/0123`; empty where there are none.
    package var place: String { version.isEmpty ? name : "\(name)/\(version)" }

    fileprivate func json(_ overview: TrustOverview) -> JSONValue {
        var object: JSONObject = [
            "name": .string(name), "version": .string(version), "subject": .string(subject),
            "fingerprint": .string(fingerprint), "inForce": .bool(isInForce), "enabled": .bool(isEnabled),
            "state": .string(state(at: overview.moment)),
        ]
        if let notBefore { object["notBefore"] = .string(UTC.text(notBefore)) }
        if let notAfter {
            object["notAfter"] = .string(UTC.text(notAfter))
            object["daysLeft"] = .number(String(overview.days(until: notAfter)))
        }
        return .object(object)
    }
}

extension ProviderStatus.PublicKeyProperties {
    fileprivate var json: JSONValue {
        [
            "name": .string(name), "version": .string(version), "kind": .string(kind),
            "fingerprint": .string(fingerprint),
            "enabled": .bool(isEnabled), "state": .string(state),
        ]
    }
}
