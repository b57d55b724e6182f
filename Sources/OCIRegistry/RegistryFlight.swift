import Concurrency
import OCI

extension SingleFlight where Failure == RegistryError {
    /// The outcome of the work for this key: of the one that is under way, or of a new one.
    ///
    /// - Parameters:
    ///   - deadline: when this caller stops waiting, with `timeout` for its error.
    ///   - workTime: how long the work may take, if that is longer than this caller waits.
    func value(
        for key: Key, deadline: ContinuousClock.Instant, workTime: Duration, timeout: @autoclosure () -> RegistryError,
        work: @escaping @Sendable (ContinuousClock.Instant) async throws(RegistryError) -> Value
    ) async throws(RegistryError) -> Value {
        var isFirstTry = true
        while true {
            let isOwn = DetachedWork.isCurrent && deadline >= .now + workTime / 2
            do throws(RegistryError) {
                return try await value(
                    for: key, deadline: deadline, inOwnTask: isOwn,
                    leavingWith: { departure in
                        let timeout = timeout()
                        guard departure == .cancelled else { return timeout }
                        return RegistryError(
                            .cancelled, host: timeout.host, subject: timeout.subject,
                            detail: "the caller gave up waiting")
                    },
                    work: { () async throws(RegistryError) -> Value in
                        try await work(isOwn ? deadline : max(deadline, .now + workTime))
                    })
            } catch {
                // Work that someone else began earlier may run out of time before this caller does: once more, then.
                guard error.kind == .timeout, isFirstTry, .now < deadline, !Task.isCancelled else { throw error }
                isFirstTry = false
            }
        }
    }
}
