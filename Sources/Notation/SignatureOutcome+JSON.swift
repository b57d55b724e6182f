import Encoding
import FoundationEssentials
import PKI
import Quotation
import StrictJSON

extension SignatureOutcome {
    /// What to do about a signature that is not good; `nil` for one that is.
    package var remediation: String? {
        guard let refusal else { return nil }
        if refusal.isTransient, !refusal.isConfiguration { return "Ask again in a moment" }
        // The cause, where it is known, says more than the validation that it failed.
        if let advice = refusal.advice { return advice }
        guard failure == nil, let failed = results.first(where: \.isCritical) else {
            return "Sign this very image again, and push the signature beside it"
        }
        switch failed.type {
        case .integrity: return "Sign the image again with notation or countersign sign"
        case .authenticity:
            return
                "Sign with a certificate that the trust policy trusts; or, if this signer is to be trusted, add its root certificate to the trust store, and its subject to trustedIdentities"
        case .expiry: return "Sign the image again; its signature was made to expire"
        case .authenticTimestamp:
            return
                "Sign the image again with a valid certificate; where the trust policy has a tsa store, with a timestamp of an authority that it trusts"
        case .revocation: return "Find out why the signer's certificate may be revoked before you use the image"
        }
    }

    /// The outcome as the command line prints it (docs/cli.md).
    package var json: JSONValue {
        var object: JSONObject = [:]
        if let manifest { object["digest"] = .string(manifest.digest.description) }
        if let envelope { object["mediaType"] = .string(envelope.mediaType.quotedMediaType) }
        object["verified"] = .bool(isVerified)
        if let content {
            object["signer"] = content.signer.json
            object["signingScheme"] = .string(content.envelope.attributes.signingScheme.rawValue)
            object["signingTime"] = .string(UTC.text(content.envelope.attributes.signingTime))
            if let expiry = content.envelope.attributes.expiry { object["expiry"] = .string(UTC.text(expiry)) }
            object["userMetadata"] = content.userMetadataJSON
        }
        object["validations"] = .array(
            results.map { result in
                [
                    "type": .string(result.type.rawValue), "action": .string(result.action.rawValue),
                    "result": .string(result.status.rawValue), "message": .string(result.message ?? ""),
                ]
            })
        if let refusal {
            object["error"] = .string(refusal.description)
            if let remediation { object["remediation"] = .string(remediation) }
        }
        return .object(object)
    }
}

extension SignatureOutcome.Content {
    /// The metadata that was signed with the artifact, sorted by name; `nil` when there is none.
    package var userMetadataJSON: JSONValue? {
        guard !userMetadata.isEmpty else { return nil }
        var metadata = JSONObject()
        for name in userMetadata.keys.sorted() { metadata[name] = userMetadata[name].map(JSONValue.string) }
        return .object(metadata)
    }
}

extension Certificate {
    /// What a person wants to know of a certificate.
    package var json: JSONValue {
        [
            "subject": .string(subject.description), "issuer": .string(issuer.description),
            "serialNumber": .string(serialNumberHex), "notBefore": .string(UTC.text(notBefore)),
            "notAfter": .string(UTC.text(notAfter)), "sha256": .string(sha256Hex),
        ]
    }
}
