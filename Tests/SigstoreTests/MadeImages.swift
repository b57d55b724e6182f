import Encoding
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport

/// The signed images that `Tests/SigstoreInstance` made (`images.json` and its layout).
struct MadeImages {
    /// One signature, in either form.
    enum Signature: Sendable {
        case layer(payload: [UInt8], annotations: [String: String])
        case bundle([UInt8])

        var isLayer: Bool { if case .layer = self { true } else { false } }

        func verify(_ image: ArtifactDigest, _ policy: BundlePolicy, _ verifier: BundleVerifier) -> BundleOutcome {
            switch self {
            case .layer(let payload, let annotations):
                verifier.verify(layer: payload, annotations: annotations, image: image, policy: policy)
            case .bundle(let bytes): verifier.verify(imageBundle: bytes, image: image, policy: policy)
            }
        }
    }

    struct Image: Sendable {
        let name: String
        let digest: ArtifactDigest
        let verifiedBy: Set<String>
        /// How many signatures of each form it has.
        let layers: Int
        let bundles: Int
        let signatures: [Signature]
    }

    let all: [Image]
    let policies: [String: BundlePolicy]
    let root: TrustedRoot

    init() throws {
        let files = try SigstoreScript.made.get()
        let table = try JSONValue.made("images.json", files)
        root = try TrustedRoot(parsing: JSONValue.made(table[["trustedRoot"]].string ?? "", files).bytes)
        var policies: [String: BundlePolicy] = [:]
        for (name, asked) in table[["policies"]].object?.members ?? [] {
            policies[name] = try Self.policy(asked, files)
        }
        self.policies = policies
        let layout = try Layout(files)
        all = try (table[["images"]].array ?? []).map { line in
            let digest = line[["digest"]].string ?? ""
            guard let parsed = ArtifactDigest(parsing: digest) else {
                throw SigstoreScript.Fault(description: "\(digest) is no digest")
            }
            return Image(
                name: line[["name"]].string ?? "", digest: parsed,
                verifiedBy: Set(line[["verifiedBy"]].strings ?? []), layers: Int(line[["legacy"]].integer ?? -1),
                bundles: Int(line[["bundles"]].integer ?? -1), signatures: try layout.signatures(of: digest))
        }
    }

    private static func policy(_ asked: JSONValue, _ files: [String: [UInt8]]) throws -> BundlePolicy {
        var policy = BundlePolicy()
        if let key = asked[["key"]].string {
            policy.keys = [try SigningKey(PublicKey(pem: files[key] ?? []))]
        } else {
            policy.identities = [
                CertificateIdentity(
                    name: .exactly(asked[["identity"]].string ?? ""), issuer: .exactly(asked[["issuer"]].string ?? ""))
            ]
        }
        if asked[["tLogVerify"]].bool == false { policy.logThreshold = 0 }
        for (name, value) in asked[["annotations"]].object?.members ?? [] {
            policy.annotations[name] = value.string ?? ""
        }
        return policy
    }

    /// The layout, as far as signatures are in it.
    private struct Layout {
        let files: [String: [UInt8]]
        let manifests: [JSONValue]

        init(_ files: [String: [UInt8]]) throws {
            self.files = files
            manifests = try JSONValue.made("layout/index.json", files)[["manifests"]].array ?? []
        }

        func blob(_ descriptor: JSONValue) throws -> [UInt8] {
            let path = "layout/blobs/" + (descriptor[["digest"]].string ?? "").replacing(":", with: "/")
            guard let content = files[path] else { throw SigstoreScript.Fault(description: "\(path) was not made") }
            return content
        }

        /// At the tag of cosign 2, and the referrers of cosign 3.
        func signatures(of digest: String) throws -> [Signature] {
            var signatures: [Signature] = []
            for descriptor in manifests {
                let manifest = try StrictJSON.parse(blob(descriptor))
                let tag = descriptor[["annotations", "org.opencontainers.image.ref.name"]].string
                if tag == digest.replacing(":", with: "-") + ".sig" {
                    for layer in manifest[["layers"]].array ?? [] {
                        var annotations: [String: String] = [:]
                        for (name, value) in layer[["annotations"]].object?.members ?? [] {
                            annotations[name] = value.string
                        }
                        signatures.append(.layer(payload: try blob(layer), annotations: annotations))
                    }
                } else if manifest[["subject", "digest"]].string == digest {
                    signatures.append(.bundle(try blob(manifest[["layers", "0"]])))
                }
            }
            return signatures
        }
    }
}
