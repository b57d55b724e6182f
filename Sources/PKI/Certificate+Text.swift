extension Certificate {
    /// The certificate as a PEM block.
    public var pem: String { PEM(label: "CERTIFICATE", der: der).text }

    /// All certificates of a PEM text, in order. Blocks with another label are an error, private keys among them: a
    /// file of trusted certificates with something else in it is not what its owner thinks it is.
    public static func parsePEM(_ text: [UInt8]) throws(PKIError) -> [Certificate] {
        let (certificates, faults) = try parseEachPEM(text)
        if let fault = faults.first { throw fault }
        return certificates
    }

    /// The certificates of a PEM text as in ``parsePEM(_:)``, where each block stands for itself: those that are not
    /// certificates are told beside the others. A text whose blocks cannot be told apart is an error still, so that a
    /// damaged file cannot look like a smaller one, and so is one that holds no certificate at all.
    package static func parseEachPEM(
        _ text: [UInt8]
    ) throws(PKIError) -> (certificates: [Certificate], faults: [PKIError]) {
        let blocks = try PEM.parse(text)
        guard !blocks.isEmpty else { throw PKIError(.missing, "there is no PEM block; expected BEGIN CERTIFICATE") }
        var certificates: [Certificate] = []
        var faults: [PKIError] = []
        for (index, block) in blocks.enumerated() {
            guard block.label == "CERTIFICATE" || block.label == "X509 CERTIFICATE" else {
                throw PKIError(
                    .malformed,
                    "PEM block \(index + 1) is \"\(block.shownLabel)\"; only CERTIFICATE blocks may be there")
            }
            do { certificates.append(try Certificate(der: block.der)) } catch {
                faults.append(error.within("PEM block \(index + 1)"))
            }
        }
        if certificates.isEmpty, let fault = faults.first { throw fault }
        return (certificates, faults)
    }

    /// All certificates of a file's content, in order: PEM blocks, or DER, one certificate directly after the other.
    public static func parsePEMOrDER(_ content: [UInt8]) throws(PKIError) -> [Certificate] {
        guard content.count <= PEM.maximumBytes else {
            throw PKIError(.tooLarge, "there are \(content.count) bytes; at most \(PEM.maximumBytes) are accepted")
        }
        if content.first != DER.sequence || PEM.isPEM(content) { return try parsePEM(content) }
        var certificates: [Certificate] = []
        var reader = DERReader(content)
        while !reader.isAtEnd {
            guard certificates.count < PEM.maximumBlocks else {
                throw PKIError(.tooLarge, "there are more than \(PEM.maximumBlocks) certificates")
            }
            certificates.append(try Certificate(der: Array(reader.any().encoded)))
        }
        return certificates
    }
}
