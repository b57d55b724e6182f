import FoundationEssentials
import KeyManagement
import StrictJSON

/// How a resource is doing, in the words of its status.
struct ResourceReport: Sendable, Equatable {
    /// What is wrong; `nil` when nothing is.
    let error: String?
    /// How its source of certificates is doing.
    var provider: ProviderStatus?

    /// The longest brief error, as in Ratify.
    private static let briefLength = 100
    /// The longest error, and the most certificates: an object of Kubernetes is small.
    private static let errorLength = 4_000
    private static let maximumEntries = 200

    init(error: String?, provider: ProviderStatus? = nil) {
        self.error = error.map { String($0.prefix(ResourceReport.errorLength)) }
        self.provider = provider
    }

    /// The status, but for times that change with every look at the source.
    var content: Content {
        Content(
            isSuccess: error == nil, error: error ?? "",
            properties: provider.map { .object(ResourceReport.properties($0, withTimes: false)) })
    }

    /// What two statuses must agree in to be the same.
    struct Content: Sendable, Equatable {
        let isSuccess: Bool?
        let error: String
        /// `nil` for resources without certificates.
        let properties: JSONValue?

        init(isSuccess: Bool?, error: String, properties: JSONValue?) {
            self.isSuccess = isSuccess
            self.error = error
            self.properties = properties
        }

        /// What a stored status says.
        init(status: JSONObject, hasProperties: Bool) {
            isSuccess = status["issuccess"]?.bool
            error = status["error"]?.string ?? ""
            properties =
                hasProperties ? .object(Content.withoutTimes(status["properties"]?.object ?? [:])) : nil
        }

        private static func withoutTimes(_ properties: JSONObject) -> JSONObject {
            var result: JSONObject = [:]
            for (name, value) in properties.members {
                guard let entries = value.array else {
                    result[name] = value
                    continue
                }
                result[name] = .array(
                    entries.map { entry in
                        guard var object = entry.object else { return entry }
                        object["LastRefreshed"] = nil
                        return .object(object)
                    })
            }
            return result
        }
    }

    /// The merge patch that makes a stored status say this.
    func patch(over stored: JSONObject) -> JSONObject {
        var status: JSONObject = ["issuccess": .bool(error == nil)]
        status["error"] = error.map(JSONValue.string) ?? .null
        status["brieferror"] = error.map { .string(ResourceReport.brief($0)) } ?? .null
        guard let provider else { return status }
        if let time = lastFetched { status["lastfetchedtime"] = .string(time) }
        var properties = ResourceReport.properties(provider, withTimes: true)
        // RFC 7386: what is not named stays.
        for name in stored["properties"]?.object?.names ?? [] where properties[name] == nil { properties[name] = .null }
        status["properties"] = .object(properties)
        return status
    }

    /// When the source was last read.
    var lastFetched: String? { provider?.lastFetched?.formatted(.iso8601) }

    /// How much older the stored time is than ours; `nil` when there is nothing to compare.
    func isTimeOutdated(in stored: JSONObject, by seconds: Double) -> Bool {
        guard let newest = provider?.lastFetched else { return false }
        guard let text = stored["lastfetchedtime"]?.string, let date = try? Date(text, strategy: .iso8601) else {
            return true
        }
        return newest.timeIntervalSince(date) >= seconds
    }

    private static func brief(_ error: String) -> String {
        error.count <= briefLength ? error : error.prefix(briefLength - 3) + "..."
    }

    /// Ratify's `Certificates` and `Keys`, whose values are texts; with more of them. A trusted root is an entry of its own.
    private static func properties(_ status: ProviderStatus, withTimes: Bool) -> JSONObject {
        var result: JSONObject = [:]
        func entry(_ members: [(String, String?)], _ refreshed: Date?) -> JSONValue {
            var object: JSONObject = [:]
            for case (let name, let value?) in members where !value.isEmpty { object[name] = .string(value) }
            if withTimes, let refreshed { object["LastRefreshed"] = .string(refreshed.formatted(.iso8601)) }
            return .object(object)
        }
        if !status.properties.isEmpty {
            result["Certificates"] = .array(
                status.properties.prefix(maximumEntries).map { certificate in
                    entry(
                        [
                            ("Name", certificate.name), ("Version", certificate.version),
                            ("Enabled", certificate.isEnabled ? "true" : "false"), ("State", certificate.state),
                            ("Subject", certificate.subject), ("SHA256", certificate.fingerprint),
                            ("NotAfter", certificate.notAfter?.formatted(.iso8601)),
                        ], certificate.lastRefreshed)
                })
        }
        if !status.keys.isEmpty {
            result["Keys"] = .array(
                status.keys.prefix(maximumEntries).map { key in
                    entry(
                        [
                            ("Name", key.name), ("Version", key.version), ("Enabled", key.isEnabled ? "true" : "false"),
                            ("State", key.state), ("Kind", key.kind), ("SHA256", key.fingerprint),
                        ], key.lastRefreshed)
                })
        }
        if let root = status.trustedRoot {
            let versions = root.versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            result["TrustedRoot"] = .array([
                entry(
                    [
                        ("Source", root.source), ("SHA256", root.fingerprint),
                        ("Versions", versions.joined(separator: ", ")),
                        ("ValidUntil", root.validUntil?.formatted(.iso8601)),
                        ("TransparencyLogs", String(root.transparencyLogs)),
                        ("CertificateAuthorities", String(root.certificateAuthorities)),
                        ("CertificateLogs", String(root.certificateLogs)),
                        ("TimestampAuthorities", String(root.timestampAuthorities)),
                    ], status.lastFetched)
            ])
        }
        return result
    }
}
