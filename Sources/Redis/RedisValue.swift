/// A reply of Redis (RESP, version 2).
package enum RedisValue: Sendable, Hashable {
    /// `+OK`
    case simple(String)
    /// `-ERR …`: what the server says against the command.
    case error(String)
    case integer(Int64)
    /// Any bytes.
    case bulk([UInt8])
    /// What is not there.
    case null
    case array([RedisValue])

    /// The bytes of a text, whether simple or bulk.
    package var bytes: [UInt8]? {
        switch self {
        case .simple(let text): Array(text.utf8)
        case .bulk(let bytes): bytes
        case .error, .integer, .null, .array: nil
        }
    }
}

/// What a reply may be at most: the server is not trusted to be reasonable.
package struct RedisLimits: Sendable, Hashable {
    /// The longest text in bytes.
    package var maximumBytes = 8 << 20
    /// The most elements of an array.
    package var maximumElements = 1024
    /// How deep arrays may be nested.
    package var maximumDepth = 4
    /// The longest line: a simple text, an error, a number.
    package var maximumLine = 4096

    /// Usual limits.
    package init() {}
}

/// Why bytes are not a reply.
package struct RedisProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    package let description: String
}

/// Reads replies from bytes as they come.
package struct RedisParser: Sendable {
    private let limits: RedisLimits

    /// A parser with limits.
    package init(limits: RedisLimits = RedisLimits()) { self.limits = limits }

    /// The first reply in the bytes and how many of them it takes; `nil` when it is not whole yet.
    package func parse(
        _ bytes: some RandomAccessCollection<UInt8>
    ) throws(RedisProtocolError) -> (value: RedisValue, count: Int)? {
        var position = bytes.startIndex
        guard let value = try value(bytes, &position, depth: 0) else { return nil }
        return (value, bytes.distance(from: bytes.startIndex, to: position))
    }

    private func value<Bytes: RandomAccessCollection<UInt8>>(
        _ bytes: Bytes, _ position: inout Bytes.Index, depth: Int
    ) throws(RedisProtocolError) -> RedisValue? {
        guard position < bytes.endIndex else { return nil }
        let kind = bytes[position]
        var next = bytes.index(after: position)
        guard let line = try line(bytes, &next) else { return nil }
        switch kind {
        case UInt8(ascii: "+"):
            position = next
            return .simple(String(decoding: line, as: UTF8.self))
        case UInt8(ascii: "-"):
            position = next
            return .error(String(decoding: line, as: UTF8.self))
        case UInt8(ascii: ":"):
            position = next
            return .integer(try number(line))
        case UInt8(ascii: "$"):
            let count = try number(line)
            guard count >= 0 else {
                position = next
                return .null
            }
            guard count <= Int64(limits.maximumBytes) else {
                throw RedisProtocolError(description: "a text has \(count) bytes, more than \(limits.maximumBytes)")
            }
            guard bytes.distance(from: next, to: bytes.endIndex) >= Int(count) + 2 else { return nil }
            let end = bytes.index(next, offsetBy: Int(count))
            guard bytes[end] == 0x0D, bytes[bytes.index(after: end)] == 0x0A else {
                throw RedisProtocolError(description: "a text does not end where it says")
            }
            position = bytes.index(end, offsetBy: 2)
            return .bulk(Array(bytes[next..<end]))
        case UInt8(ascii: "*"):
            let count = try number(line)
            guard count >= 0 else {
                position = next
                return .null
            }
            guard count <= Int64(limits.maximumElements), depth < limits.maximumDepth else {
                throw RedisProtocolError(description: "an array is too large or too deep")
            }
            var elements: [RedisValue] = []
            for _ in 0..<count {
                guard let element = try value(bytes, &next, depth: depth + 1) else { return nil }
                elements.append(element)
            }
            position = next
            return .array(elements)
        default: throw RedisProtocolError(description: "a reply begins with byte \(kind): this is no Redis")
        }
    }

    /// The bytes up to the end of the line, which is passed.
    private func line<Bytes: RandomAccessCollection<UInt8>>(
        _ bytes: Bytes, _ position: inout Bytes.Index
    ) throws(RedisProtocolError) -> [UInt8]? {
        let rest = bytes[position...].prefix(limits.maximumLine + 2)
        guard let end = rest.firstIndex(of: 0x0D) else {
            guard rest.count <= limits.maximumLine else {
                throw RedisProtocolError(description: "a line is longer than \(limits.maximumLine) bytes")
            }
            return nil
        }
        let feed = bytes.index(after: end)
        guard feed < bytes.endIndex else { return nil }
        guard bytes[feed] == 0x0A else { throw RedisProtocolError(description: "a line does not end with CR LF") }
        defer { position = bytes.index(after: feed) }
        return Array(bytes[position..<end])
    }

    private func number(_ line: [UInt8]) throws(RedisProtocolError) -> Int64 {
        guard let number = Int64(String(decoding: line, as: UTF8.self)) else {
            throw RedisProtocolError(description: "a number is no number")
        }
        return number
    }

    /// A command as it goes over the wire: an array of texts.
    package static func command(_ parts: [[UInt8]]) -> [UInt8] {
        var output = Array("*\(parts.count)\r\n".utf8)
        for part in parts {
            output.append(contentsOf: "$\(part.count)\r\n".utf8)
            output.append(contentsOf: part)
            output.append(contentsOf: "\r\n".utf8)
        }
        return output
    }
}
