import Quotation

/// A request to a timestamp authority (RFC 3161, section 2.4.1).
public struct TimestampRequest: Hashable, Sendable {
    /// The request, encoded.
    public let der: [UInt8]
    private let imprint: [UInt8]
    private let hash: HashAlgorithm
    private let nonce: [UInt8]

    /// A request to timestamp a message, with the authority's certificate to come along.
    ///
    /// - Parameter nonce: a number that the answer must repeat; 16 random bytes by default.
    public init(
        for message: [UInt8], hash: HashAlgorithm,
        nonce: [UInt8] = (0..<16).map { _ in UInt8.random(in: 0...255) }
    ) throws(PKIError) {
        self.hash = hash
        imprint = try OpenSSL.digest(hash, of: message)
        let number = DERWriter.integer(magnitude: nonce)
        var reader = DERReader(number)
        self.nonce = Array(try reader.integer())
        der = DERWriter.sequence([
            DERWriter.integer(1),
            DERWriter.sequence([SignatureAlgorithm.encoded(hash), DERWriter.octetString(imprint)]), number,
            DERWriter.boolean(true),
        ])
    }

    /// The token in an authority's answer, after it was checked that it answers this request. The token itself is yet
    /// to be verified.
    ///
    /// - Returns: the token as it was encoded, as envelopes carry it, and as it was read.
    public func token(inResponse response: [UInt8]) throws(PKIError) -> (der: [UInt8], token: TimestampToken) {
        let encoded = try Self.tokenBytes(inResponse: response)
        let token = try TimestampToken(der: encoded)
        guard token.info.imprintHash == hash, token.info.imprint == imprint, token.info.nonce == nonce else {
            throw PKIError(.mismatch, "the timestamp response does not answer the request: imprint or nonce differ")
        }
        return (encoded, token)
    }

    /// The token in an authority's answer, as it was encoded.
    static func tokenBytes(inResponse response: [UInt8]) throws(PKIError) -> [UInt8] {
        guard response.count <= TimestampToken.maximumBytes else {
            throw PKIError(.tooLarge, "the timestamp response has \(response.count) bytes, which is too many")
        }
        do { return try tokenBytes(response) } catch {
            throw error.kind == .missing ? error : error.within("this is not a timestamp response")
        }
    }

    private static func tokenBytes(_ response: [UInt8]) throws(PKIError) -> [UInt8] {
        var outer = DERReader(response)
        var fields = try outer.sequence()
        try outer.end()
        var information = try fields.sequence()
        let status = try information.smallInteger()
        guard status <= 1 else {
            let names = [2: "rejection", 3: "waiting", 4: "revocationWarning", 5: "revocationNotification"]
            var text = ""
            if let strings = try information.optional(DER.sequence) {
                var reader = strings.reader
                if let first = try reader.optional(DER.utf8String) {
                    text = ": \(String(decoding: first.content.prefix(1024), as: UTF8.self).quoted)"
                }
            }
            throw PKIError(
                .missing, "the timestamp authority gave no timestamp: \(names[status] ?? "status \(status)")\(text)")
        }
        let token = try fields.element(DER.sequence)
        try fields.end()
        return Array(token.encoded)
    }
}
