import Encoding
import FoundationEssentials
import Notation
import PKI
import Quotation
import Sigstore
import StrictJSON

// What `discover` and `inspect` print of cosign's forms (docs/cli.md).

extension CosignArtifact {
    /// All that its parts say, each for itself.
    var json: [JSONValue] {
        var own: JSONObject = ["manifest": .string(manifest.digest.description)]
        if let tag { own["tag"] = .string(tag) }
        if let problem { own["manifestError"] = .string(problem) }
        guard !parts.isEmpty else { return [.object(own)] }
        return parts.map { part in
            var object = own
            for (name, value) in part.json.members { object[name] = value }
            return .object(object)
        }
    }
}

extension CosignArtifact.Part {
    /// What tells one part from the others.
    private var heading: JSONObject {
        var object: JSONObject = ["form": .string(form.rawValue)]
        if let descriptor {
            object["digest"] = .string(descriptor.digest.description)
            object["mediaType"] = .string(descriptor.mediaType.quotedMediaType)
            object["size"] = .number(String(descriptor.size))
        }
        return object
    }

    /// In a few words.
    var summary: JSONObject {
        var object = heading
        switch content {
        case .failure(let reason): object["error"] = .string(reason.description)
        case .success(let bundle):
            object["kind"] = .string(StatedKind(bundle).rawValue)
            if let type = bundle.statedPredicateType { object["predicateType"] = .string(type) }
            object["signedWith"] = .string(bundle.isByCertificate ? "certificate" : "key")
            object["logEntries"] = .number(String(bundle.logEntries.count))
            object["timestamps"] = .number(String(bundle.timestamps.count))
        }
        return object
    }

    /// All that it says.
    var json: JSONObject {
        var object = heading
        switch content {
        case .failure(let reason): object["error"] = .string(reason.description)
        case .success(let bundle): bundle.describe(in: &object)
        }
        return object
    }
}

extension Bundle {
    fileprivate var isByCertificate: Bool { if case .certificate = key { true } else { false } }

    fileprivate func describe(in object: inout JSONObject) {
        if let version { object["version"] = .string(version.rawValue) }
        object["kind"] = .string(StatedKind(self).rawValue)
        describeSigner(in: &object)
        object["logEntries"] = .array(logEntries.map(\.statedJSON))
        object["timestamps"] = .array(timestamps.map(Self.json(ofTimestamp:)))
        describeContent(in: &object)
    }

    private func describeSigner(in object: inout JSONObject) {
        object["signedWith"] = .string(isByCertificate ? "certificate" : "key")
        switch key {
        case .publicKey(let hint): if !hint.isEmpty { object["keyHint"] = .string(hint) }
        case .certificate(let leaf, let intermediates):
            do { object["identity"] = try SignerIdentity(leaf).statedJSON } catch {
                object["identity"] = ["error": .string(error.description)]
            }
            object["certificates"] = .array(([leaf] + intermediates).map(\.json))
        }
    }

    private func describeContent(in object: inout JSONObject) {
        do throws(ArtifactSignatureError) {
            if let payload = try statedPayload() { object["payload"] = payload.statedJSON }
            if let statement = try statedStatement() {
                object["predicateType"] = .string(statement.predicateType)
                object["subjects"] = .array(statement.subjects.map(\.statedJSON))
            }
        } catch { object["error"] = .string(error.description) }
        switch content {
        case .simpleSigning: break
        case .message(let message):
            if let digest = message.digest { object["artifact"] = .string(digest.description) }
        case .envelope(let envelope): object["payloadType"] = .string(envelope.payloadType)
        }
    }

    private static func json(ofTimestamp response: [UInt8]) -> JSONValue {
        do {
            let token = try TimestampToken(response: response)
            var object: JSONObject = ["time": .string(UTC.text(token.info.time))]
            if let authority = token.certificates.first(where: { !$0.isCA }) {
                object["authority"] = .string(authority.subject.description)
            }
            return .object(object)
        } catch { return ["error": .string("\(error)")] }
    }
}

extension SignerIdentity {
    fileprivate var statedJSON: JSONValue {
        var extensions = JSONObject()
        // In the order of their numbers, which groups them.
        for name in FulcioExtension.allCases where name != .issuer {
            if let value = self.extensions[name] { extensions[name.rawValue] = .string(value) }
        }
        var object: JSONObject = [
            "names": .array(names.map { ["kind": .string($0.kind.rawValue), "text": .string($0.text)] })
        ]
        if let issuer { object["issuer"] = .string(issuer) }
        object["extensions"] = .object(extensions)
        return .object(object)
    }
}

extension LogEntry {
    fileprivate var statedJSON: JSONValue {
        var object: JSONObject = ["logID": .string(Hex.text(logID))]
        if let statedLogName { object["log"] = .string(statedLogName) }
        object["logIndex"] = .number(String(logIndex))
        object["kind"] = .string(version.isEmpty ? kind : "\(kind) \(version)")
        if let integratedTime { object["integratedTime"] = .string(UTC.text(integratedTime)) }
        object["hasPromise"] = .bool(signedEntryTimestamp != nil)
        object["hasInclusionProof"] = .bool(inclusionProof != nil)
        return .object(object)
    }
}

extension SimpleSigningPayload {
    fileprivate var statedJSON: JSONValue {
        [
            "imageDigest": .string(imageDigest.description), "dockerReference": .string(dockerReference),
            "optional": .object(optional),
        ]
    }
}

extension InTotoStatement.Subject {
    fileprivate var statedJSON: JSONValue {
        var object = JSONObject()
        if let name { object["name"] = .string(name) }
        var digest = JSONObject()
        for (algorithm, text) in digests.sorted(by: { $0.key < $1.key }) { digest[algorithm] = .string(text) }
        object["digest"] = .object(digest)
        if !annotations.isEmpty { object["annotations"] = .object(annotations) }
        return .object(object)
    }
}
