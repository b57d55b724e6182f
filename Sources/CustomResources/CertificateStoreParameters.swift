import ConfigurationModel
import StrictJSON
import YAML

/// Parameters of a CertificateStore, which Ratify had before 1.2, in the words of a KeyManagementProvider.
enum CertificateStoreParameters {
    static func translated(_ parameters: JSONObject, type: CertificateSourceType) throws(ConfigurationError)
        -> JSONObject
    {
        var result = parameters
        switch type {
        case .inline: result["contentType"] = "certificate"
        case .azureKeyVault:
            if case .string(let text)? = parameters["certificates"] {
                result["certificates"] = .array(try certificates(text))
            }
        case .files, .sigstore: break
        }
        return result
    }

    /// `array:` with texts of YAML, each with `certificateName` and `certificateVersion`, or `name` and `version`.
    private static func certificates(_ text: String) throws(ConfigurationError) -> [JSONValue] {
        let path = "spec.parameters.certificates"
        guard let entries = try yaml(text, path)["array"]?.array else {
            throw ConfigurationError(path: path, problem: "has no member \"array\" with a list of certificates")
        }
        var result: [JSONValue] = []
        for (index, entry) in entries.enumerated() {
            let place = "\(path).array[\(index)]"
            let value = try entry.string.map { text throws(ConfigurationError) in try yaml(text, place) } ?? entry
            var certificate: JSONObject = [:]
            for member in ["certificateName", "name", "certificateVersion", "version"] {
                switch value[member] {
                case .string(let text)? where !text.isEmpty: certificate[member] = .string(text)
                case nil, .null?, .string?: break
                case .number?:
                    // One without letters; as a number it is no longer what was written.
                    throw ConfigurationError(path: "\(place).\(member)", problem: "is a number: put it in quotes")
                case let other?:
                    throw ConfigurationError(path: "\(place).\(member)", problem: "is \(other.kind): expected a string")
                }
            }
            guard certificate["certificateName"] != nil || certificate["name"] != nil else {
                throw ConfigurationError(path: "\(place).certificateName", problem: "is missing or empty")
            }
            // Both spellings at once stay both: whoever reads them says when they disagree.
            for (older, name) in [("certificateName", "name"), ("certificateVersion", "version")]
            where certificate[name] == nil {
                if let value = certificate[older] {
                    certificate[name] = value
                    certificate[older] = nil
                }
            }
            result.append(.object(certificate))
        }
        return result
    }

    private static func yaml(_ text: String, _ path: String) throws(ConfigurationError) -> JSONValue {
        do { return try YAML.parseOne(Array(text.utf8)) ?? .null } catch {
            throw ConfigurationError(path: path, problem: "is not valid YAML: \(error)")
        }
    }
}
