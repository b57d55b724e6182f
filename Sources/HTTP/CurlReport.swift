import CCurl
import Quotation

/// How far a transfer had come.
enum TransferPhase: Sendable, Hashable {
    case resolving, connecting, handshake, waiting
    case receiving(Int)

    /// In words that follow "while".
    var words: String {
        switch self {
        case .resolving: "waiting for a free connection or for the host's name to be resolved"
        case .connecting: "connecting"
        case .handshake: "setting up TLS"
        case .waiting: "waiting for the answer"
        case .receiving(let bytes): "receiving the answer, \(bytes) bytes so far"
        }
    }
}

/// What libcurl says about a transfer that failed, and what that means here.
struct CurlReport {
    let code: CURLcode
    /// libcurl's own words; it puts no URLs or headers into them.
    let text: String
    let phase: TransferPhase
    let exchange: Exchange
    let trustCount: Int
    /// The proxy's answer to CONNECT, 0 when there was none.
    let connectStatus: Int

    var fault: Fault {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: return fault(.dns, "the host's name cannot be resolved")
        case CURLE_COULDNT_RESOLVE_PROXY: return proxyFault("the name of the proxy cannot be resolved")
        case CURLE_COULDNT_CONNECT:
            return exchange.proxy == nil
                ? fault(.connect, "cannot connect") : proxyFault("cannot connect to the proxy")
        case CURLE_PROXY: return proxyFault("the proxy refuses")
        case CURLE_OPERATION_TIMEDOUT: return connectTimeout
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS:
            let hint = trustCount == 0 ? "; no certificate authorities are installed or configured here" : ""
            return fault(.tls, "the host's certificate is not accepted", hint: hint, isWorthRetrying: false)
        case CURLE_SSL_CONNECT_ERROR: return fault(.tls, "the TLS handshake failed")
        case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_USE_SSL_FAILED,
            CURLE_SSL_ENGINE_INITFAILED:
            return fault(.tls, "TLS cannot be set up", isWorthRetrying: false)
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2,
            CURLE_HTTP2_STREAM:
            if exchange.proxy != nil, connectStatus != 0, connectStatus != 200 {
                return Fault(
                    kind: .proxy, detail: "the proxy \(proxyName) refuses to connect, status \(connectStatus)",
                    isWorthRetrying: connectStatus >= 500)
            }
            return fault(.connectionLost, "the connection was lost while \(phase.words)")
        default: return fault(.protocolFault, "the exchange failed", isWorthRetrying: false)
        }
    }

    /// Only connecting has a time limit of libcurl's own here.
    private var connectTimeout: Fault {
        let limit = "\(exchange.connectTimeout.wholeMilliseconds) ms"
        switch phase {
        case .resolving: return fault(.dns, "the host's name was not resolved within \(limit)")
        case .handshake: return fault(.tls, "the TLS handshake did not end within \(limit)")
        case .connecting, .waiting, .receiving:
            return exchange.proxy == nil
                ? fault(.connect, "no connection within \(limit)")
                : proxyFault("no connection through the proxy within \(limit)")
        }
    }

    private var proxyName: String { exchange.proxy?.authority ?? "" }

    private func proxyFault(_ what: String) -> Fault { fault(.proxy, "\(what) \(proxyName)") }

    private func fault(
        _ kind: HTTPError.Kind, _ what: String, hint: String = "", isWorthRetrying: Bool = true
    ) -> Fault {
        let said = text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        // One printable line: the text may quote what a peer sent.
        let printable = exchange.sent.shown(
            String(decoding: said.utf8.prefix(300).map { $0 < 0x20 || $0 > 0x7E ? 0x20 : $0 }, as: UTF8.self)
        ).withoutFinalStop
        return Fault(kind: kind, detail: "\(what): \(printable)\(hint)", isWorthRetrying: isWorthRetrying)
    }
}
