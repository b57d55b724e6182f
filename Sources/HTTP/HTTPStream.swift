import Quotation
import Synchronization

/// An answer whose body is read as it arrives.
public struct HTTPStream: Sendable {
    /// The status code.
    public let status: Int
    /// The header fields.
    public let headers: HTTPHeaders
    /// The body.
    public let body: HTTPBody
    /// What was sent that no message may repeat.
    package let sent: SentSecrets
}

/// A body under way, for one reader. When nobody holds it any more, the transfer ends.
///
/// At most ``maximumBufferedBytes`` wait for the reader (and what one write of the peer brings more); then the peer
/// is kept waiting.
public final class HTTPBody: Sendable {
    /// How much is taken from the peer ahead of the reader.
    public static let maximumBufferedBytes = 1 << 20

    private let buffer: StreamBuffer
    private let transfer: Transfer
    private let engine: TransferEngine
    private let call: HTTPCall

    init(_ buffer: StreamBuffer, _ transfer: Transfer, _ engine: TransferEngine, _ call: HTTPCall) {
        self.buffer = buffer
        self.transfer = transfer
        self.engine = engine
        self.call = call
    }

    deinit { engine.cancel(transfer) }

    /// Ends the transfer; what has arrived can still be read.
    public func cancel() { engine.cancel(transfer) }

    /// What has arrived since the last call, or else what arrives next; `nil` at the end of the body.
    ///
    /// - Throws: when the body ends before its end; `cancelled` when the task was cancelled, which ends the transfer.
    public func next() async throws(HTTPError) -> [UInt8]? {
        while true {
            switch buffer.take() {
            case .bytes(let bytes, let mustResume):
                if mustResume { engine.resume(transfer) }
                return bytes
            case .end(nil): return nil
            case .end(let fault?): throw call.error(fault.kind, fault.detail)
            case .nothing: break
            }
            guard !Task.isCancelled else {
                cancel()
                throw call.error(.cancelled, "the call was cancelled")
            }
            await withTaskCancellationHandler {
                await buffer.arrival()
            } onCancel: {
                cancel()
                buffer.wake()
            }
        }
    }
}

/// What has arrived of a stream and was not read yet. The engine's thread writes, one task reads.
final class StreamBuffer: Sendable {
    enum Content {
        case bytes([UInt8], mustResume: Bool)
        case end(Fault?)
        case nothing
    }

    private struct State {
        var bytes: [UInt8] = []
        var isPaused = false
        var isEnded = false
        var fault: Fault?
        var isWoken = false
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Takes bytes, or says that there is no room for them now.
    func offer(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let (isTaken, reader) = state.withLock { state in
            guard state.bytes.count < HTTPBody.maximumBufferedBytes else {
                state.isPaused = true
                return (false, CheckedContinuation<Void, Never>?.none)
            }
            state.bytes.append(contentsOf: bytes)
            defer { state.reader = nil }
            return (true, state.reader)
        }
        reader?.resume()
        return isTaken
    }

    /// There is no more, because of a fault if there is one.
    func end(_ fault: Fault?) {
        let reader = state.withLock { state in
            state.isEnded = true
            state.fault = fault
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    func take() -> Content {
        state.withLock { state in
            guard state.bytes.isEmpty else {
                defer {
                    state.bytes = []
                    state.isPaused = false
                }
                return .bytes(state.bytes, mustResume: state.isPaused)
            }
            return state.isEnded ? .end(state.fault) : .nothing
        }
    }

    /// Returns when there may be something to take.
    func arrival() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isNow = state.withLock { state in
                guard state.bytes.isEmpty, !state.isEnded, !state.isWoken else {
                    state.isWoken = false
                    return true
                }
                state.reader = continuation
                return false
            }
            if isNow { continuation.resume() }
        }
    }

    /// Makes the reader look again.
    func wake() {
        let reader = state.withLock { state in
            if state.reader == nil { state.isWoken = true }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }
}
