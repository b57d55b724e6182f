import OCI
import ProviderServer
import Quotation
import StrictJSON
import Verification

/// What became of one image.
struct KyvernoVerdict: Sendable {
    enum Status: String, Sendable {
        /// It is verified.
        case verified
        /// It is not: for good.
        case failed
        /// Not known now.
        case error
        /// No pattern chose it.
        case skipped
    }

    let status: Status
    /// Why not; `nil` when it is verified.
    var reason: String?
    /// The digest that was judged.
    var digest: String?
    /// The image with it.
    var pinned: String?

    static let skipped = KyvernoVerdict(status: .skipped, reason: "no pattern of imageReferences chose it")

    static func failed(_ reason: String, digest: String? = nil) -> KyvernoVerdict {
        KyvernoVerdict(status: .failed, reason: reason, digest: digest)
    }

    static func error(_ reason: String) -> KyvernoVerdict { KyvernoVerdict(status: .error, reason: reason) }

    /// How the keys of the other route are counted and logged.
    var keyVerdict: KeyVerdict {
        switch status {
        case .verified: .pass
        case .failed: .fail
        case .error: .fault
        case .skipped: .skipped
        }
    }

    /// One sentence about the image.
    func message(_ image: String) -> String {
        switch status {
        case .verified: "verified image signatures for \(image)"
        case .skipped: "skipped image \(image): \(reason ?? "")"
        case .failed: "failed to verify image \(image): \(reason ?? "it is not verified")"
        case .error: "could not verify image \(image) now: \(reason ?? "no answer")"
        }
    }
}

extension KyvernoRequest {
    /// Whether no pattern chooses an image.
    func isSkipped(_ reference: ImageReference) -> Bool {
        if let imageReferences {
            guard imageReferences.contains(where: { $0.chooses(reference) }) else { return true }
        }
        return skipImageReferences.contains { $0.exempts(reference) }
    }

    /// What a decision about an image means for this request.
    ///
    /// - Parameter resolved: the digest of an image whose decision has none, when it was asked for.
    func verdict(on decision: Decision, reference: ImageReference, resolved: Digest?) -> KyvernoVerdict {
        let digest = reference.digest ?? decision.digest ?? resolved
        guard decision.isSuccess else {
            return .failed(KyvernoRequest.reasons(decision), digest: digest?.description)
        }
        let parts = decision.reportsByDigest
        for (set, part) in attestors.flatMap({ set in parts.map { (set, $0) } }) {
            guard var shortcoming = set.shortcoming(in: part.reports) else { continue }
            if let digest = part.digest { shortcoming += "; this is about \(digest)" }
            // What is missing may be in a signature that could not be looked at.
            if let fault = decision.reports.first(where: \.isUndetermined) {
                return .error("\(shortcoming); \(fault.errorReason ?? fault.message)")
            }
            return .failed(shortcoming, digest: digest?.description)
        }
        guard
            !isRequired
                || parts.allSatisfy({ $0.reports.contains { $0.isSuccess && $0.referenceDigest != nil } })
        else {
            return .failed(
                "unverified image: the trust policy skips it, and the policy requires that images are verified",
                digest: digest?.description)
        }
        if verifiesDigest, reference.digest == nil, !(mutatesDigest && digest != nil) {
            return .failed("missing digest for \(reference)", digest: digest?.description)
        }
        if mutatesDigest, digest == nil {
            return .error("its digest is not known: it could not be resolved")
        }
        return KyvernoVerdict(
            status: .verified, digest: digest?.description,
            pinned: digest.map { reference.with(digest: $0).writtenDescription })
    }

    /// Why an image was refused, by every reason of reports that failed.
    private static func reasons(_ decision: Decision) -> String {
        var reasons: [String] = []
        for report in decision.reports where !report.isSuccess {
            var reason = report.reason
            // notation's whole sentence, which people search for.
            if report.referenceDigest == nil, reason.hasPrefix(VerifierReport.unsigned) {
                reason += ", make sure the artifact was signed successfully"
            }
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        let most = Decision.maximumReasons
        let shown = reasons.prefix(most).map { String($0.boundedQuote.prefix(1024)) }.joined(separator: "; ")
        let count = reasons.count + decision.leftOut.reasons
        guard count <= most else { return "\(shown); and \(count - most) more" }
        return shown.isEmpty ? "the policy of the configuration refuses it" : shown
    }
}
