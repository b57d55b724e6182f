import Quotation
import StrictJSON

/// The JSON of a manifest or an index, with the checks that both need.
struct ManifestDocument {
    private let object: JSONObject

    /// - Parameter foreignMember: a member that only the other kind of manifest has. A document with both would be
    ///   one thing to one reader and another to the next (CVE-2021-41190).
    init(_ content: [UInt8], mediaType: String, foreignMember: String) throws(ManifestError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(content) } catch { throw ManifestError("it is not valid JSON: \(error)") }
        guard let object = value.object else { throw ManifestError("it is \(value.kind), not a JSON object") }
        self.object = object
        switch object["mediaType"] {
        case nil:
            guard mediaType != MediaType.dockerManifest, mediaType != MediaType.dockerManifestList else {
                throw ManifestError("mediaType is missing")
            }
        case .string(mediaType): break
        case .string(let other):
            throw ManifestError(
                "mediaType is \"\(other.quotedMediaType)\" inside, but it was announced as \"\(mediaType)\"")
        case .some(let other): throw ManifestError("mediaType is \(other.kind), not a string")
        }
        // The artifact manifest has no schemaVersion; everything else that is supported has 2.
        if mediaType != MediaType.artifactManifest || object["schemaVersion"] != nil {
            guard object["schemaVersion"]?.integer == 2 else { throw ManifestError("schemaVersion is not 2") }
        }
        guard object[foreignMember] == nil else {
            throw ManifestError("it has \"\(foreignMember.quoted)\", which does not belong in \(mediaType)")
        }
    }

    /// An optional string; absent, `null` and empty are the same.
    func string(_ name: String) throws(ManifestError) -> String? {
        switch object[name] {
        case nil, .null, .string(""): return nil
        case .string(let text): return text
        case .some(let other): throw ManifestError("\(name) is \(other.kind), not a string")
        }
    }

    func descriptor(_ name: String) throws(ManifestError) -> Descriptor? {
        switch object[name] {
        case nil, .null: return nil
        case .some(let value):
            do { return try Descriptor(json: value) } catch { throw ManifestError("\(name) is wrong: \(error)") }
        }
    }

    func descriptors(_ name: String) throws(ManifestError) -> [Descriptor]? {
        guard let value = object[name] else { return nil }
        guard let array = value.array else { throw ManifestError("\(name) is \(value.kind), not an array") }
        var result: [Descriptor] = []
        result.reserveCapacity(array.count)
        for (position, element) in array.enumerated() {
            do { result.append(try Descriptor(json: element)) } catch {
                throw ManifestError("\(name)[\(position)] is wrong: \(error)")
            }
        }
        return result
    }

    func annotations() throws(ManifestError) -> [String: String] {
        switch object["annotations"] {
        case nil, .null: return [:]
        case .object(let members):
            var result: [String: String] = [:]
            for (name, value) in members.members {
                guard let text = value.string else {
                    throw ManifestError("annotations has a value that is not a string")
                }
                result[name] = text
            }
            return result
        case .some(let other): throw ManifestError("annotations is \(other.kind), not an object")
        }
    }
}
