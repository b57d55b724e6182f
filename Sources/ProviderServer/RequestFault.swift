import HTTPTypes
import NIOCore
import NIOHTTP1

/// Why a request is refused whatever it asks: it is not valid HTTP/1.1, or exceeds a limit.
package struct RequestFault: Error, Sendable, Hashable {
    /// What is wrong, as a bounded set of words for the metric.
    package enum Kind: String, Sendable {
        case target = "target too long"
        case head = "head too large"
        case trailers = "trailers too large"
        case host
        case framing
        case version
        case notHTTP = "not HTTP"
        case cutShort = "cut short"
        case pipelined = "too many requests at once"
        case crowded = "no room for its body"
    }

    /// What is wrong.
    package let kind: Kind
    /// What is wrong and what to do.
    package let reason: String

    init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    /// The status that says so (RFC 9110, section 15.5; RFC 6585, section 5).
    package var status: HTTPResponse.Status {
        switch kind {
        case .target: .uriTooLong
        case .head, .trailers: .requestHeaderFieldsTooLarge
        case .version: .httpVersionNotSupported
        case .host, .framing, .notHTTP, .cutShort, .pipelined: .badRequest
        case .crowded: .serviceUnavailable
        }
    }

    /// The fault of input that the decoder refused.
    ///
    /// - Parameters:
    ///   - length: how many bytes the first line has, or what has come of it.
    ///   - isTLS: whether the bytes begin like a handshake of TLS.
    init(_ broken: BrokenHead, limits: NIOHTTPDecoderLimitConfiguration, length: Int, isTLS: Bool) {
        let bytes = limits.maxHeaderListSize
        let fields = limits.maxHeaderFieldCount
        switch broken.error {
        case .headerOverflow where broken.isInBody:
            self.init(
                .trailers,
                "with those after the body, the request has more than \(fields) fields, or more than \(bytes) bytes of them: send fewer and shorter ones"
            )
        // Before the target there is at least the shortest method.
        case .headerOverflow where length > bytes + 4:
            self.init(
                .target, "the request's target is longer than \(bytes) bytes: check the url of the Provider or policy")
        case .headerOverflow:
            self.init(
                .head,
                "the request's head is larger than \(bytes) bytes, or has more than \(fields) fields: send fewer and shorter ones"
            )
        case .unexpectedContentLength, .invalidContentLength, .invalidChunkSize:
            self.init(.framing, RequestFault.unclearLength)
        // The decoder has no error of its own for a Transfer-Encoding that cannot be used.
        case .unknown: self.init(.framing, RequestFault.unclearLength)
        // `.paused` is the error for the preface of HTTP/2 (RFC 9113, section 3.4).
        case .invalidVersion, .paused: self.init(.version, "this version of HTTP is not spoken: use HTTP/1.1")
        case .invalidEOFState, .closedConnection: self.init(.cutShort, "the request ended before it was whole")
        default:
            self.init(
                .notHTTP,
                isTLS
                    ? "the client speaks TLS, and this listener plain HTTP: give a certificate directory (--cert-dir)"
                    : "what came is not HTTP/1.1 (\(broken.error)): see which client it is")
        }
    }

    /// The bodies of other requests take all the memory that there is for bodies.
    static let crowded = RequestFault(
        .crowded, "too many large requests are in memory: ask again in a moment, or with fewer keys in a request")

    private static let unclearLength =
        "how long the body is cannot be told: send one Content-Length, or Transfer-Encoding: chunked, and not both"

    /// More pipelined requests than are accepted.
    static func pipelined(_ most: Int) -> RequestFault {
        RequestFault(
            .pipelined, "more than \(most) requests were sent while one was to be answered: wait for the answers")
    }
}

/// Input that the decoder refused.
struct BrokenHead {
    let error: HTTPParserError
    /// Whether the request's head was whole.
    let isInBody: Bool
}

/// The first line of a request that is incomplete or not HTTP, as far as it has come.
struct FirstLine {
    /// How many bytes it has, or how many of it have come.
    private(set) var length = 0
    private var isWhole = false
    /// Whether it begins like a handshake of TLS (RFC 8446, section 5.1).
    private(set) var isTLS = false

    /// Takes the next bytes.
    mutating func take(_ bytes: ByteBufferView) {
        guard !isWhole else { return }
        if length == 0 { isTLS = bytes.starts(with: [22, 3]) }
        let end = bytes.firstIndex(of: UInt8(ascii: "\n"))
        isWhole = end != nil
        length += bytes.distance(from: bytes.startIndex, to: end ?? bytes.endIndex)
    }
}
