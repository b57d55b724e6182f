import Quotation
import StrictJSON
import Verification

/// The versions of Gatekeeper's external-data protocol that are spoken; an answer has the version of its request.
package enum ExternalDataVersion: String, Sendable, Hashable, CaseIterable {
    /// What Gatekeeper sent before 3.12.
    case v1alpha1 = "externaldata.gatekeeper.sh/v1alpha1"
    case v1beta1 = "externaldata.gatekeeper.sh/v1beta1"
}

/// What Gatekeeper asks: a `ProviderRequest` of the external-data protocol.
package struct ProviderRequest: Sendable, Hashable {
    /// The version to answer in.
    package let version: ExternalDataVersion
    /// The distinct keys, byte for byte as they came, in the order of their first occurrence. Gatekeeper does not
    /// remove duplicates, and keeps one answer per key.
    package let keys: [String]

    /// Reads a request body.
    ///
    /// Gatekeeper leaves `keys` out when there are none (`omitempty` in its source), so a missing or null `keys` is
    /// an empty list. Members that are not known are left alone: a later Gatekeeper may add some.
    ///
    /// - Throws: ``ProviderRequestError``, with the version to answer in as far as it could be told.
    package init(body: [UInt8], maximumKeys: Int) throws(ProviderRequestError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(body, maximumDepth: 16) } catch {
            throw ProviderRequestError(.malformed, "the request body is not JSON: \(error)")
        }
        guard let object = value.object else {
            throw ProviderRequestError(.malformed, "the request body is \(value.kind), expected an object")
        }
        guard let versionText = object["apiVersion"]?.string else {
            throw ProviderRequestError(.version, ProviderRequest.versionProblem("apiVersion", object["apiVersion"]))
        }
        guard let version = ExternalDataVersion(rawValue: versionText) else {
            throw ProviderRequestError(
                .version,
                "the request's apiVersion \"\(versionText.quoted)\" is not known: expected "
                    + ExternalDataVersion.allCases.map(\.rawValue).joined(separator: " or "))
        }
        guard let kind = object["kind"]?.string else {
            throw ProviderRequestError(
                .version, ProviderRequest.versionProblem("kind", object["kind"]), version: version)
        }
        guard kind == "ProviderRequest" else {
            throw ProviderRequestError(
                .version, "the request's kind is \"\(kind.quoted)\", expected ProviderRequest", version: version)
        }
        guard let request = object["request"]?.object else {
            throw ProviderRequestError(
                .malformed,
                object["request"].map { "the request's member request is \($0.kind), expected an object" }
                    ?? "the request has no member request", version: version)
        }
        self.version = version
        self.keys = try ProviderRequest.distinctKeys(request["keys"], maximum: maximumKeys, version: version)
    }

    private static func versionProblem(_ member: String, _ value: JSONValue?) -> String {
        if let value {
            "the request's \(member) is \(value.kind), expected a string"
        } else {
            "the request has no \(member)"
        }
    }

    private static func distinctKeys(
        _ value: JSONValue?, maximum: Int, version: ExternalDataVersion
    ) throws(ProviderRequestError) -> [String] {
        guard let value, !value.isNull else { return [] }
        guard let array = value.array else {
            throw ProviderRequestError(
                .malformed, "the request's keys are \(value.kind), expected an array of strings", version: version)
        }
        guard array.count <= maximum else {
            throw ProviderRequestError(
                .tooManyKeys,
                "the request has \(array.count) keys, more than the limit of \(maximum): ask in several requests",
                version: version)
        }
        var keys: [String] = []
        keys.reserveCapacity(array.count)
        for (index, element) in array.enumerated() {
            guard let key = element.string else {
                throw ProviderRequestError(
                    .malformed, "key \(index + 1) of the request is \(element.kind), expected a string",
                    version: version)
            }
            keys.append(key)
        }
        guard keys.count > 1 else { return keys }
        var seen = Set<ExactText>(minimumCapacity: keys.count)
        return keys.filter { seen.insert(ExactText($0)).inserted }
    }
}

/// Why a request cannot be answered key by key. It is told in the `systemError` of a complete answer: Gatekeeper
/// does not look at the HTTP status.
package struct ProviderRequestError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, as a bounded set of words for the metric.
    package enum Kind: String, Sendable, Hashable {
        case malformed = "malformed request"
        case version = "unknown version or kind"
        case tooManyKeys = "too many keys"
        case tooLarge = "body too large"
        case route = "unknown route"
        case method = "method not allowed"
        case client = "client not named"
    }

    /// What is wrong.
    package let kind: Kind
    /// What is wrong, where, and what to do.
    package let description: String
    /// The version to answer in.
    package let version: ExternalDataVersion

    /// An error to be answered in the newest version unless the request's own is known.
    package init(_ kind: Kind, _ description: String, version: ExternalDataVersion = .v1beta1) {
        self.kind = kind
        self.description = description
        self.version = version
    }
}
