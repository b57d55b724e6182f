import Encoding
import Foundation
import PKI
import Sigstore
import StrictJSON
import TestSupport

extension TestInstance {
    /// The logs that a signature can be put into, by the kind of the entry.
    package enum Log: String, CaseIterable, Sendable {
        case hashedRekord1 = "hashedrekord 0.0.1"
        case dsse1 = "dsse 0.0.1"
        case inToto2 = "intoto 0.0.2"
        case hashedRekord2 = "hashedrekord 0.0.2"
        case dsse2 = "dsse 0.0.2"

        package var kind: String { String(rawValue.split(separator: " ")[0]) }
        package var version: String { String(rawValue.split(separator: " ")[1]) }
        package var isVersion2: Bool { self == .hashedRekord2 || self == .dsse2 }
    }

    /// What is made, and how.
    package struct Options: Sendable {
        package var artifact = Array("the artifact\n".utf8)
        /// The predicate type of a statement about the artifact; nil for a signature over the artifact itself.
        package var predicateType: String?
        /// The statement itself, instead of one about the artifact.
        package var statement: JSONValue?
        package var payloadType = "application/vnd.in-toto+json"
        package var key: PublicKey.Kind = .ec(.p256)
        package var scheme: SignatureAlgorithm.Scheme?
        /// The managed key that signs; nil for a certificate.
        package var managedKey: PrivateKey?
        package var leaf = Leaf()
        package var logs: [Log] = [.hashedRekord1]
        package var timestamps = 0
        package var timestampOffset: TimeInterval = 10
        package var integratedOffset: TimeInterval = 20
        package var version = "0.3"
        package var hasPromise = true
        /// Lines to put below each checkpoint, made from its text.
        package var moreSignatures: (@Sendable (String) throws -> String)?
        /// Changes of an entry's body before it is logged.
        package var changeBody: (@Sendable (inout JSONValue) -> Void)?
        /// Whether the promise of a certificate transparency log is in the certificate.
        package var isCertificateLogged = true

        package init() {}
    }

    /// Signs, as a signer does with this instance, and gives the bundle.
    package func sign(_ options: Options = Options()) throws -> JSONValue {
        let key = try options.managedKey ?? PrivateKey.generate(options.key)
        let scheme = options.scheme ?? key.publicKey.usualScheme
        var leaf = options.leaf
        if options.isCertificateLogged, leaf.certificateLog == nil { leaf.certificateLog = certificateLogKey }
        let certificate = options.managedKey == nil ? try certificate(for: key.publicKey, leaf) : nil

        var bundle: JSONValue = [
            "mediaType": .string(
                options.version == "0.3"
                    ? "application/vnd.dev.sigstore.bundle.v0.3+json"
                    : "application/vnd.dev.sigstore.bundle+json;version=\(options.version)"),
            "verificationMaterial": ["tlogEntries": []],
        ]
        let signed: [UInt8]
        var payload: [UInt8] = []
        if options.predicateType != nil || options.statement != nil {
            payload = (options.statement ?? statement(about: options.artifact, options.predicateType ?? "")).bytes
            signed =
                Array("DSSEv1 \(options.payloadType.utf8.count) \(options.payloadType) \(payload.count) ".utf8)
                + payload
        } else {
            signed = options.artifact
        }
        let signature = try key.signature(over: signed, scheme: scheme)
        if payload.isEmpty {
            bundle[["messageSignature"]] = [
                "messageDigest": [
                    "algorithm": "SHA2_256", "digest": .string(Base64.encode(Self.sha256(options.artifact))),
                ], "signature": .string(Base64.encode(signature)),
            ]
        } else {
            bundle[["dsseEnvelope"]] = [
                "payload": .string(Base64.encode(payload)), "payloadType": .string(options.payloadType),
                "signatures": [["sig": .string(Base64.encode(signature))]],
            ]
        }
        if let certificate {
            let item: JSONValue = ["rawBytes": .string(Base64.encode(certificate.der))]
            if options.version == "0.3" {
                bundle[["verificationMaterial", "certificate"]] = item
            } else {
                bundle[["verificationMaterial", "x509CertificateChain"]] = ["certificates": [item]]
            }
        } else {
            bundle[["verificationMaterial", "publicKey"]] = [
                "hint": .string(Base64.encode(Self.sha256(key.publicKey.spkiDER)))
            ]
        }
        var entries: [JSONValue] = []
        for log in options.logs {
            var body = body(
                log, signature: signature, signed: signed, payload: payload, options, key.publicKey, certificate)
            options.changeBody?(&body)
            entries.append(try entry(log, body: body.bytes, options))
        }
        bundle[["verificationMaterial", "tlogEntries"]] = .array(entries)
        if options.timestamps > 0 {
            var authority = TimestampAuthority(timestampSigner)
            authority.time = Self.signingTime.addingTimeInterval(options.timestampOffset)
            bundle[["verificationMaterial", "timestampVerificationData"]] = [
                "rfc3161Timestamps": .array(
                    try (0..<options.timestamps).map { _ in
                        ["signedTimestamp": .string(Base64.encode(Self.response(try authority.token(over: signature))))]
                    })
            ]
        }
        return bundle
    }

    /// A TimeStampResp around a token.
    package static func response(_ token: [UInt8]) -> [UInt8] {
        DERWriter.sequence([DERWriter.sequence([DERWriter.integer(0)]), token])
    }

    package func statement(about artifact: [UInt8], _ predicateType: String) -> JSONValue {
        [
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [["name": "app", "digest": ["sha256": .string(Hex.text(Self.sha256(artifact)))]]],
            "predicateType": .string(predicateType), "predicate": ["builder": "somebody"],
        ]
    }

    private func body(
        _ log: Log, signature: [UInt8], signed: [UInt8], payload: [UInt8], _ options: Options, _ key: PublicKey,
        _ certificate: Certificate?
    ) -> JSONValue {
        let pem = certificate?.pem ?? PEM(label: "PUBLIC KEY", der: key.spkiDER).text
        let verifier: JSONValue = .string(Base64.encode(Array(pem.utf8)))
        let content: JSONValue = .string(Base64.encode(signature))
        let details: String =
            switch key.kind {
            case .ec(.p384): "PKIX_ECDSA_P384_SHA_384"
            case .ec(.p521): "PKIX_ECDSA_P521_SHA_512"
            case .rsa: "PKIX_RSA_PKCS1V15_2048_SHA256"
            case .other: "PKIX_ED25519"
            default: "PKIX_ECDSA_P256_SHA_256"
            }
        let verifier2: JSONValue =
            if let certificate {
                [
                    "keyDetails": .string(details),
                    "x509Certificate": ["rawBytes": .string(Base64.encode(certificate.der))],
                ]
            } else {
                ["keyDetails": .string(details), "publicKey": ["rawBytes": .string(Base64.encode(key.spkiDER))]]
            }
        func hex(_ bytes: [UInt8]) -> JSONValue {
            ["algorithm": "sha256", "value": .string(Hex.text(Self.sha256(bytes)))]
        }
        func hash(_ bytes: [UInt8]) -> JSONValue {
            ["algorithm": "SHA2_256", "digest": .string(Base64.encode(Self.sha256(bytes)))]
        }
        let spec: JSONValue =
            switch log {
            case .hashedRekord1:
                ["data": ["hash": hex(signed)], "signature": ["content": content, "publicKey": ["content": verifier]]]
            case .dsse1:
                [
                    "envelopeHash": hex(Array("the envelope".utf8)), "payloadHash": hex(payload),
                    "signatures": [["signature": content, "verifier": verifier]],
                ]
            case .inToto2:
                [
                    "content": [
                        "envelope": [
                            "payloadType": .string(options.payloadType),
                            "signatures": [
                                [
                                    "publicKey": verifier,
                                    "sig": .string(Base64.encode(Array(Base64.encode(signature).utf8))),
                                ]
                            ],
                        ], "hash": hex(Array("the envelope".utf8)), "payloadHash": hex(payload),
                    ]
                ]
            case .hashedRekord2:
                ["hashedRekordV002": ["data": hash(signed), "signature": ["content": content, "verifier": verifier2]]]
            case .dsse2:
                [
                    "dsseV002": [
                        "payloadHash": hash(payload), "signatures": [["content": content, "verifier": verifier2]],
                    ]
                ]
            }
        return ["apiVersion": .string(log.version), "kind": .string(log.kind), "spec": spec]
    }

    /// A log's entry with this body.
    package func entry(_ log: Log, body: [UInt8], _ options: Options = Options()) throws -> JSONValue {
        let (root, hashes) = Self.tree(around: body)
        let identifier = log.isVersion2 ? rekor2KeyID : Self.sha256(rekorKey.publicKey.spkiDER)
        let host = log.isVersion2 ? rekor2Host : rekorHost
        let text = Self.note(log.isVersion2 ? host : "\(host) - 1193050959916656506", size: 7, root: root)
        let signature =
            log.isVersion2
            ? try rekor2Key.signature(over: Array(text.utf8), scheme: .ed25519)
            : try rekorKey.signature(over: Array(text.utf8), scheme: .ecdsa(.sha256))
        var checkpoint = text + "\n" + Self.signatureLine(host, identifier, signature)
        checkpoint += try options.moreSignatures?(text) ?? ""
        var entry: JSONValue = [
            "logIndex": .string(log.isVersion2 ? "3" : "1003"), "logId": ["keyId": .string(Base64.encode(identifier))],
            "kindVersion": ["kind": .string(log.kind), "version": .string(log.version)],
            "inclusionProof": [
                "logIndex": "3", "rootHash": .string(Base64.encode(root)), "treeSize": "7",
                "hashes": .array(hashes.map { .string(Base64.encode($0)) }),
                "checkpoint": ["envelope": .string(checkpoint)],
            ], "canonicalizedBody": .string(Base64.encode(body)),
        ]
        guard !log.isVersion2, options.hasPromise else { return entry }
        let seconds = Int(Self.signingTime.addingTimeInterval(options.integratedOffset).timeIntervalSince1970)
        entry[["integratedTime"]] = .string(String(seconds))
        let promised =
            "{\"body\":\"\(Base64.encode(body))\",\"integratedTime\":\(seconds),"
            + "\"logID\":\"\(Hex.text(identifier))\",\"logIndex\":1003}"
        entry[["inclusionPromise"]] = [
            "signedEntryTimestamp": .string(
                Base64.encode(try rekorKey.signature(over: Array(promised.utf8), scheme: .ecdsa(.sha256))))
        ]
        return entry
    }

    // MARK: Verifying

    package static let identity = CertificateIdentity(
        name: .exactly(Leaf().subject), issuer: .exactly(Leaf().issuer))

    package static let policy = BundlePolicy(identities: [identity])

    /// Verifies a bundle of this instance.
    package func verify(
        _ bundle: JSONValue, artifact: [UInt8] = Options().artifact, policy: BundlePolicy = Self.policy,
        root: TrustedRoot? = nil
    ) throws -> BundleOutcome {
        BundleVerifier(root: try root ?? self.root()).verify(
            bundle: bundle.bytes, artifact: .content(artifact), policy: policy)
    }

    /// What refuses a bundle, as `step kind`; empty when nothing does.
    package func refusal(
        _ bundle: JSONValue, artifact: [UInt8] = Options().artifact, policy: BundlePolicy = Self.policy,
        root: TrustedRoot? = nil
    ) throws -> String {
        let outcome = try verify(bundle, artifact: artifact, policy: policy, root: root)
        return outcome.isVerified ? "" : Self.name(outcome.refusal)
    }

    /// An error as `step kind`.
    package static func name(_ error: (any StepError)?) -> String {
        switch error {
        case let error as BundleError: "bundle \(error.kind.rawValue)"
        case let error as SigningKeyError: "signingKey \(error.kind.rawValue)"
        case let error as ProvenTimeError: "provenTime \(error.kind.rawValue)"
        case let error as CertificateChainError: "certificateChain \(error.kind.rawValue)"
        case let error as CertificateTimestampError: "certificateTimestamp \(error.kind.rawValue)"
        case let error as TransparencyError: "transparency \(error.kind.rawValue)"
        case let error as ArtifactSignatureError: "signature \(error.kind.rawValue)"
        case let error as IdentityError: "identity \(error.kind.rawValue)"
        default: "none"
        }
    }
}
