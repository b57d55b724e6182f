import Quotation
import StrictJSON

/// An in-toto statement: what somebody says about artifacts (in-toto attestation framework, "Statement", v1 and v0.1).
public struct InTotoStatement: Sendable {
    /// What the statement is about.
    public struct Subject: Sendable {
        /// The name that the signer gave it; it proves nothing.
        public let name: String?
        /// Its digests, by algorithm: those that are hashes of the artifact's content, and others.
        public let digests: [String: String]
        /// What the signer said beside (`cosign sign -a name=value`).
        public let annotations: JSONObject
    }

    /// What the statement is about.
    public let subjects: [Subject]
    /// What kind of statement it is.
    public let predicateType: String
    /// What it says.
    public let predicate: JSONValue?

    private static let types = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"]

    /// Reads a payload. Whatever cannot be read is no statement: nothing that fails here counts as anything.
    init(parsing payload: [UInt8]) throws(ArtifactSignatureError) {
        func fault(_ problem: String) -> ArtifactSignatureError {
            ArtifactSignatureError(.malformedStatement, "the envelope's payload is no in-toto statement: \(problem)")
        }
        let json: JSONValue
        do { json = try StrictJSON.parse(payload) } catch { throw fault("\(error)") }
        guard let type = json["_type"]?.string else { throw fault("the member \"_type\" is missing") }
        guard Self.types.contains(where: { isSame($0, type) }) else {
            throw fault("its type is \"\(type.quoted)\", expected \(Self.types.joined(separator: " or "))")
        }
        guard let predicateType = json["predicateType"]?.string, !predicateType.isEmpty else {
            throw fault("the member \"predicateType\" is missing")
        }
        guard let list = json["subject"]?.array, !list.isEmpty else { throw fault("it has no subject") }
        guard list.count <= SigstoreLimits.statementSubjects else {
            throw fault("it has \(list.count) subjects; at most \(SigstoreLimits.statementSubjects) are accepted")
        }
        var subjects: [Subject] = []
        for (index, item) in list.enumerated() {
            guard let members = item["digest"]?.object?.members else {
                throw fault("subject \(index + 1) has no digest")
            }
            var digests: [String: String] = [:]
            for member in members {
                guard let text = member.value.string else { throw fault("a digest of subject \(index + 1) is no text") }
                digests[member.name] = text
            }
            let annotations: JSONObject
            switch item["annotations"] {
            case nil, .null?: annotations = JSONObject()
            case .object(let object)?: annotations = object
            case _?: throw fault("the annotations of subject \(index + 1) are no object")
            }
            subjects.append(Subject(name: item["name"]?.string, digests: digests, annotations: annotations))
        }
        self.subjects = subjects
        self.predicateType = predicateType
        predicate = json["predicate"]
    }

    /// The subjects that are the artifact: of their digests those that can be compared, and at least one of them, must
    /// all be the artifact's.
    func subjects(about artifact: Artifact) -> [Subject] {
        // Each hash of the content is computed once, not for each subject.
        var own: [String: String] = [:]
        for algorithm in ArtifactDigest.Algorithm.allCases
        where subjects.contains(where: { $0.digests[algorithm.rawValue] != nil }) {
            own[algorithm.rawValue] = artifact.digest(algorithm)?.hex
        }
        return subjects.filter { subject in
            let comparable = subject.digests.filter { own[$0.key] != nil }
            return !comparable.isEmpty && comparable.allSatisfy { isSame($0.value, own[$0.key] ?? "") }
        }
    }
}
