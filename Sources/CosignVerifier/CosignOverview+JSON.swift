import Encoding
import FoundationEssentials
import Sigstore
import StrictJSON

// For programs (docs/cli.md).

extension CosignOverview {
    /// Everything.
    package var json: JSONValue {
        ["policies": .array(policies.map(\.json)), "trustedRoots": .array(roots.map { $0.json(self) })]
    }
}

extension CosignOverview.Policy {
    fileprivate var json: JSONValue {
        let scopes = policy.scopes.isEmpty ? [CosignScope.global] : policy.scopes.map(\.description)
        var object: JSONObject = [
            "verifier": .string(verifier), "name": .string(policy.name),
            "scopes": .array(scopes.map { .string($0) }),
        ]
        switch policy.signers {
        case .identities(let identities): object["identities"] = .array(identities.map(\.json))
        case .keys: object["keys"] = .array(keys.map(\.json))
        }
        object["trustedRoot"] = policy.trustedRoot.map(JSONValue.string) ?? .null
        if let url = policy.logURL { object["rekorURL"] = .string(url) }
        var annotations: JSONObject = [:]
        for (name, text) in policy.annotations.sorted(by: { $0.key < $1.key }) { annotations[name] = .string(text) }
        object["annotations"] = .object(annotations)
        let thresholds = policy.thresholds
        object["tLogThreshold"] = .number(String(thresholds.logs))
        object["ctLogThreshold"] = .number(String(thresholds.certificateLogs))
        object["timestampThreshold"] = .number(String(thresholds.timestamps))
        object["signatureThreshold"] = .number(String(thresholds.signatures))
        object["problems"] = .array(problems.map { .string($0) })
        return .object(object)
    }
}

extension CosignOverview.Key {
    fileprivate var json: JSONValue {
        var object: JSONObject = [:]
        if let provider {
            object["provider"] = .string(provider)
            object["name"] = .string(name)
            object["version"] = .string(version)
        } else {
            object["file"] = .string(name)
        }
        object["kind"] = .string(kind)
        object["fingerprint"] = .string(fingerprint)
        if let validity {
            object["notBefore"] = .string(UTC.text(validity.start))
            object["notAfter"] = validity.end.map { .string(UTC.text($0)) }
        }
        return .object(object)
    }
}

extension CertificateIdentity {
    /// With the names that the configuration has.
    fileprivate var json: JSONValue {
        var object: JSONObject = [:]
        func add(_ match: TextMatch, _ name: String, to object: inout JSONObject) {
            switch match {
            case .exactly(let text): object[name] = .string(text)
            case .matching(let expression): object["\(name)RegExp"] = .string(expression.pattern)
            }
        }
        add(name, "certificateIdentity", to: &object)
        add(issuer, "certificateOIDCIssuer", to: &object)
        var wanted: JSONObject = [:]
        for (name, match) in extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            add(match, name.rawValue, to: &wanted)
        }
        object["extensions"] = .object(wanted)
        object["warnings"] = .array(warnings.map { .string($0) })
        return .object(object)
    }
}

extension CosignOverview.Root {
    /// Where it is from, for a person.
    package var source: String {
        guard provider != nil else { return "compiled in: Sigstore's public good instance" }
        return status?.trustedRoot?.source ?? "none in force"
    }

    fileprivate func json(_ overview: CosignOverview) -> JSONValue {
        var object: JSONObject = [:]
        object["provider"] = provider.map(JSONValue.string) ?? .null
        object["source"] = .string(source)
        if let status {
            object["success"] = .bool(status.isSuccess)
            if let error = status.error { object["error"] = .string(error) }
            if let time = status.lastFetched {
                object["lastFetched"] = .string(UTC.text(time))
                object["ageSeconds"] = .number(String(max(0, Int(overview.moment.timeIntervalSince(time)))))
            }
            if let root = status.trustedRoot {
                object["fingerprint"] = .string(root.fingerprint)
                if let end = root.validUntil { object["validUntil"] = .string(UTC.text(end)) }
            }
        }
        object["usedBy"] = .array(uses.map { .string($0) })
        for kind in CosignOverview.Part.Kind.allCases {
            object[kind.member] = .array(parts.filter { $0.kind == kind }.map { $0.json(overview) })
        }
        return .object(object)
    }
}

extension CosignOverview.Part.Kind {
    fileprivate var member: String {
        switch self {
        case .certificateAuthority: "certificateAuthorities"
        case .certificateLog: "certificateLogs"
        case .transparencyLog: "transparencyLogs"
        case .timestampAuthority: "timestampAuthorities"
        }
    }
}

extension CosignOverview.Part {
    fileprivate func json(_ overview: CosignOverview) -> JSONValue {
        var object: JSONObject = ["name": .string(name), "notBefore": .string(UTC.text(start))]
        if let end {
            object["notAfter"] = .string(UTC.text(end))
            object["daysLeft"] = .number(String(overview.days(until: end)))
        }
        object["isCurrent"] = .bool(isCurrent(at: overview.moment))
        object["isSupported"] = .bool(isSupported)
        return .object(object)
    }
}
