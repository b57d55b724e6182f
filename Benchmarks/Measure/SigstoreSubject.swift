import Crypto
import Expressions
import PKI
import Sigstore
import StrictJSON
import TestSupport

/// A bundle and a layer of cosign in memory, with all that their verification needs: made by `Tests/SigstoreInstance`.
struct SigstoreSubject: Sendable {
    private let files: [String: [UInt8]]
    private let bundle: [UInt8]
    private let artifact: [UInt8]
    private let root: TrustedRoot
    private let identity: (name: String, issuer: String)
    private let known: BundleVerifier

    private let layer: (payload: [UInt8], annotations: [String: String], image: ArtifactDigest)
    private let layerKey: SigningKey
    private let layers: BundleVerifier

    /// Makes a Sigstore instance, and signs with it. All keys but Fulcio's, on P-384, are on P-256.
    init() throws {
        files = try SigstoreScript.made.get()
        bundle = try Self.file("bundles/version-0.3-certificate.json", files)
        artifact = try Self.file("artifact", files)
        root = try TrustedRoot(parsing: Self.file("first/trusted_root.json", files))
        let table = try StrictJSON.parse(Self.file("bundles.json", files))
        guard
            let line = table["bundles"]?.array?.first(where: { $0["name"]?.string == "version-0.3-certificate" }),
            let name = line["identity"]?.string, let issuer = line["issuer"]?.string
        else { throw BenchmarkError("the bundle has no identity") }
        identity = (name, issuer)
        known = BundleVerifier(root: root)

        layer = try Self.layer(of: "legacy-key", files)
        layerKey = try SigningKey(PublicKey(pem: Self.file("images/keys/cosign.pub", files)))
        layers = BundleVerifier(root: try TrustedRoot(parsing: Self.file("images/trusted_root.json", files)))
    }

    private static func file(_ path: String, _ files: [String: [UInt8]]) throws -> [UInt8] {
        guard let content = files[path] else { throw BenchmarkError("\(path) was not made") }
        return content
    }

    /// The first signature at an image's tag of cosign 2.
    private static func layer(
        of image: String, _ files: [String: [UInt8]]
    ) throws -> (payload: [UInt8], annotations: [String: String], image: ArtifactDigest) {
        func blob(_ descriptor: JSONValue) throws -> [UInt8] {
            try file("layout/blobs/" + (descriptor["digest"]?.string ?? "").replacing(":", with: "/"), files)
        }
        let images = try StrictJSON.parse(file("images.json", files))["images"]?.array
        guard let digest = images?.first(where: { $0["name"]?.string == image })?["digest"]?.string,
            let parsed = ArtifactDigest(parsing: digest),
            let signed = try StrictJSON.parse(file("layout/index.json", files))["manifests"]?.array?.first(where: {
                $0["annotations"]?["org.opencontainers.image.ref.name"]?.string
                    == digest.replacing(":", with: "-") + ".sig"
            }), let layer = try StrictJSON.parse(blob(signed))["layers"]?.array?.first
        else { throw BenchmarkError("the image \(image) is not signed") }
        var annotations: [String: String] = [:]
        for (name, value) in layer["annotations"]?.object?.members ?? [] { annotations[name] = value.string }
        return (try blob(layer), annotations, parsed)
    }

    /// A policy that names other identities before the right one.
    func policy(identities: Int, asExpressions: Bool = false) throws -> BundlePolicy {
        func identity(_ name: String) throws -> CertificateIdentity {
            CertificateIdentity(
                name: asExpressions
                    ? .matching(try WholeExpression(name.replacing(".", with: "\\.") + ".*")) : .exactly(name),
                issuer: .exactly(self.identity.issuer))
        }
        var names = (1..<identities).map { "\(self.identity.name)-\($0)" }
        names.append(self.identity.name)
        return BundlePolicy(identities: try names.map(identity))
    }

    /// The whole verification of the bundle, its certificate seen before.
    func verifyKnown(_ policy: BundlePolicy) -> Bool {
        known.verify(bundle: bundle, artifact: .content(artifact), policy: policy).isVerified
    }

    /// The whole verification of the bundle, its certificate never seen.
    func verifyUnknown(_ policy: BundlePolicy) -> Bool {
        BundleVerifier(root: root).verify(bundle: bundle, artifact: .content(artifact), policy: policy).isVerified
    }

    /// The whole verification of the layer, by a key.
    func verifyLayer(isLogged: Bool) -> Bool {
        var policy = BundlePolicy(keys: [layerKey])
        policy.logThreshold = isLogged ? 1 : 0
        return layers.verify(
            layer: layer.payload, annotations: layer.annotations, image: layer.image, policy: policy
        ).isVerified
    }

    /// Reading the bundle alone.
    func read() -> Bool { (try? Bundle(parsing: bundle)) != nil }
}

/// One signature check of swift-crypto, with a key that was parsed before: what a proof costs at least.
struct BareCheck: Sendable {
    private let p256: (key: P256.Signing.PublicKey, signature: P256.Signing.ECDSASignature)
    private let p384: (key: P384.Signing.PublicKey, signature: P384.Signing.ECDSASignature)
    private let message = [UInt8](repeating: 7, count: 600)

    init() throws {
        let small = P256.Signing.PrivateKey()
        p256 = (small.publicKey, try small.signature(for: SHA256.hash(data: message)))
        let large = P384.Signing.PrivateKey()
        p384 = (large.publicKey, try large.signature(for: SHA384.hash(data: message)))
    }

    func verifyP256() -> Bool { p256.key.isValidSignature(p256.signature, for: SHA256.hash(data: message)) }
    func verifyP384() -> Bool { p384.key.isValidSignature(p384.signature, for: SHA384.hash(data: message)) }
}
