import FoundationEssentials

extension TUFClient {
    private enum Outcome: Sendable {
        case answer([UInt8]?)
        case problem(TUFError.Problem)
    }

    /// A file of the repository; `nil` when there is none, or the repository is not to be asked.
    ///
    /// - Parameter limit: the most bytes; a fetcher that gives more is not believed.
    func fetched(
        _ path: String, _ limit: Int, _ step: TUFError.Step, _ role: String, version: Int64?, _ access: MetadataAccess
    ) async throws(TUFError) -> [UInt8]? {
        guard case .repository(let deadline) = access else { return nil }
        guard ContinuousClock.now < deadline, !Task.isCancelled else {
            throw TUFError(step, role, version: version, .deadline)
        }
        switch await outcome(path, limit, deadline) {
        case .answer(nil): return nil
        case .answer(let bytes?):
            guard bytes.count <= limit else { throw TUFError(step, role, version: version, .tooLong(limit: limit)) }
            return bytes
        case .problem(let problem): throw TUFError(step, role, version: version, problem)
        }
    }

    /// What comes first: the fetcher's answer, or the deadline.
    private func outcome(_ path: String, _ limit: Int, _ deadline: ContinuousClock.Instant) async -> Outcome {
        await withTaskGroup(of: Outcome.self) { group in
            group.addTask { [fetcher] in
                do { return .answer(try await fetcher.fetch(path, maximumLength: limit)) } catch {
                    if case .tooLong? = error as? RepositoryFetchError { return .problem(.tooLong(limit: limit)) }
                    return .problem(.fetchFailed("\(error)"))
                }
            }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return .problem(.deadline)
            }
            let first = await group.next() ?? .problem(.deadline)
            group.cancelAll()
            return first
        }
    }
}
