import NIOCore
import NIOTLS

/// One connection as Gatekeeper makes it: asks, waits for the answer, asks again until told to stop.
///
/// It stays open after that: closing it is left to the server, or to the end of the measurement.
final class GatekeeperConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What to ask, and how often.
    struct Run: Sendable {
        let question: Question
        /// Whether to parse each answer, instead of a quick look at it.
        var isThorough = false
        /// How many times at most.
        let limit: Int
        /// When to ask no more.
        let deadline: NIODeadline
        /// Gets the time from each question to its answer, in microseconds.
        let latencies: EventLoopPromise<[Double]>
    }

    private var run: Run?
    private var isReady = false
    private var reader = AnswerReader()
    private var latencies: [Double] = []
    private var asked = NIODeadline.now()

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let run = event as? Run {
            self.run = run
            latencies = []
            if isReady { ask(context) }
        } else if let event = event as? TLSUserEvent, case .handshakeCompleted = event {
            isReady = true
            if run != nil { ask(context) }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func ask(_ context: ChannelHandlerContext) {
        guard let run else { return }
        asked = .now()
        context.writeAndFlush(wrapOutboundOut(run.question.request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.append(unwrapInboundIn(data))
        do {
            guard let answer = try reader.next() else { return }
            guard let run else { throw BenchmarkError("an answer without a question") }
            if run.isThorough { try run.question.prove(answer) } else { try run.question.check(answer) }
            let now = NIODeadline.now()
            latencies.append(Double((now - asked).nanoseconds) / 1000)
            if latencies.count < run.limit, now < run.deadline { return ask(context) }
            self.run = nil
            run.latencies.succeed(latencies)
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        run?.latencies.fail(BenchmarkError("the server closed a connection in the middle of a request"))
        run = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The server closes idle connections on its own terms; that is no fault of a run that has its answers.
        run?.latencies.fail(error)
        run = nil
        context.close(promise: nil)
    }
}
