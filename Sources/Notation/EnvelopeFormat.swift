import OCI

/// A format of signature envelopes.
public enum EnvelopeFormat: String, Hashable, Sendable, CaseIterable {
    /// JSON Web Signature, flattened JSON serialization (RFC 7515).
    case jws
    /// COSE_Sign1 (RFC 9052).
    case cose

    /// The media type of the layer that holds the envelope (signature specification, "OCI Signatures").
    public var mediaType: String {
        switch self {
        case .jws: MediaType.notationJWS
        case .cose: MediaType.notationCOSE
        }
    }

    /// The format of a media type: exactly, without parameters and in lower case, as the reference verifier asks.
    public init?(mediaType: String) {
        guard let format = Self.allCases.first(where: { $0.mediaType.utf8.elementsEqual(mediaType.utf8) }) else {
            return nil
        }
        self = format
    }
}
