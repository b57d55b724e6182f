import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport

/// A bundle that `Tests/SigstoreInstance` made, and what verifies it (`bundles.json`).
struct MadeBundle: Sendable {
    let name: String
    let json: JSONValue
    /// The instance whose trusted root it needs.
    let instance: String
    /// The path of what is signed.
    let artifactPath: String
    let artifact: [UInt8]
    var policy: BundlePolicy
    /// Who signed, and who vouches for that; nil for a key.
    let signer: (name: String, issuer: String)?
    /// Why PyPI `sigstore` does not verify it, if it does not.
    let differs: String?

    /// All of them, as they are in the table.
    static let all: Result<[MadeBundle], any Error> = Result {
        let files = try SigstoreScript.made.get()
        guard let table = try JSONValue.made("bundles.json", files)["bundles"]?.array else {
            throw SigstoreScript.Fault(description: "bundles.json has no bundles")
        }
        return try table.map { try MadeBundle($0, files) }
    }

    private init(_ line: JSONValue, _ files: [String: [UInt8]]) throws {
        name = line[["name"]].string ?? ""
        json = try .made("bundles/\(name).json", files)
        instance = line[["instance"]].string ?? ""
        artifactPath = line[["artifact"]].string ?? ""
        artifact = files[artifactPath] ?? []
        differs = line[["differs"]].string
        var policy = BundlePolicy()
        if let key = line[["key"]].string {
            signer = nil
            policy.keys = [try SigningKey(PublicKey(pem: files[key] ?? []))]
        } else {
            let (name, issuer) = (line[["identity"]].string ?? "", line[["issuer"]].string ?? "")
            signer = (name, issuer)
            policy.identities = [CertificateIdentity(name: .exactly(name), issuer: .exactly(issuer))]
        }
        let asked = line[["policy"]]
        if let threshold = asked[["logThreshold"]].integer { policy.logThreshold = Int(threshold) }
        if let threshold = asked[["timestampThreshold"]].integer { policy.timestampThreshold = Int(threshold) }
        if let threshold = asked[["witnessThreshold"]].integer { policy.witnessThreshold = Int(threshold) }
        policy.witnesses = (asked[["witnesses"]].strings ?? []).compactMap(Witness.init(verifierKey:))
        self.policy = policy
    }

    /// The trusted root that an instance is verified with, as JSON.
    static func rootJSON(_ instance: String) throws -> JSONValue {
        try .made("\(instance)/trusted_root.json", try SigstoreScript.made.get())
    }

    /// Verifiers with the trusted roots of all instances, by the instance's name.
    static func verifiers() throws -> [String: BundleVerifier] {
        var verifiers: [String: BundleVerifier] = [:]
        for instance in ["first", "second"] {
            verifiers[instance] = BundleVerifier(root: try TrustedRoot(parsing: rootJSON(instance).bytes))
        }
        return verifiers
    }

    /// Verifies the bundle, or something that was made from it.
    func verify(_ changed: JSONValue? = nil, with verifier: BundleVerifier) -> BundleOutcome {
        verifier.verify(bundle: (changed ?? json).bytes, artifact: .content(artifact), policy: policy)
    }
}

extension JSONValue {
    /// A file that `Tests/SigstoreInstance` made.
    static func made(_ path: String, _ files: [String: [UInt8]]) throws -> JSONValue {
        guard let bytes = files[path] else { throw SigstoreScript.Fault(description: "\(path) was not made") }
        return try StrictJSON.parse(bytes)
    }
}
