import Encoding
import Expressions
import FoundationEssentials
import PKI
import StrictJSON

@testable import Sigstore

let sigstoreTargets = [
    FuzzTarget("bundle", maximumLength: 32_768) { bytes in
        let bundle: Bundle
        do { bundle = try Bundle(parsing: bytes) } catch {
            requireReadable(error, limit: 16_384)
            return
        }
        require(!bundle.signature.isEmpty, "a bundle without a signature")
        require(bundle.logEntries.count <= SigstoreLimits.logEntries, "more log entries than the limit")
        require(bundle.timestamps.count <= SigstoreLimits.timestamps, "more timestamps than the limit")
        // Each step with somebody else's bundle: nothing that a fuzzer makes is by an identity that nobody has.
        guard let root = try? TrustedRoot.publicGood() else { return }
        let nobody = CertificateIdentity(name: .exactly("nobody"), issuer: .exactly("nowhere"))
        for artifact in [Artifact.content([]), .digest(ArtifactDigest(of: []))] {
            let outcome = BundleVerifier(root: root).verify(
                bundle: bytes, artifact: artifact, policy: BundlePolicy(identities: [nobody]))
            require(!outcome.isVerified, "a bundle by nobody is verified")
            guard let refusal = outcome.refusal else { violated("refused without a reason") }
            requireReadable(refusal, limit: 16_384)
        }
    },
    FuzzTarget("dsse", maximumLength: 8192) { bytes in
        // An envelope, and what its payload says.
        if let json = try? StrictJSON.parse(bytes), let message = try? ProtobufMessage(json),
            let envelope = try? DSSEEnvelope(message)
        {
            let encoding = envelope.preAuthenticationEncoding
            require(
                encoding.suffix(envelope.payload.count).elementsEqual(envelope.payload), "another payload is signed")
            require(encoding.starts(with: Array("DSSEv1 ".utf8)), "not the encoding of DSSE")
        }
        let statement: InTotoStatement
        do { statement = try InTotoStatement(parsing: bytes) } catch {
            requireReadable(error)
            return
        }
        require(!statement.predicateType.isEmpty && !statement.subjects.isEmpty, "a statement about nothing")
        let artifact = Artifact.digest(ArtifactDigest(of: bytes))
        require(statement.subjects(about: artifact).isEmpty, "a statement about itself")
    },
    FuzzTarget("cosign-layer", maximumLength: 32_768) { bytes in
        // An object of texts: the payload, and the annotations of the layer. What is no such object is a payload.
        var payload = bytes
        var annotations = [CosignAnnotation.signature: "AAAA"]
        if let object = (try? StrictJSON.parse(bytes))?.object {
            annotations = [:]
            for member in object.members {
                guard let text = member.value.string else { continue }
                if member.name == "payload" { payload = Array(text.utf8) } else { annotations[member.name] = text }
            }
        }
        do {
            let layer = try Bundle(layer: payload, annotations: annotations)
            require(!layer.signature.isEmpty, "a layer without a signature")
            require(layer.logEntries.count <= 1 && layer.timestamps.count <= 1, "more proofs than annotations")
            require(layer.version == nil && layer.statedPredicateType == nil, "a layer that is a bundle")
            if case .certificate(_, let intermediates) = layer.key {
                require(intermediates.allSatisfy { $0.isCA && !$0.isSelfIssued }, "a chain of others than authorities")
            }
            for entry in layer.logEntries {
                require(entry.logID.count == 32 && entry.signedEntryTimestamp != nil, "an entry that nobody promised")
            }
        } catch { requireReadable(error, limit: 16_384) }
        guard let root = try? TrustedRoot.publicGood() else { return }
        let nobody = CertificateIdentity(name: .exactly("nobody"), issuer: .exactly("nowhere"))
        let outcome = BundleVerifier(root: root).verify(
            layer: payload, annotations: annotations, image: ArtifactDigest(of: bytes),
            policy: BundlePolicy(identities: [nobody]))
        require(!outcome.isVerified && outcome.payload == nil, "a layer by nobody is verified")
        guard let refusal = outcome.refusal else { violated("refused without a reason") }
        requireReadable(refusal, limit: 16_384)
    },
    FuzzTarget("simple-signing", maximumLength: 8192) { bytes in
        let payload: SimpleSigningPayload
        do { payload = try SimpleSigningPayload(parsing: bytes) } catch {
            requireReadable(error)
            return
        }
        // What is accepted is read again as the same from its shortest form.
        let written: JSONValue = [
            "critical": [
                "type": .string(SimpleSigningPayload.type),
                "image": ["docker-manifest-digest": .string(payload.imageDigest.description)],
                "identity": ["docker-reference": .string(payload.dockerReference)],
            ], "optional": .object(payload.optional),
        ]
        guard let again = try? SimpleSigningPayload(parsing: written.bytes) else {
            violated("what is written is not read")
        }
        require(again == payload, "what is written is another payload")
    },
    FuzzTarget("cosign-key", maximumLength: 4096) { bytes in
        // Read only: each password would take a tenth of a second.
        do { _ = try EncryptedCosignKey(json: bytes) } catch { requireReadable(error) }
    },
    FuzzTarget("trusted-root", maximumLength: 16_384) { bytes in
        do {
            let root = try TrustedRoot(parsing: bytes)
            for log in root.transparencyLogs + root.certificateLogs {
                require(!log.logID.isEmpty && log.logID.count <= 32, "a log without an identifier")
            }
            for authority in root.certificateAuthorities + root.timestampAuthorities {
                require(!authority.certificates.isEmpty, "an authority without a certificate")
            }
        } catch { requireReadable(error, limit: 16_384) }
    },
    FuzzTarget("sct", maximumLength: 8192) { bytes in
        let certificate: Certificate
        do { certificate = try Certificate(der: bytes) } catch { return }
        if let precertificate = try? SignedCertificateTimestamp.precertificate(of: certificate) {
            require(precertificate.count <= certificate.signedBytes.count, "more than the certificate was logged")
            let isThere = certificate.extensionValue(SignedCertificateTimestamp.extensionIdentifier) != nil
            require(
                isThere || precertificate == Array(certificate.signedBytes), "a certificate without promises is changed"
            )
        }
        do {
            let list = try SignedCertificateTimestamp.list(in: certificate)
            require(!list.isEmpty, "an empty list")
            for item in list {
                _ = item.signedData(precertificate: bytes, issuer: certificate)
                _ = item.time
            }
        } catch { requireReadable(error) }
        do { _ = try SignerIdentity(certificate) } catch { requireReadable(error) }
    },
    FuzzTarget("checkpoint", maximumLength: 8192) { bytes in
        guard let text = text(bytes) else { return }
        let checkpoint: Checkpoint
        do throws(SignedNote.Fault) { checkpoint = try Checkpoint(text) } catch {
            require(!error.description.isEmpty && error.description.utf8.count <= 4096, "an error that is none")
            return
        }
        require(!checkpoint.origin.isEmpty && checkpoint.size >= 0, "a checkpoint of nothing")
        require(checkpoint.rootHash.count == 32, "a hash of another length")
        require(!checkpoint.note.signatures.isEmpty, "a note without a signature")
        // What is signed is the beginning of what was given, and nothing else.
        require(bytes.starts(with: checkpoint.note.text), "another text is signed")
    },
    FuzzTarget("rekor-entry", maximumLength: 16_384) { bytes in
        for (kind, version) in [
            ("hashedrekord", "0.0.1"), ("hashedrekord", "0.0.2"), ("dsse", "0.0.1"), ("dsse", "0.0.2"),
            ("intoto", "0.0.2"),
        ] {
            let entry: JSONValue = [
                "logIndex": "1", "logId": ["keyId": "AAAA"],
                "kindVersion": ["kind": .string(kind), "version": .string(version)],
                "inclusionPromise": ["signedEntryTimestamp": "AAAA"],
                "canonicalizedBody": .string(Base64.encode(bytes)),
            ]
            guard let message = try? ProtobufMessage(entry),
                let parsed = try? LogEntry(message, version: .v0_1)
            else { continue }
            do {
                let body = try EntryBody(parsed)
                require(!body.signature.isEmpty, "an entry without a signature")
                require(body.isVersion2 == (version == "0.0.2" && kind != "intoto"), "an entry of another log")
            } catch { requireReadable(error) }
        }
    },
    FuzzTarget("expression", maximumLength: 512) { bytes in
        guard let text = text(bytes) else { return }
        let expression: WholeExpression
        do { expression = try WholeExpression(text) } catch {
            requireReadable(error)
            return
        }
        for candidate in ["", "a", text, "https://github.com/example/app"] { _ = expression.matches(candidate) }
        _ = expression.matchesAnything
    },
]
