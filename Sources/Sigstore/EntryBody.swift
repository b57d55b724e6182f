import Encoding
import PKI
import Quotation
import StrictJSON

/// The body of a log entry, as far as it says what was signed, by what key, and with what signature.
struct EntryBody {
    /// What the entry says was signed.
    enum Subject {
        /// Something with this digest: the artifact, or the encoding that an envelope's signature is over.
        case message(ArtifactDigest)
        /// An envelope whose payload has this digest, of this type where the entry says it.
        case payload(ArtifactDigest, type: String?)
    }

    /// The key that the entry was verified with when the log took it in.
    enum Verifier: Equatable {
        case certificate(der: [UInt8])
        case publicKey(spkiDER: [UInt8])
    }

    let subject: Subject
    let signature: [UInt8]
    let verifier: Verifier
    /// Whether the entry is one of Rekor v2, which states no time.
    let isVersion2: Bool

    init(_ entry: LogEntry) throws(TransparencyError) {
        let body: ProtobufMessage
        let json: JSONValue
        do { json = try StrictJSON.parse(entry.canonicalizedBody, maximumDepth: 16, maximumValues: 10_000) } catch {
            throw TransparencyError(.malformedEntry, "the body of the log entry is not JSON: \(error)")
        }
        do throws(ProtobufMessage.Fault) {
            body = try ProtobufMessage(json)
            let kind = try body.requiredText("kind")
            let version = try body.requiredText("apiVersion")
            guard isSame(kind, entry.kind), isSame(version, entry.version) else {
                throw body.fault(
                    "it is of the kind \"\(kind.quoted)\" \(version.quoted), the bundle says "
                        + "\"\(entry.kind.quoted)\" \(entry.version.quoted)")
            }
            let spec = try body.requiredMessage("spec")
            switch (kind, version) {
            case ("hashedrekord", "0.0.1"):
                self = try Self.hashedRekord1(spec)
            case ("dsse", "0.0.1"):
                self = try Self.dsse1(spec)
            case ("intoto", "0.0.2"):
                self = try Self.inToto2(spec)
            case ("hashedrekord", "0.0.2"):
                self = try Self.hashedRekord2(spec)
            case ("dsse", "0.0.2"):
                self = try Self.dsse2(spec)
            default:
                throw ProtobufMessage.Fault(path: "", problem: "", isUnknownKind: true)
            }
        } catch {
            guard !error.isUnknownKind else {
                throw TransparencyError(
                    .unknownEntry,
                    "the log entry is of the kind \"\(entry.kind.quoted)\" \(entry.version.quoted); known are hashedrekord "
                        + "0.0.1 and 0.0.2, dsse 0.0.1 and 0.0.2, intoto 0.0.2")
            }
            throw TransparencyError(
                .malformedEntry, "the body of the log entry cannot be read: \(error.description)")
        }
    }

    private init(
        subject: Subject, signature: [UInt8], verifier: Verifier, isVersion2: Bool = false
    ) {
        self.subject = subject
        self.signature = signature
        self.verifier = verifier
        self.isVersion2 = isVersion2
    }

    // MARK: Rekor v1

    private static func hashedRekord1(_ spec: ProtobufMessage) throws(ProtobufMessage.Fault) -> EntryBody {
        let signature = try spec.requiredMessage("signature")
        return EntryBody(
            subject: .message(try hash(spec.requiredMessage("data").requiredMessage("hash"))),
            signature: try signature.requiredBytes("content", maximum: SigstoreLimits.signatureBytes),
            verifier: try pem(signature.requiredMessage("publicKey"), "content"))
    }

    private static func dsse1(_ spec: ProtobufMessage) throws(ProtobufMessage.Fault) -> EntryBody {
        let signature = try only(spec.messages("signatures", maximum: SigstoreLimits.signatures), spec)
        return EntryBody(
            subject: .payload(try hash(spec.requiredMessage("payloadHash")), type: nil),
            signature: try signature.requiredBytes("signature", maximum: SigstoreLimits.signatureBytes),
            verifier: try pem(signature, "verifier"))
    }

    private static func inToto2(_ spec: ProtobufMessage) throws(ProtobufMessage.Fault) -> EntryBody {
        let content = try spec.requiredMessage("content")
        let envelope = try content.requiredMessage("envelope")
        let signature = try only(envelope.messages("signatures", maximum: SigstoreLimits.signatures), envelope)
        let once = try signature.requiredBytes("sig", maximum: 2 * SigstoreLimits.signatureBytes)
        return EntryBody(
            subject: .payload(
                try hash(content.requiredMessage("payloadHash")), type: try envelope.text("payloadType")),
            // Rekor writes what the envelope has, which is Base64 already, in Base64 again.
            signature: Base64.decode(once) ?? once,
            verifier: try pem(signature, "publicKey"))
    }

    /// A hash as Rekor v1 writes it: in hexadecimal.
    private static func hash(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) -> ArtifactDigest {
        let name = try message.requiredText("algorithm")
        let value = try message.requiredText("value")
        guard let algorithm = ArtifactDigest.Algorithm(rawValue: name),
            let digest = ArtifactDigest(algorithm: algorithm, hex: value)
        else { throw message.fault("it is not a hash: sha256, sha384 or sha512 in lower-case hexadecimal") }
        return digest
    }

    /// A key or a certificate as Rekor v1 writes it: PEM in Base64.
    private static func pem(
        _ message: ProtobufMessage, _ name: String
    ) throws(ProtobufMessage.Fault) -> Verifier {
        let text = try message.requiredBytes(name, maximum: 2 * SigstoreLimits.certificateBytes)
        let blocks: [PEM]
        do { blocks = try PEM.parse(text) } catch { throw message.fault("\(name): \(error)") }
        guard blocks.count == 1 else {
            throw message.fault("\(name): there are \(blocks.count) PEM blocks; expected the one key or certificate")
        }
        switch blocks[0].label {
        case "CERTIFICATE": return .certificate(der: blocks[0].der)
        case "PUBLIC KEY": return .publicKey(spkiDER: blocks[0].der)
        default: throw message.fault("\(name): expected a PEM block CERTIFICATE or PUBLIC KEY")
        }
    }

    // MARK: Rekor v2

    private static func hashedRekord2(_ spec: ProtobufMessage) throws(ProtobufMessage.Fault) -> EntryBody {
        let record = try spec.requiredMessage("hashedRekordV002")
        return try EntryBody(
            version2: record.requiredMessage("signature"),
            subject: .message(ArtifactDigest(record.requiredMessage("data"))))
    }

    private static func dsse2(_ spec: ProtobufMessage) throws(ProtobufMessage.Fault) -> EntryBody {
        let record = try spec.requiredMessage("dsseV002")
        return try EntryBody(
            version2: only(record.messages("signatures", maximum: SigstoreLimits.signatures), record),
            subject: .payload(ArtifactDigest(record.requiredMessage("payloadHash")), type: nil))
    }

    private init(version2 message: ProtobufMessage, subject: Subject) throws(ProtobufMessage.Fault) {
        let source = try message.requiredMessage("verifier")
        let details = try source.requiredText("keyDetails")
        guard details != SigningKey.prehashedEd25519 else {
            throw source.fault("Ed25519ph (\(details)) is not supported: sign with Ed25519 or ECDSA")
        }
        let verifier: Verifier
        switch (try source.message("publicKey"), try source.message("x509Certificate")) {
        case (let key?, nil):
            verifier = .publicKey(
                spkiDER: try key.requiredBytes("rawBytes", maximum: SigstoreLimits.certificateBytes))
        case (nil, let certificate?):
            verifier = .certificate(
                der: try certificate.requiredBytes("rawBytes", maximum: SigstoreLimits.certificateBytes))
        default: throw source.fault("expected either publicKey or x509Certificate")
        }
        self.init(
            subject: subject,
            signature: try message.requiredBytes("content", maximum: SigstoreLimits.signatureBytes),
            verifier: verifier, isVersion2: true)
    }

    /// The one signature of an entry: a bundle's envelope has one, and an entry with more of them is about another.
    private static func only(
        _ signatures: [ProtobufMessage], _ owner: ProtobufMessage
    ) throws(ProtobufMessage.Fault) -> ProtobufMessage {
        guard signatures.count == 1 else {
            throw owner.fault("there are \(signatures.count) signatures; the bundle's envelope has one")
        }
        return signatures[0]
    }
}
