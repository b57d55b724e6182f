import FoundationEssentials
import Notation
import OCI
import PKI
import StrictJSON
import TestSupport

/// What is measured: envelopes with real chains of three certificates, and the documents around them.
struct MicroSubjects: Sendable {
    struct Signed: Sendable {
        let name: String
        let chain: [Certificate]
        let jws: [UInt8]
        let cose: [UInt8]
    }

    let image = Descriptor(of: Array("an image".utf8), mediaType: MediaType.ociManifest)
    let rsa: Signed
    let p256: Signed
    let trustPolicy: TrustPolicyDocument
    let signatureManifest: [UInt8]
    let referrers: [UInt8]

    init() throws {
        rsa = try Self.signed("RSA-2048", .rsa(bits: 2048), image)
        p256 = try Self.signed("P-256", .ec(.p256), image)
        trustPolicy = try TrustPolicyDocument(json: [
            "version": "1.0",
            "trustPolicies": .array(
                // As a company with many teams has them, and one for everything else.
                (0..<200).map { Self.statement("team-\($0)", scope: "registry.example.com/team-\($0)/app") }
                    + [Self.statement("others", scope: "*")]),
        ])
        let manifest = Manifest(
            config: Descriptor(of: Array("{}".utf8), mediaType: MediaType.notationSignature),
            layers: [Descriptor(of: rsa.jws, mediaType: MediaType.notationJWS)], subject: image,
            annotations: [
                "io.cncf.notary.x509chain.thumbprint#S256": JSONValue.array(rsa.chain.map { .string($0.sha256Hex) })
                    .text,
                "org.opencontainers.image.created": "2026-11-21T12:00:00Z",
            ])
        signatureManifest = manifest.json.bytes
        let entry = Descriptor(
            of: signatureManifest, mediaType: MediaType.ociManifest, artifactType: MediaType.notationSignature,
            annotations: manifest.annotations)
        let index: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": [entry.json, entry.json],
        ]
        referrers = index.bytes
    }

    private static func signed(_ name: String, _ kind: PublicKey.Kind, _ image: Descriptor) throws -> Signed {
        let identity = try CertificateAuthority(name: "root", key: kind).intermediate("issuing", key: kind)
            .issue(.codeSigning("signer"), key: kind)
        let signer = try EnvelopeSigner(key: identity.key, chain: identity.chain)
        return Signed(
            name: name, chain: identity.chain,
            jws: try signer.sign(image, SigningOptions(format: .jws), now: Date()),
            cose: try signer.sign(image, SigningOptions(format: .cose), now: Date()))
    }

    private static func statement(_ name: String, scope: String) -> JSONValue {
        [
            "name": .string(name), "registryScopes": [.string(scope)],
            "signatureVerification": ["level": "strict"], "trustStores": ["ca:release"],
            "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Countersign Tests"],
        ]
    }
}
