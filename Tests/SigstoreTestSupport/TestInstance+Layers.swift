import Encoding
import Foundation
import PKI
import Sigstore
import StrictJSON
import TestSupport

extension TestInstance {
    /// The image that is signed.
    package static let image = ArtifactDigest(of: Array("the image's manifest".utf8))

    /// A signature of cosign as a layer of its manifest.
    package struct Layer: Sendable {
        package var payload: [UInt8]
        package var annotations: [String: String]

        package init(payload: [UInt8], annotations: [String: String]) {
            self.payload = payload
            self.annotations = annotations
        }

        /// The JSON of an annotation, to be changed.
        package subscript(json name: String) -> JSONValue {
            get { (try? StrictJSON.parse(Array((annotations[name] ?? "null").utf8))) ?? .null }
            set { annotations[name] = newValue.text }
        }
    }

    /// The payload that cosign signs.
    package static func payload(
        _ image: ArtifactDigest = image, annotations: JSONValue = .null, reference: String = "registry.example/app"
    ) -> JSONValue {
        [
            "critical": [
                "identity": ["docker-reference": .string(reference)],
                "image": ["docker-manifest-digest": .string(image.description)],
                "type": "cosign container image signature",
            ], "optional": annotations,
        ]
    }

    /// Signs an image as cosign did before version 3. Of the options those that are about bundles and statements play no
    /// part.
    package func signLayer(_ options: Options = Options(), payload: JSONValue = payload()) throws -> Layer {
        try signLayer(options, bytes: payload.bytes)
    }

    package func signLayer(_ options: Options, bytes payload: [UInt8]) throws -> Layer {
        var options = options
        options.artifact = payload
        options.version = "0.1"
        let bundle = try sign(options)
        var layer = Layer(payload: payload, annotations: [:])
        layer.annotations[CosignAnnotation.signature] = bundle[["messageSignature", "signature"]].string
        let material = ["verificationMaterial"]
        if let text = bundle[material + ["x509CertificateChain", "certificates", "0", "rawBytes"]].string {
            layer.annotations[CosignAnnotation.certificate] =
                PEM(label: "CERTIFICATE", der: Base64.decode(text) ?? []).text
            // With the root, as cosign writes it.
            layer.annotations[CosignAnnotation.chain] = fulcio.identity.chain.map(\.pem).joined()
        }
        let entry = bundle[material + ["tlogEntries", "0"]]
        if !entry.isNull {
            layer[json: CosignAnnotation.bundle] = [
                "SignedEntryTimestamp": entry[["inclusionPromise", "signedEntryTimestamp"]],
                "Payload": [
                    "body": entry[["canonicalizedBody"]],
                    "integratedTime": .number(entry[["integratedTime"]].string ?? ""),
                    "logIndex": .number(entry[["logIndex"]].string ?? ""),
                    "logID": .string(Hex.text(Base64.decode(entry[["logId", "keyId"]].string ?? "") ?? [])),
                ],
            ]
        }
        let timestamp = bundle[
            material + ["timestampVerificationData", "rfc3161Timestamps", "0", "signedTimestamp"]]
        if !timestamp.isNull { layer[json: CosignAnnotation.timestamp] = ["SignedRFC3161Timestamp": timestamp] }
        return layer
    }

    package func verify(
        _ layer: Layer, image: ArtifactDigest = image, policy: BundlePolicy = policy, root: TrustedRoot? = nil
    ) throws -> BundleOutcome {
        BundleVerifier(root: try root ?? self.root()).verify(
            layer: layer.payload, annotations: layer.annotations, image: image, policy: policy)
    }

    /// What refuses a layer, as `step kind`; empty when nothing does.
    package func refusal(
        _ layer: Layer, image: ArtifactDigest = image, policy: BundlePolicy = policy, root: TrustedRoot? = nil
    ) throws -> String {
        let outcome = try verify(layer, image: image, policy: policy, root: root)
        return outcome.isVerified ? "" : Self.name(outcome.refusal)
    }

    /// A bundle that signs an image, as cosign 3 makes it.
    package func signImage(
        _ options: Options = Options(), _ image: ArtifactDigest = image, annotations: JSONValue? = nil,
        predicateType: String = CosignMediaType.signaturePredicate
    ) throws -> JSONValue {
        var options = options
        if options.logs == Options().logs { options.logs = [.dsse1] }
        var subject: JSONValue = ["digest": [image.algorithm.rawValue: .string(image.hex)]]
        if let annotations { subject[["annotations"]] = annotations }
        options.statement = [
            "_type": "https://in-toto.io/Statement/v1", "subject": [subject],
            "predicateType": .string(predicateType), "predicate": [:],
        ]
        return try sign(options)
    }

    /// What refuses a bundle as the signature of an image.
    package func refusal(
        imageBundle bundle: JSONValue, image: ArtifactDigest = image, policy: BundlePolicy = policy
    ) throws -> String {
        let outcome = BundleVerifier(root: try root()).verify(
            imageBundle: bundle.bytes, image: image, policy: policy)
        return outcome.isVerified ? "" : Self.name(outcome.refusal)
    }
}
