import ArgumentParser
import Encoding
import FoundationEssentials
import Notation
import OCI
import PKI
import Quotation
import StrictJSON

/// `countersign inspect REF`, `countersign inspect --bundle FILE`: what signatures say, without judging them.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what is in each signature of an image; nothing is verified.",
        discussion: """
            Signatures of Notary Project, cosign's signatures and bundles. What is shown is what whoever wrote them says: the
            names, the times, the log entries, all of it. "verify" and "verify-bundle" judge.

            EXAMPLES
              countersign inspect registry.example.com/app:v1
              countersign inspect registry.example.com/app:v1 --output json
              countersign inspect --bundle app.sigstore.json
            """)

    @Argument(help: ArgumentHelp("The image: registry/repository:tag or @digest.", valueName: "ref"))
    var reference: String?

    @Option(help: ArgumentHelp("A bundle in a file, in place of an image.", valueName: "file"))
    var bundle: String?

    @OptionGroup var store: StoreOptions

    @Option(help: ArgumentHelp("How many signatures are shown.", valueName: "count"))
    var maxSignatures = 100

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard (1...10_000).contains(maxSignatures) else {
            throw ValidationError("--max-signatures is \(maxSignatures): expected 1 to 10000")
        }
        guard (reference == nil) != (bundle == nil) else {
            throw ValidationError("name what to inspect: an image, or a file with --bundle")
        }
        guard bundle == nil || !store.isGiven else {
            throw ValidationError("--bundle is a file: options about registries and layouts have no place beside it")
        }
    }

    func run() async throws {
        if let bundle {
            try inspectFile(bundle)
        } else if let reference {
            try await inspectImage(try ReferenceArgument.parse(reference, for: store))
        }
    }

    private func inspectFile(_ path: String) throws {
        let part = CosignArtifact.Part(form: .bundle, descriptor: nil, bytes: try readFile(path, "--bundle"))
        if case .failure(let reason) = part.content {
            throw CommandFailure(.notVerified, "\(path.quotedPath): \(reason)")
        }
        switch output {
        case .json: print(JSONValue.object(part.json).prettyText, terminator: "")
        case .text:
            print(Terminal.paint(path.quotedPath, .bold))
            for line in CosignArtifact.details(part.json) { print("  " + Terminal.plain(line)) }
            print("  " + CosignArtifact.reservation)
        }
    }

    private func inspectImage(_ reference: ImageReference) async throws {
        let source = try store.open(for: reference, withCosignSignatures: true)
        let deadline = store.deadline()
        let (subject, listed) = try await asking { () async throws(RegistryError) -> (Descriptor, [Descriptor]) in
            let subject = try await source.resolve(reference, deadline: deadline)
            return (
                subject,
                try await source.referrers(of: subject, in: reference, artifactType: nil, deadline: deadline)
            )
        }
        // One that cannot be read may be a signature.
        let notation = listed.filter { $0.artifactType ?? MediaType.notationSignature == MediaType.notationSignature }
        var signatures: [JSONValue] = []
        for descriptor in notation.prefix(maxSignatures) {
            signatures.append(
                try await asking { () async throws(RegistryError) in
                    try await inspect(descriptor, of: subject, reference, source, deadline)
                })
        }
        var cosign: [CosignArtifact] = []
        for descriptor in listed where CosignArtifact.isPossible(descriptor) {
            let left = maxSignatures - cosign.reduce(0) { $0 + $1.parts.count }
            guard left > 0 else { break }
            cosign.append(
                try await asking { () async throws(RegistryError) in
                    try await CosignArtifact.read(
                        descriptor, of: subject, in: reference, from: source, maximum: left, deadline: deadline)
                })
        }
        switch output {
        case .json:
            let result: JSONObject = [
                "reference": .string(reference.description), "digest": .string(subject.digest.description),
                "mediaType": .string(subject.mediaType), "signatureCount": .number(String(notation.count)),
                "signatures": .array(signatures), "cosign": .array(cosign.flatMap(\.json)),
            ]
            print(JSONValue.object(result).prettyText, terminator: "")
        case .text:
            show(subject, reference, notation.count, signatures)
            show(cosign, of: listed.count { CosignArtifact.isPossible($0) })
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
            "  \(count == 1 ? "1 signature" : "\(count) signatures") of Notary Project"
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

    private func show(_ cosign: [CosignArtifact], of count: Int) {
        guard count > 0 else { return }
        print(
            "\n  cosign: \(count == 1 ? "1 manifest" : "\(count) manifests")"
                + (count > cosign.count ? ", \(cosign.count) shown" : "") + "; \(CosignArtifact.reservation)")
        for artifact in cosign {
            print("\n  \(artifact.manifest.digest)")
            if let tag = artifact.tag { line("tag", tag) }
            if let problem = artifact.problem { line("error", problem) }
            for part in artifact.parts {
                print("    \(part.form.rawValue) \(part.descriptor?.digest.description ?? "")")
                for text in CosignArtifact.details(part.json) { print("      " + Terminal.plain(text)) }
            }
            if artifact.unread > 0 { line("", "\(artifact.unread) more layers are not shown (--max-signatures)") }
        }
    }

    private func line(_ label: String, _ value: String) {
        print("    \(label)\(String(repeating: " ", count: max(1, 14 - label.count)))\(Terminal.plain(value))")
    }
}
