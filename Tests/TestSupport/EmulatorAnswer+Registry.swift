import OCI
import StrictJSON

/// What registries answer.
extension EmulatorAnswer {
    /// An error as the distribution specification writes it ("Error Codes").
    static func error(_ status: Int, _ code: String, headers: [(name: String, value: String)] = []) -> EmulatorAnswer {
        let body: JSONValue = ["errors": [["code": .string(code), "message": .string("this registry says \(code)")]]]
        return EmulatorAnswer(
            status: status, headers: [("Content-Type", "application/json")] + headers, body: body.bytes)
    }

    mutating func remove(header name: String) { headers.removeAll { $0.name.lowercased() == name.lowercased() } }

    /// Turns a good answer into what the fault makes of it.
    mutating func apply(_ fault: RegistryFault.Kind, to request: EmulatorRequest) {
        switch fault {
        case .tooManyRequests(let retryAfter):
            self = .error(429, "TOOMANYREQUESTS", headers: retryAfter.map { [("Retry-After", $0)] } ?? [])
        case .status(let status): self = .error(status, "UNKNOWN")
        case .challenge(let challenge):
            self = .error(401, "UNAUTHORIZED", headers: [("WWW-Authenticate", challenge)])
        case .slowBody(let bytes, let every): pace = (max(1, bytes), every)
        case .wrongContent: if !body.isEmpty { body[body.count / 2] ^= 1 }
        case .oversized(let count):
            body += [UInt8](repeating: 0x20, count: count)
            remove(header: "Content-Length")
        case .content(let content, let encoding):
            body = content
            remove(header: "Content-Length")
            headers.append(("Content-Encoding", encoding))
        case .redirect(let base):
            self = EmulatorAnswer(status: 307, headers: [("Location", "\(base)\(request.path)?signature=secret")])
        case .truncatedJSON:
            body = Array(body.prefix(body.count / 2))
            remove(header: "Content-Length")
        case .cutShort:
            remove(header: "Content-Length")
            headers.append(("Content-Length", String(body.count)))
            body = Array(body.prefix(body.count / 2))
            isCutShort = true
        case .withoutDigestHeader: remove(header: "Docker-Content-Digest")
        case .header(let name, let value):
            remove(header: name)
            headers.append((name, value))
        case .delay, .hold, .reset: break
        }
    }
}
