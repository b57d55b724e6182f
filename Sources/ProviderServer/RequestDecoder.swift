import NIOCore
import NIOHTTP1

/// Decodes HTTP/1.1, and reports bytes to the connection as they arrive, before they make a whole head. Input that the
/// connection discards is dropped undecoded.
struct RequestDecoder: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private let decoder: HTTPRequestDecoder
    private let connection: ProviderConnection
    /// How many bytes of the last read are not decoded yet.
    private var leftOver = 0

    init(_ connection: ProviderConnection, limits: NIOHTTPDecoderLimitConfiguration = .init()) {
        self.connection = connection
        decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)
    }

    func decoderAdded(context: ChannelHandlerContext) { decoder.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { decoder.decoderRemoved(context: context) }

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard !connection.isDiscardingInput else {
            buffer.moveReaderIndex(to: buffer.writerIndex)
            return .needMoreData
        }
        let start = buffer.readerIndex + leftOver
        let last = buffer.lastBytes
        connection.bytesArrived(context)
        defer { leftOver = buffer.readableBytes }
        let state: DecodingState
        do { state = try decoder.decode(context: context, buffer: &buffer) } catch {
            connection.see(buffer.written(from: start))
            throw error
        }
        if connection.isInHead {
            connection.see(buffer.written(from: start))
        } else {
            connection.bytesDecoded(last, context)
        }
        return state
    }

    func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        guard !connection.isDiscardingInput else { return .needMoreData }
        return try decoder.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
    }
}

@available(*, unavailable)
extension RequestDecoder: Sendable {}

extension ByteBuffer {
    /// The last eight bytes, by which the ends of two buffers are compared; `nil` when there are fewer.
    var lastBytes: UInt64? { getInteger(at: writerIndex - 8) }

    /// All bytes from an index on, including those that were read already.
    fileprivate func written(from index: Int) -> ByteBufferView {
        var whole = self
        whole.moveReaderIndex(to: index)
        return whole.readableBytesView
    }
}

extension UInt64 {
    /// Whether an empty line is at their end, as after a head and after the last chunk of a body.
    var endsHead: Bool { UInt32(truncatingIfNeeded: self) == 0x0D0A_0D0A }
}

extension HTTPServerRequestPart {
    /// Whether nothing of the request comes after it.
    var isEnd: Bool {
        if case .end = self { true } else { false }
    }
}
