import Foundation

/// Something a ``FaultyRegistry`` does instead of answering as it should.
package struct RegistryFault: Sendable {
    /// What it does.
    package enum Kind: Sendable {
        /// 429, with `Retry-After` when given.
        case tooManyRequests(retryAfter: String?)
        /// This status with an error body.
        case status(Int)
        /// 401 with this challenge.
        case challenge(String)
        /// The right answer, its body in pieces of so many bytes with so much time between them.
        case slowBody(bytes: Int, every: Duration)
        /// The right answer, after this time.
        case delay(Duration)
        /// The right answer as it is when the gate is open: who may ask is judged then.
        case hold(Gate)
        /// A reset of the connection.
        case reset
        /// The right headers, a body of the same length in which one byte differs.
        case wrongContent
        /// The right body followed by so many spaces more.
        case oversized(by: Int)
        /// Another body that says to be encoded (`Content-Encoding`), with the right headers else.
        case content([UInt8], encoding: String)
        /// 307 to the same path at another base URL, as registries do for blobs, with a query as a signature has.
        case redirect(to: String)
        /// The first half of the body, correctly announced.
        case truncatedJSON
        /// The first half of the body, the whole announced, then the end of the connection.
        case cutShort
        /// An answer without `Docker-Content-Digest`.
        case withoutDigestHeader
        /// An answer with this header instead of its own.
        case header(String, String)
    }

    /// What it does.
    package var kind: Kind
    /// The method it concerns; `nil` = every one.
    package var method: String?
    /// The path it concerns, `*` for any text: `/v2/*/blobs/*`.
    package var path: String
    /// Parameters that the query must have: `["after": "2"]` is the second page of referrers.
    package var query: [String: String] = [:]
    /// How many more times it happens; `nil` = always.
    package var remaining: Int?

    func matches(_ request: EmulatorRequest) -> Bool {
        remaining != 0 && (method == nil || method == request.method)
            && query.allSatisfy { request.query[$0.key] == $0.value }
            && RegistryFault.matches(Substring(request.path), pattern: Substring(path))
    }

    /// What holds a request before it is looked at.
    var gate: Gate? { if case .hold(let gate) = kind { gate } else { nil } }

    /// Whether it changes an answer rather than taking its place: then it waits for a good one, not wasted on the
    /// 401 that begins a login.
    var needsGoodAnswer: Bool {
        switch kind {
        case .tooManyRequests, .status, .challenge, .delay, .hold, .reset: false
        default: true
        }
    }

    private static func matches(_ text: Substring, pattern: Substring) -> Bool {
        guard let star = pattern.firstIndex(of: "*") else { return text == pattern }
        guard text.hasPrefix(pattern[..<star]) else { return false }
        let rest = text.dropFirst(pattern[..<star].count)
        let after = pattern[pattern.index(after: star)...]
        if after.isEmpty { return true }
        return rest.indices.contains { matches(rest[$0...], pattern: after) }
    }
}

extension [RegistryFault] {
    /// What the first that is meant does, once less from now on.
    mutating func take(where isMeant: (RegistryFault) -> Bool) -> RegistryFault.Kind? {
        guard let index = firstIndex(where: isMeant) else { return nil }
        if let remaining = self[index].remaining { self[index].remaining = remaining - 1 }
        return self[index].kind
    }
}
