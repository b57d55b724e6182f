import ArgumentParser
import Encoding
import FoundationEssentials
import Notation
import OCI
import PKI
import Quotation
import StrictJSON

/// `countersign inspect REF`: what signatures say, without judging them.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what is in each signature of an image; nothing is verified.",
        discussion: """
            EXAMPLES
              countersign inspect registry.example.com/app:v1
              countersign inspect registry.example.com/app:v1 --output json
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @Option(help: ArgumentHelp("How many signatures are shown.", valueName: "count"))
    var maxSignatures = 100

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard (1...10_000).contains(maxSignatures) else {
            throw ValidationError("--max-signatures is \(maxSignatures): expected 1 to 10000")
        }
    }

    func run() async throws {
        let reference = try image.parse(for: store)
        let source = try store.open(for: reference)
        let deadline = store.deadline()
        let (subject, listed) = try await asking { () async throws(RegistryError) -> (Descriptor, [Descriptor]) in
            let subject = try await source.resolve(reference, deadline: deadline)
            return (
                subject,
                try await source.referrers(
                    of: subject, in: reference, artifactType: MediaType.notationSignature, deadline: deadline)
            )
        }
        var signatures: [JSONValue] = []
        for descriptor in listed.prefix(maxSignatures) {
            signatures.append(
                try await asking { () async throws(RegistryError) in
                    try await inspect(descriptor, of: subject, reference, source, deadline)
                })
        }
        let result: JSONObject = [
            "reference": .string(reference.description), "digest": .string(subject.digest.description),
            "mediaType": .string(subject.mediaType), "signatureCount": .number(String(listed.count)),
            "signatures": .array(signatures),
        ]
        switch output {
        case .json: print(JSONValue.object(result).prettyText, terminator: "")
        case .text: show(subject, reference, listed.count, signatures)
        }
    }

    /// One signature; trouble with what it holds is part of what is shown, trouble with the store is not.
    private func inspect(
        _ descriptor: Descriptor, of subject: Descriptor, _ reference: ImageReference, _ source: any ReferrerStore,
        _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> JSONValue {
        var object: JSONObject = ["digest": .string(descriptor.digest.description)]
        func unreadable(_ reason: String) -> JSONValue {
            object["error"] = .string(reason)
            return .object(object)
        }
        let content: [UInt8]
        let bytes: [UInt8]
        let manifest: SignatureManifest
        do throws(RegistryError) {
            content = try await source.manifest(descriptor, in: reference, deadline: deadline)
            do throws(ValidationFailure) {
                manifest = try SignatureManifest(
                    parsing: content, descriptor: descriptor, subject: subject,
                    maximumEnvelopeBytes: SignatureEnvelope.defaultMaximumBytes)
            } catch { return unreadable(error.description) }
            bytes = try await source.blob(
                manifest.envelope, in: reference, maximumBytes: SignatureEnvelope.defaultMaximumBytes,
                deadline: deadline)
        } catch {
            guard !error.isTransient else { throw error }
            return unreadable(error.description)
        }
        object["mediaType"] = .string(manifest.envelope.mediaType.quotedMediaType)
        object["size"] = .number(String(manifest.envelope.size))
        let envelope: SignatureEnvelope
        do { envelope = try SignatureEnvelope(parsing: bytes, mediaType: manifest.envelope.mediaType) } catch {
            return unreadable(error.description)
        }
        describe(envelope, in: &object)
        return .object(object)
    }

    private func describe(_ envelope: SignatureEnvelope, in object: inout JSONObject) {
        let attributes = envelope.attributes
        object["algorithm"] = .string(envelope.algorithm.description)
        object["signingScheme"] = .string(attributes.signingScheme.rawValue)
        object["signingTime"] = .string(UTC.text(attributes.signingTime))
        if let expiry = attributes.expiry { object["expiry"] = .string(UTC.text(expiry)) }
        if let agent = envelope.signingAgent { object["signingAgent"] = .string(agent) }
        object["timestamped"] = .bool(envelope.timestampSignature != nil)
        if !attributes.extended.isEmpty {
            object["extendedAttributes"] = .array(
                attributes.extended.map {
                    [
                        "name": .string($0.name), "critical": .bool($0.isCritical),
                        "value": $0.text.map(JSONValue.string) ?? .null,
                    ]
                })
        }
        if let payload = try? SignaturePayload(parsing: envelope.payload) {
            object["targetArtifact"] = payload.targetArtifact.json
        }
        object["certificates"] = .array(
            envelope.certificates.map { der in
                do { return try Certificate(der: der).json } catch { return ["error": .string("\(error)")] }
            })
    }

    private func show(_ subject: Descriptor, _ reference: ImageReference, _ count: Int, _ signatures: [JSONValue]) {
        print(Terminal.paint("\(reference.scopeName)@\(subject.digest)", .bold))
        print(
            "  \(count == 1 ? "1 signature" : "\(count) signatures")"
                + (count > signatures.count ? ", \(signatures.count) shown" : ""))
        for signature in signatures {
            print("\n  \(signature["digest"]?.string ?? "")")
            for (label, name) in [
                ("format", "mediaType"), ("algorithm", "algorithm"), ("scheme", "signingScheme"),
                ("signed at", "signingTime"), ("expires", "expiry"), ("agent", "signingAgent"), ("error", "error"),
            ] {
                guard let value = signature[name]?.string else { continue }
                line(label, value)
            }
            if signature["timestamped"]?.bool == true { line("timestamp", "RFC 3161 countersignature present") }
            if let target = signature["targetArtifact"] {
                line("artifact", target["digest"]?.string ?? "")
                for (name, value) in target["annotations"]?.object?.members ?? [] {
                    line("metadata", "\(name)=\(value.string ?? "")")
                }
            }
            for attribute in signature["extendedAttributes"]?.array ?? [] {
                let mark = attribute["critical"]?.bool == true ? " (critical)" : ""
                line("attribute", "\(attribute["name"]?.string ?? "")=\(attribute["value"]?.string ?? "…")\(mark)")
            }
            for certificate in signature["certificates"]?.array ?? [] {
                line("certificate", certificate["subject"]?.string ?? certificate["error"]?.string ?? "")
                if let end = certificate["notAfter"]?.string { line("", "until \(end)") }
            }
        }
    }

    private func line(_ label: String, _ value: String) {
        print("    \(label)\(String(repeating: " ", count: max(1, 14 - label.count)))\(Terminal.plain(value))")
    }
}
