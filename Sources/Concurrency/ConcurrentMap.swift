extension Array where Element: Sendable {
    /// What the work on each element gives, in their order.
    ///
    /// When the caller is cancelled so is the work, and all of it still ends before this returns.
    ///
    /// - Parameters:
    ///   - width: how many elements are worked on side by side.
    ///   - progress: is told how many are done, after each.
    package func concurrentMap<Result: Sendable>(
        atMost width: Int, progress: (Int) -> Void = { _ in },
        _ work: @escaping @Sendable (Element) async -> Result
    ) async -> [Result] {
        // Often there is one: this task can do it as well as another.
        if count == 1 {
            let result = await work(self[0])
            progress(1)
            return [result]
        }
        return await withTaskGroup(of: (Int, Result).self) { group in
            var waiting = enumerated().makeIterator()
            func startNext() {
                guard let (index, element) = waiting.next() else { return }
                group.addTask { (index, await work(element)) }
            }
            for _ in 0..<Swift.max(1, width) { startNext() }
            var results = [Result?](repeating: nil, count: count)
            var done = 0
            while let (index, result) = await group.next() {
                results[index] = result
                done += 1
                progress(done)
                startNext()
            }
            return results.compactMap(\.self)
        }
    }
}
