import Concurrency
import FoundationEssentials
import OCI
import Quotation
import Verification

/// Verifies an inventory as the provider would: what Gatekeeper would be told about each image, without a cluster that
/// enforces anything.
package struct Auditor: Sendable {
    private let service: any VerificationService
    private let simultaneous: Int
    private let timeout: Duration
    private let tries: Int

    /// - Parameters:
    ///   - service: what serves Gatekeeper, with the configuration to audit with.
    ///   - simultaneous: how many images are verified at once.
    ///   - timeout: how long one image may take, each try.
    ///   - tries: how often an image is asked about that could not be determined.
    package init(service: any VerificationService, simultaneous: Int = 8, timeout: Duration, tries: Int = 3) {
        self.service = service
        self.simultaneous = max(1, simultaneous)
        self.timeout = timeout
        self.tries = max(1, tries)
    }

    /// Verifies all images.
    ///
    /// - Parameter progress: is told how many are done, after each.
    package func run(
        _ images: [NamedImage], progress: @Sendable (Int) -> Void = { _ in }
    ) async -> [AuditedImage] {
        await images.concurrentMap(atMost: simultaneous, progress: progress) { await verify($0) }
    }

    private func verify(_ image: NamedImage) async -> AuditedImage {
        let key: ImageKey
        do { key = try image.key() } catch {
            return AuditedImage(image: image, verdict: .denied, reason: error.description.boundedQuote)
        }
        var pause = Duration.milliseconds(500)
        for attempt in 1... {
            switch await service.verify(key, deadline: .now + timeout) {
            case .decided(let decision):
                return AuditedImage(
                    image: image, verdict: decision.isSuccess ? .admitted : .denied, digest: decision.digest,
                    reason: decision.isSuccess ? nil : decision.reason ?? "no report says why",
                    remedy: decision.isSuccess
                        ? nil : decision.reports.first { !$0.isSuccess && $0.remediation != nil }?.remediation,
                    signer: decision.reports.first(where: \.isSuccess)?.signer)
            case .refused(let reason):
                return AuditedImage(image: image, verdict: .denied, reason: reason)
            case .fault(let fault):
                guard attempt < tries, (try? await Task.sleep(for: pause)) != nil else {
                    return AuditedImage(
                        image: image, verdict: .undetermined, reason: fault.description,
                        remedy: "Run the audit again; while this lasts, Gatekeeper denies the image")
                }
                pause *= 2
            }
        }
        return AuditedImage(image: image, verdict: .undetermined, reason: "not asked")
    }
}

/// An image and what Gatekeeper would be told about it.
package struct AuditedImage: Sendable {
    /// What the cluster would do.
    package enum Verdict: String, Sendable, CaseIterable {
        case denied, undetermined, admitted
    }

    /// The image and its uses.
    package let image: NamedImage
    /// What the cluster would do.
    package let verdict: Verdict
    /// The digest that was judged.
    package var digest: Digest?
    /// Why it is not admitted.
    package var reason: String?
    /// What to do about it.
    package var remedy: String?
    /// The subject of the certificate that signed it.
    package var signer: String?

    /// Whether something runs by this name that is not what the name means now: a new pod would get something else.
    package var hasMoved: Bool {
        guard let digest else { return false }
        // A container's image ID may be that of the platform's manifest within an index: only a name with a tag moves.
        return image.uses.contains { $0.running != nil && $0.running != digest } && !image.reference.contains("@")
    }
}
