/// The outcome of verifying an image before a request asks for it.
package enum PrewarmingOutcome: Sendable {
    /// A verdict is known, and holds for so long.
    case kept(isSuccess: Bool, life: Duration)
    /// Nothing was done: requests come first, or the registry limits requests.
    case postponed
    /// No verdict this time.
    case fault(TransientFault)
}

extension PipelineService {
    /// How long verdicts are kept; zero: not at all.
    package var decisionLifetime: Duration { cache.timeToLive }

    /// How much longer the verdict on a key is kept; `nil` when there is none.
    package func remainingLife(of key: ImageKey) -> Duration? {
        guard let question = try? question(key) else { return nil }
        return cache.remainingLife(for: question.cacheKey)
    }

    /// Reaches the verdict on a key as a request would, and keeps it, if nobody's request is held up by that.
    ///
    /// A request that comes meanwhile for the same key waits for this verdict instead of asking the registry itself.
    /// What is answered to requests is never changed by this: the verdict is reached in the same way, and kept as long.
    ///
    /// - Parameter ahead: a verdict of another replica is taken when it holds for longer than this.
    package func prewarm(
        _ key: ImageKey, ahead: Duration, deadline: ContinuousClock.Instant
    ) async -> PrewarmingOutcome {
        let question: PendingQuestion
        do { question = try self.question(key) } catch { return .fault(TransientFault(error)) }
        let reference = question.key.reference
        guard question.snapshot.stores.allSatisfy({ $0.degradedReason(for: reference) == nil }) else {
            return .postponed
        }
        let result = await limiter.workIfIdle(at: reference.endpoint, limits: question.snapshot.settings.limits) {
            await verdict(on: question, deadline: deadline, ahead: ahead)
                ?? .fault(PipelineService.late(.verify, question))
        }
        switch result {
        case nil: return .postponed
        case .fault(let fault): return .fault(fault)
        case .decided(let decision, _):
            return .kept(isSuccess: decision.isSuccess, life: cache.remainingLife(for: question.cacheKey) ?? .zero)
        }
    }
}
