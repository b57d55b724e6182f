import Logging
import NIOSSL
import ServiceLifecycle
import ServiceLogging
import ServiceMetrics
import Synchronization

/// Keeps the certificate, key and client authorities in force equal to the files.
///
/// Each new connection takes the context that is in force at that moment; open connections keep theirs. Files that
/// are half-written or do not fit each other leave the last good ones in force.
final class CertificateReloader: Service {
    private struct State {
        /// `nil`: not there yet.
        var current: ServingCertificate?
        /// Why the last look failed; `nil` when the files are in force.
        var problem: String?
    }

    private let files: ServingCertificateFiles
    private let interval: Duration
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads the files for the first time: a server without them does not start. Certificates that the program itself
    /// provides may come later: until then no connection is served.
    init(
        files: ServingCertificateFiles, interval: Duration, metrics: MetricsRegistry, logger: Logger
    ) throws(ServingCertificateError) {
        self.files = files
        self.interval = interval
        self.metrics = metrics
        self.logger = logger
        guard !files.isAwaited else {
            state = Mutex(State(current: nil))
            return
        }
        let certificate = try ServingCertificate(files: files)
        state = Mutex(State(current: certificate))
        announce(certificate, "serving certificate loaded")
        gauges(certificate, isCurrent: true)
    }

    /// The TLS context for a new connection.
    ///
    /// - Throws: when there is no certificate yet.
    var context: NIOSSLContext {
        get throws(ServingCertificateError) { try current.context }
    }

    private var current: ServingCertificate {
        get throws(ServingCertificateError) {
            guard let current = state.withLock({ $0.current }) else {
                throw ServingCertificateError(missing ?? "there is no serving certificate")
            }
            return current
        }
    }

    /// What is still awaited; `nil` when connections can be served.
    var missing: String? {
        guard state.withLock({ $0.current == nil }) else { return nil }
        let names = files.all.filter { $0.stamp == nil }.map(\.description)
        return names.isEmpty ? "the serving certificate is not usable" : "waiting for \(names.joined(separator: ", "))"
    }

    /// The same for a client that may have no certificate: one that it does have must chain to the client authorities.
    ///
    /// - Throws: when there is no certificate yet.
    var contextWithOptionalClient: NIOSSLContext {
        get throws(ServingCertificateError) { try current.contextWithOptionalClient }
    }

    /// Looks at the files once per interval.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            // The sleep ends early only by cancellation.
            while (try? await Task.sleep(for: self.interval)) != nil { self.look() }
        }
    }

    /// Looks at the files, and reads them if one has changed or they were not usable before.
    func look() {
        let (stamps, problem) = state.withLock { ($0.current?.stamps, $0.problem) }
        guard problem != nil || files.all.map(\.stamp) != stamps, stamps != nil || !files.isAwaited else { return }
        do {
            let certificate = try ServingCertificate(files: files)
            let former = state.withLock { state in
                defer { state = State(current: certificate) }
                return state.current
            }
            gauges(certificate, isCurrent: true)
            let isOwnOther = former?.content.own != certificate.content.own
            guard isOwnOther || former?.content.clientAuthorities != certificate.content.clientAuthorities else {
                if problem != nil {
                    announce(certificate, "the serving certificate in force is in the files again, nothing else")
                }
                return
            }
            count("success")
            announce(
                certificate,
                isOwnOther
                    ? "serving certificate \(former == nil ? "loaded" : "reloaded")"
                    : "authorities of client certificates reloaded")
        } catch {
            let (current, isNew) = state.withLock { state in
                let isNew = state.problem != error.description
                state.problem = error.description
                return (state.current, isNew)
            }
            if let current { gauges(current, isCurrent: false) }
            guard isNew else { return }
            count("failure")
            logger.error(
                "new serving certificate refused, the last good one stays in force",
                metadata: [
                    "reason": "\(error)", "expires": "\(current.map { CertificateReloader.text($0.expiry) } ?? "none")",
                ])
        }
    }

    private func announce(_ certificate: ServingCertificate, _ message: Logger.Message) {
        var metadata: Logger.Metadata = [
            "certificate": "\(files.certificate)", "serial": "\(certificate.serialNumber)",
            "expires": "\(CertificateReloader.text(certificate.expiry))",
        ]
        if let expiry = certificate.clientAuthorityExpiry {
            metadata["client-authorities"] = "\(files.clientAuthorities.map(\.description).joined(separator: " "))"
            metadata["client-authorities-expire"] = "\(CertificateReloader.text(expiry))"
        }
        logger.info(message, metadata: metadata)
    }

    private func count(_ result: String) {
        metrics.count(
            "countersign_serving_certificate_reloads_total", [("result", result)],
            help: "Changes of the serving certificate, key or client authorities that were taken or refused.")
    }

    private func gauges(_ certificate: ServingCertificate, isCurrent: Bool) {
        metrics.gauge(
            "countersign_serving_certificate_expiry_timestamp_seconds", [], Double(certificate.expiry),
            help: "When the serving certificate in force ends, in seconds since 1970.")
        if let expiry = certificate.clientAuthorityExpiry {
            metrics.gauge(
                "countersign_client_authority_expiry_timestamp_seconds", [], Double(expiry),
                help: "When the first of the client authorities in force ends, in seconds since 1970.")
        }
        metrics.gauge(
            "countersign_serving_certificate_current", [], isCurrent ? 1 : 0,
            help: "1 when the files are in force, 0 when they were refused and older ones are.")
    }

    private static func text(_ seconds: Int) -> String {
        String(Timestamp.text(seconds: Int64(seconds), nanoseconds: 0).prefix(19)) + "Z"
    }
}
