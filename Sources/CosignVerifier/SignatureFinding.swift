import Encoding
import OCI
import Quotation
import Sigstore
import StrictJSON
import Verification

/// What was found out about one signature: a layer, or a bundle.
struct SignatureFinding: Sendable {
    /// The digest of the layer.
    let digest: Digest
    /// What the layer's annotation has for a signature; empty for a bundle.
    let stated: String
    /// What verifying it gave; nil when it could not be fetched.
    let outcome: BundleOutcome?
    /// Why it could not be fetched.
    let failure: ContentFailure?
    /// The key that it was verified with.
    let key: CosignKey?

    /// A signature that was verified, or refused.
    init(_ descriptor: Descriptor, _ outcome: BundleOutcome, _ keys: CosignKeys) {
        digest = descriptor.digest
        stated = descriptor.annotations[CosignAnnotation.signature] ?? ""
        self.outcome = outcome
        failure = nil
        if outcome.isVerified, case .key(let signing)? = outcome.signer { key = keys.key(signing) } else { key = nil }
    }

    /// A signature that is not there.
    init(_ descriptor: Descriptor, _ failure: ContentFailure) {
        digest = descriptor.digest
        stated = descriptor.annotations[CosignAnnotation.signature] ?? ""
        outcome = nil
        self.failure = failure
        key = nil
    }

    var isVerified: Bool { outcome?.isVerified ?? false }
    var isTransient: Bool { failure?.isTransient ?? false }

    /// Why it does not count; nil when it does.
    var reason: String? { failure?.description ?? outcome?.refusal?.description }

    /// What it failed by; nil when it did not.
    var failureClass: FailureClass? {
        guard let refusal = outcome?.refusal else { return failure == nil ? nil : .signature }
        if let error = refusal as? ArtifactSignatureError {
            return error.kind == .badSignature ? .integrity : .signature
        }
        return switch type(of: refusal).step {
        case .bundle, .signature: .signature
        case .provenTime: .authenticTimestamp
        case .certificateTimestamp, .transparency: .transparency
        case .signingKey, .certificateChain, .identity: .authenticity
        }
    }

    // MARK: In reports

    /// The longest text of a certificate that reports show, and the bytes of all extensions of one.
    private static let maximumText = 1 << 10
    private static let maximumExtensionBytes = 8 << 10

    /// The signature as an entry of `extensions.signatures`.
    func json(_ policy: CosignTrustPolicy) -> JSONValue {
        let signature = outcome?.bundle.map { Base64.encode($0.signature) } ?? stated.quoted
        var verification: JSONObject = [
            "isSuccess": .bool(isVerified), "bundleVerified": .bool(outcome?[.transparency]?.status == .passed),
        ]
        if let reason { verification["error"] = .string(reason.boundedQuote) }
        if let key { verification["keyInformation"] = key.json }
        if isVerified, let outcome {
            if let certificate = certificate(outcome, policy) { verification["certificate"] = certificate }
            verification["summary"] = .array(summary(outcome, policy).map { .string($0.boundedQuote) })
            if !outcome.provenTimes.isEmpty {
                verification["provenTimes"] = .array(outcome.provenTimes.map { .string(UTC.text($0.time)) })
            }
            if !outcome.logEntries.isEmpty { verification["logEntries"] = .array(outcome.logEntries.map(\.json)) }
        }
        return ["signature": .string(signature), "verifications": [.object(verification)]]
    }

    /// Who signed, as policies read it. A text that is cut could be taken for another one: what is too long is not
    /// there.
    private func certificate(_ outcome: BundleOutcome, _ policy: CosignTrustPolicy) -> JSONValue? {
        guard let identity = outcome.identity, let issuer = identity.issuer else { return nil }
        let name = policy.acceptedName(of: identity)
        guard name.utf8.count <= Self.maximumText, issuer.utf8.count <= Self.maximumText else { return nil }
        var extensions: JSONObject = [:]
        var bytes = 0
        for (name, text) in identity.extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where name != .issuer
        {
            bytes += text.utf8.count
            guard text.utf8.count <= Self.maximumText, bytes <= Self.maximumExtensionBytes else { continue }
            extensions[name.rawValue] = .string(text)
        }
        return ["identity": .string(name), "issuer": .string(issuer), "extensions": .object(extensions)]
    }

    /// Who signed, in words; nil where nobody is proven to have.
    func signer(_ policy: CosignTrustPolicy) -> String? {
        guard isVerified else { return nil }
        return key?.label ?? outcome?.identity.map { policy.acceptedName(of: $0).quoted }
    }

    /// What was verified, in sentences.
    private func summary(_ outcome: BundleOutcome, _ policy: CosignTrustPolicy) -> [String] {
        var sentences: [String] = []
        if let key { sentences.append("The signature is by \(key.label).") }
        if let identity = outcome.identity {
            sentences.append(
                "The signature is by \"\(policy.acceptedName(of: identity).quoted)\", for whom \"\((identity.issuer ?? "").quoted)\" vouched, "
                    + "with a certificate of the trusted root's authority.")
        }
        if !outcome.certificateLogs.isEmpty {
            sentences.append(
                "The certificate is in the certificate transparency log \(outcome.certificateLogs.joined(separator: ", "))."
            )
        }
        for entry in outcome.logEntries {
            sentences.append(
                "The signature is in the transparency log \(entry.log), entry \(entry.logIndex), proven "
                    + (entry.hasInclusionProof ? "by its tree." : "by the log's promise."))
        }
        for time in outcome.provenTimes {
            let source =
                switch time.source {
                case .timestampAuthority(let name): "the timestamp authority \"\(name.quoted)\""
                case .transparencyLog(let address): "the transparency log \(address)"
                }
            sentences.append("The signature existed at \(UTC.text(time.time)), says \(source).")
        }
        sentences.append("What was signed names the digest of this image.")
        if !policy.annotations.isEmpty {
            sentences.append("The annotations that the policy asks for were signed with it.")
        }
        return sentences
    }

    /// All steps, for the command line.
    var details: JSONValue {
        var object: JSONObject = ["digest": .string("\(digest)"), "verified": .bool(isVerified)]
        if let failure { object["error"] = .string(failure.description.boundedQuote) }
        if let key { object["keyInformation"] = key.json }
        guard let outcome else { return .object(object) }
        object["steps"] = .array(
            outcome.results.map { result in
                var step: JSONObject = [
                    "step": .string(result.step.rawValue), "result": .string(result.status.rawValue),
                ]
                if let message = result.message { step["message"] = .string(message.boundedQuote) }
                return .object(step)
            })
        if let identity = outcome.identity {
            var certificate: JSONObject = ["identity": .string(identity.name.boundedQuote)]
            certificate["issuer"] = identity.issuer.map { .string($0.boundedQuote) }
            var extensions: JSONObject = [:]
            for (name, text) in identity.extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                extensions[name.rawValue] = .string(text.boundedQuote)
            }
            certificate["extensions"] = .object(extensions)
            object["certificate"] = .object(certificate)
        }
        object["provenTimes"] = .array(outcome.provenTimes.map { .string(UTC.text($0.time)) })
        object["logEntries"] = .array(outcome.logEntries.map(\.json))
        object["certificateLogs"] = .array(outcome.certificateLogs.map { .string($0) })
        return .object(object)
    }
}

extension VerifiedLogEntry {
    fileprivate var json: JSONValue {
        var object: JSONObject = [
            "log": .string(log), "logIndex": .number(String(logIndex)), "kind": .string(kind),
            "inclusionProof": .bool(hasInclusionProof),
        ]
        if let integratedTime { object["integratedTime"] = .string(UTC.text(integratedTime)) }
        return .object(object)
    }
}

extension CosignTrustPolicy {
    /// The name by which a signer is one of the policy's identities.
    fileprivate func acceptedName(of signer: SignerIdentity) -> String {
        guard case .identities(let identities) = signers else { return signer.name }
        let accepting = identities.filter { $0.accepts(signer) }
        return signer.names.first { name in accepting.contains { $0.name.accepts(name.text) } }?.text ?? signer.name
    }

    /// How many of the policy's keys or identities have made some signatures: each signer counts once, and for one.
    func countSigners(of outcomes: [BundleOutcome]) -> Int {
        guard case .identities(let identities) = signers else {
            return Set(outcomes.compactMap { $0.signer?.publicKey }).count
        }
        // A signer may be several of the identities, an expression's for instance: those are given out so that most
        // signers count (a maximum matching).
        var accepting: [Signatory: Set<Int>] = [:]
        for identity in outcomes.compactMap(\.identity) {
            let indices = identities.indices.filter { identities[$0].accepts(identity) }
            accepting[Signatory(names: identity.names, issuer: identity.issuer), default: []].formUnion(indices)
        }
        var placed: [Int: Signatory] = [:]
        func place(_ signatory: Signatory, _ tried: inout Set<Int>) -> Bool {
            for index in (accepting[signatory] ?? []).sorted() where tried.insert(index).inserted {
                if let other = placed[index], !place(other, &tried) { continue }
                placed[index] = signatory
                return true
            }
            return false
        }
        return accepting.keys.count { signatory in
            var tried: Set<Int> = []
            return place(signatory, &tried)
        }
    }

    /// Who signed, whichever run of a workflow it was.
    private struct Signatory: Hashable {
        let names: [SignerIdentity.Name]
        let issuer: String?
    }
}
