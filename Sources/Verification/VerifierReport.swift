import Quotation
import StrictJSON

/// What one verifier found about one artifact attached to an image, in the shape that Ratify's users and templates
/// read (`verifierReports[]` of a verify answer).
package struct VerifierReport: Sendable, Hashable {
    /// The image that was judged, as it was asked for.
    package var subject: String
    /// Whether this artifact is a reason to trust the image.
    package var isSuccess: Bool
    /// The verifier's configured name, `notation` for instance; `nil` when no verifier was reached.
    package var verifierName: String?
    /// The verifier's type.
    package var verifierType: String?
    /// The digest of the signature's manifest.
    package var referenceDigest: String?
    /// The artifact type of the signature's manifest.
    package var artifactType: String?
    /// One sentence: what happened.
    package var message: String
    /// Why it failed, when it did.
    package var errorReason: String?
    /// What to do about it, when it failed.
    package var remediation: String?
    /// Details by verifier: for Notation at least `Issuer` and `SN`.
    package var extensions: JSONObject
    /// Reports about artifacts attached to this artifact.
    package var nestedResults: [VerifierReport]
    /// The SHA-256 of the certificates in the signature's chain, the signing certificate's first, in hexadecimal: only
    /// of a signature whose integrity is proven. Not part of the answer to Gatekeeper.
    package var signingChain: [String] = []
    /// Who signed, in words: the certificate's subject or identity, or the key. Only of a good signature. Not part of
    /// the answer to Gatekeeper, which has it in ``extensions`` in the verifier's own form.
    package var signer: String?
    /// Whether the artifact could not be judged this time.
    package var isUndetermined = false
    /// Whether it failed because what is configured cannot be used, and says nothing of the artifact. Not part of the
    /// answer.
    package var isConfiguration = false
    /// Whether it holds only for the tag that the image was asked for by: by its digest the image may be judged by other
    /// rules. Not part of the answer.
    package var isBoundToTag = false
    /// The verifier's whole outcome, for the command line; not part of the answer to Gatekeeper. A ``Decision`` has
    /// those of all its reports.
    package var details: JSONValue?
    /// What it failed by, when it did and this is known. Not part of the answer.
    package var failureClass: FailureClass?

    /// How the reason begins when an image has no signature at all: the reference verifier's words.
    package static let unsigned = "no signature is associated with"

    /// The digest that was judged, in text; `nil` when the report is about none.
    package var subjectDigest: String? {
        get { extensions["subjectDigest"]?.string }
        set { extensions["subjectDigest"] = newValue.map(JSONValue.string) }
    }

    /// Why it failed, by what the report says.
    package var reason: String { errorReason ?? message }

    /// A report with the given fields.
    package init(
        subject: String, isSuccess: Bool, verifierName: String? = nil, verifierType: String? = nil,
        referenceDigest: String? = nil, artifactType: String? = nil, message: String, errorReason: String? = nil,
        remediation: String? = nil, extensions: JSONObject = [:], nestedResults: [VerifierReport] = []
    ) {
        self.subject = subject
        self.isSuccess = isSuccess
        self.verifierName = verifierName
        self.verifierType = verifierType
        self.referenceDigest = referenceDigest
        self.artifactType = artifactType
        self.message = message
        self.errorReason = errorReason
        self.remediation = remediation
        self.extensions = extensions
        self.nestedResults = nestedResults
    }

    /// The report as JSON, with the deprecated twins `name` and `type` that older templates read.
    package var json: JSONValue {
        var object: JSONObject = ["subject": .string(subject), "isSuccess": .bool(isSuccess)]
        object["name"] = verifierName.map(JSONValue.string)
        object["verifierName"] = verifierName.map(JSONValue.string)
        object["type"] = verifierType.map(JSONValue.string)
        object["verifierType"] = verifierType.map(JSONValue.string)
        object["referenceDigest"] = referenceDigest.map(JSONValue.string)
        object["artifactType"] = artifactType.map(JSONValue.string)
        object["message"] = .string(message.boundedQuote)
        object["errorReason"] = errorReason.map { .string($0.boundedQuote) }
        object["remediation"] = remediation.map { .string($0.boundedQuote) }
        if !extensions.isEmpty { object["extensions"] = .object(extensions) }
        if !nestedResults.isEmpty { object["nestedResults"] = .array(nestedResults.map(\.json)) }
        return .object(object)
    }
}
