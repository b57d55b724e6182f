import Encoding
import Logging
import SigstoreTrust

/// What the log says of trusted roots of Sigstore.
enum TrustedRootLog {
    static func write(_ notice: TrustedRootNotice, of repository: String, to logger: Logger) {
        switch notice {
        case .fetched(let fingerprint, let versions, let validUntil):
            let versions = versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            logger.info(
                "trusted root of Sigstore fetched",
                metadata: [
                    "repository": "\(repository)", "sha256": "\(fingerprint)",
                    "versions": "\(versions.joined(separator: ", "))", "validUntil": "\(UTC.text(validUntil))",
                ])
        case .failing(let error):
            logger.error("trusted root of Sigstore: \(error)", metadata: ["repository": "\(repository)"])
        case .forgetful(let warning):
            logger.warning("trusted root of Sigstore: \(warning)", metadata: ["repository": "\(repository)"])
        }
    }
}
