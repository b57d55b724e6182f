import Glibc
import NIOCore

/// Reads HTTP/1.1 answers that say their length: all that the provider sends. Much less work than a general parser, so
/// that the measuring side takes little of the machine that both sides share.
struct AnswerReader {
    private var buffer = ByteBuffer()

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeImmutableBuffer(bytes) }
    }

    /// The body of the next answer when all of it is there.
    ///
    /// - Throws: when it is not an answer with status 200 and a length.
    mutating func next() throws -> ByteBuffer? {
        guard let headEnd = buffer.withUnsafeReadableBytes({ AnswerReader.find("\r\n\r\n", in: $0) }) else {
            return nil
        }
        let length = try buffer.withUnsafeReadableBytes { bytes in
            let head = String(decoding: bytes[..<headEnd], as: UTF8.self)
            guard head.hasPrefix("HTTP/1.1 200 ") else { throw BenchmarkError("an answer with the head \(head)") }
            for line in head.split(separator: "\r\n").dropFirst() {
                guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "content-length" else {
                    continue
                }
                if let length = Int(line[line.index(after: colon)...].filter { $0 != " " }) { return length }
            }
            throw BenchmarkError("an answer without a length: \(head)")
        }
        guard buffer.readableBytes >= headEnd + 4 + length else { return nil }
        buffer.moveReaderIndex(forwardBy: headEnd + 4)
        return buffer.readSlice(length: length)
    }

    /// Where a text begins.
    static func find(_ text: StaticString, in bytes: UnsafeRawBufferPointer) -> Int? {
        let length = text.utf8CodeUnitCount
        var start = 0
        while start + length <= bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + start, Int32(text.utf8Start.pointee), bytes.count - length + 1 - start)
        {
            let place = UnsafeRawPointer(found) - base
            if memcmp(found, text.utf8Start, length) == 0 { return place }
            start = place + 1
        }
        return nil
    }
}
