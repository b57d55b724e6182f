import NIOCore
import NIOTLS

/// One connection as Gatekeeper makes it: asks, waits for the answer, asks again until told to stop.
///
/// It stays open after that: closing it is left to the server, or to the end of the measurement.
final class GatekeeperConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What to ask.
    struct Run: Sendable {
        /// Where further questions come from; one question only without it.
        let workload: Workload?
        /// What to ask first.
        var first: Workload.Job?
        var isThorough = false
        /// How long an answer may take.
        let timeout: TimeAmount
        /// Gets what was found when there is nothing more to ask, or when one request failed: the connection is closed
        /// then.
        let outcome: EventLoopPromise<Outcome>
    }

    private var run: Run?
    private var job: Workload.Job?
    private var isReady = false
    private var reader = AnswerReader()
    private var outcome = Outcome()
    private var asked = NIODeadline.now()
    private var alarm: Scheduled<Void>?

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let run = event as? Run {
            self.run = run
            outcome = Outcome()
            asked = .now()
            watch(context, run.timeout)
            if isReady { next(context) }
        } else if let event = event as? TLSUserEvent, case .handshakeCompleted = event {
            isReady = true
            if run != nil { next(context) }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Looks now and then whether an answer is overdue: a timer for each would cost more than the request.
    private func watch(_ context: ChannelHandlerContext, _ timeout: TimeAmount) {
        alarm?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        alarm = context.eventLoop.scheduleTask(in: timeout) {
            let (connection, context) = bound.value
            guard connection.run != nil else { return }
            let isWaiting = !connection.isReady || connection.job != nil
            guard isWaiting, NIODeadline.now() - connection.asked >= timeout else {
                return connection.watch(context, timeout)
            }
            connection.errorCaught(
                context: context, error: BenchmarkError("no answer within \(timeout.nanoseconds / 1_000_000) ms"))
        }
    }

    private func next(_ context: ChannelHandlerContext) {
        guard var run else { return }
        let job: Workload.Job?
        if let first = run.first {
            job = first
            run.first = nil
            self.run = run
        } else {
            job = run.workload?.next()
        }
        guard let job else { return finish() }
        let now = NIODeadline.now()
        if let due = job.due, due > now {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(deadline: due) { bound.value.0.ask(job, bound.value.1) }
        } else {
            ask(job, context)
        }
    }

    private func ask(_ job: Workload.Job, _ context: ChannelHandlerContext) {
        guard run != nil else { return }
        self.job = job
        asked = .now()
        context.writeAndFlush(wrapOutboundOut(job.question.request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.append(unwrapInboundIn(data))
        do {
            guard let answer = try reader.next() else { return }
            guard let run, let job else { throw BenchmarkError("an answer without a question") }
            if run.isThorough { try job.question.prove(answer) } else { try job.question.check(answer) }
            outcome.latencies.record(nanoseconds: (NIODeadline.now() - (job.due ?? asked)).nanoseconds)
            self.job = nil
            next(context)
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    private func finish() {
        alarm?.cancel()
        run?.outcome.succeed(outcome)
        run = nil
        job = nil
    }

    private func fail(_ reason: String) {
        guard run != nil else { return }
        // A question that was asked, or taken and not asked yet.
        outcome.fail(reason)
        finish()
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the server closed a connection in the middle of a request")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The server closes idle connections on its own terms; that is no fault of a run that has its answers.
        fail("\(error)")
        context.close(promise: nil)
    }
}
