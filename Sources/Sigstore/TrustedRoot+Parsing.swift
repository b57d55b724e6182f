import PKI
import Quotation
import StrictJSON

extension TrustedRoot {
    /// Reads a trusted root in JSON.
    ///
    /// Unknown members are ignored, unlike those of a bundle. A trusted root is signed as a whole (by TUF) or is a
    /// local file, later versions of the format add members (a log's operator), and without a root nothing verifies.
    /// Known members must be well formed: one malformed log makes the whole root unusable, so that the mistake is seen.
    public init(parsing bytes: [UInt8]) throws(TrustedRootError) {
        guard bytes.count <= SigstoreLimits.trustedRootBytes else {
            throw TrustedRootError(
                "the trusted root has \(bytes.count) bytes; at most \(SigstoreLimits.trustedRootBytes) are accepted")
        }
        let json: JSONValue
        do { json = try StrictJSON.parse(bytes, maximumDepth: 16, maximumValues: 50_000) } catch {
            throw TrustedRootError("the trusted root is not JSON: \(error)")
        }
        do throws(ProtobufMessage.Fault) { try self.init(ProtobufMessage(json)) } catch {
            throw TrustedRootError(error)
        }
    }

    private init(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        let mediaType = try message.requiredText("mediaType")
        let prefix = "application/vnd.dev.sigstore.trustedroot"
        guard
            ["+json;version=0.1", "+json;version=0.2", ".v0.1+json", ".v0.2+json"].contains(where: {
                mediaType == prefix + $0
            })
        else {
            throw message.fault(
                "the media type is \"\(mediaType.quoted)\"; known are versions 0.1 and 0.2: "
                    + "\(prefix)+json;version=0.1")
        }
        self.init(
            transparencyLogs: try Self.logs(message, "tlogs"),
            certificateAuthorities: try Self.authorities(message, "certificateAuthorities"),
            certificateLogs: try Self.logs(message, "ctlogs"),
            timestampAuthorities: try Self.authorities(message, "timestampAuthorities"))
    }

    private static func logs(
        _ message: ProtobufMessage, _ name: String
    ) throws(ProtobufMessage.Fault) -> [TransparencyLog] {
        var logs: [TransparencyLog] = []
        for item in try message.messages(name, maximum: SigstoreLimits.trustedRootItems) {
            let algorithm = try item.requiredText("hashAlgorithm")
            let publicKey = try item.requiredMessage("publicKey")
            let identifier = try item.requiredMessage("logId").requiredBytes("keyId", maximum: 32)
            var checkpointKey = identifier
            if let other = try item.message("checkpointKeyId") {
                checkpointKey = try other.requiredBytes("keyId", maximum: 32)
            }
            logs.append(
                TransparencyLog(
                    baseURL: try item.requiredText("baseUrl"), logID: identifier,
                    // Merkle trees with another hash are not supported.
                    key: algorithm == "SHA2_256" ? try LogKey(publicKey) : nil,
                    validity: try ValidityPeriod(of: publicKey), checkpointKeyID: checkpointKey))
        }
        return logs
    }

    private static func authorities(
        _ message: ProtobufMessage, _ name: String
    ) throws(ProtobufMessage.Fault) -> [CertificateAuthority] {
        var authorities: [CertificateAuthority] = []
        for item in try message.messages(name, maximum: SigstoreLimits.trustedRootItems) {
            let chain = try item.requiredMessage("certChain")
            var certificates: [Certificate] = []
            for entry in try chain.messages("certificates", maximum: SigstoreLimits.certificates) {
                let der = try entry.requiredBytes("rawBytes", maximum: SigstoreLimits.certificateBytes)
                do { certificates.append(try Certificate(der: der)) } catch { throw entry.fault("\(error)") }
            }
            guard
                let authority = CertificateAuthority(
                    certificates: certificates, validity: try ValidityPeriod(of: item))
            else { throw chain.fault("there is no certificate") }
            authorities.append(authority)
        }
        return authorities
    }
}
