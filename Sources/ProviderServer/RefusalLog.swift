import Logging
import NIOCore
import NIOSSL
import Synchronization

/// Logs failed handshakes and refused connections, at a limited rate: a client that cannot connect must be found in the
/// log, and one that tries all day must not fill it.
final class RefusalLog: Sendable {
    private struct State {
        var next = ContinuousClock.now
        var suppressed = 0
    }

    private let interval: Duration
    /// For each kind of refusal, of which there are few: one does not hide another.
    private let states = Mutex<[String: State]>([:])

    /// A log that writes at most one line per interval.
    init(interval: Duration = .seconds(5)) { self.interval = interval }

    /// Logs one failed handshake, or counts it when one was logged just now.
    func record(_ error: any Error, from address: SocketAddress?, logger: Logger) {
        record("TLS handshake failed", reason: RefusalLog.reason(error), from: address, logger: logger)
    }

    /// Logs one refusal, or counts it when one of its kind was logged just now.
    ///
    /// - Parameter kind: one of few words.
    func record(
        _ message: Logger.Message, kind: String = "", reason: @autoclosure () -> String, from address: SocketAddress?,
        _ more: Logger.Metadata = [:], logger: Logger
    ) {
        let suppressed = states.withLock { states -> Int? in
            var state = states[kind] ?? State()
            let now = ContinuousClock.now
            defer { states[kind] = state }
            guard now >= state.next else {
                state.suppressed += 1
                return nil
            }
            defer { state.suppressed = 0 }
            state.next = now + interval
            return state.suppressed
        }
        guard let suppressed else { return }
        var metadata: Logger.Metadata = ["reason": "\(reason())"]
        if let address { metadata["client"] = "\(address.ipAddress ?? "unknown")" }
        metadata.merge(more) { $1 }
        if suppressed > 0 { metadata["not-logged-since"] = "\(suppressed)" }
        logger.warning(message, metadata: metadata)
    }

    /// What happened and what to do, for the causes that an operator meets.
    static func reason(_ error: any Error) -> String {
        let text = "\(error)"
        let known: [(String, String)] = [
            (
                "PEER_DID_NOT_RETURN_A_CERTIFICATE",
                "the client sent no certificate: only Gatekeeper, with its own certificate, is let in"
            ),
            (
                "CERTIFICATE_VERIFY_FAILED",
                "the client's certificate does not chain to the client authorities: give Gatekeeper's present ca.crt"
            ),
            ("UNSUPPORTED_PROTOCOL", "the client does not speak TLS 1.3"),
            ("HTTP_REQUEST", "the client speaks plain HTTP"),
            (
                "TLSV1_ALERT_UNKNOWN_CA",
                "the client does not trust our certificate: its authority belongs into the Provider's caBundle"
            ),
            ("ALERT_BAD_CERTIFICATE", "the client refused our certificate: see its names and dates"),
            ("eofDuringHandshake", "the client went away during the handshake"),
            ("EOF during handshake", "the client went away during the handshake"),
        ]
        return known.first { text.contains($0.0) }?.1 ?? text
    }
}

/// Why a request was not answered as it was asked: for the log.
package final class Refusal: Sendable {
    /// What was asked.
    let operation: String
    /// A bounded set of words.
    let kind: String
    let reason: String
    /// Whether the connection is closed: a client that is refused must connect anew for each try.
    let isLast: Bool

    /// - Parameters:
    ///   - operation: what was asked.
    ///   - kind: one of few words.
    ///   - isLast: whether the connection ends with it.
    package init(_ operation: String, _ kind: String, _ reason: String, isLast: Bool = true) {
        self.operation = operation
        self.kind = kind
        self.reason = reason
        self.isLast = isLast
    }
}
