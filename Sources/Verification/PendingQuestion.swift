import OCI

/// What the first look at a key gives: it is made once for each question, and without waiting.
package enum FirstLook<Answer: Sendable>: Sendable {
    /// The answer is at hand: it needs no work. It is counted already.
    case answered(Answer)
    /// It is not. What to ask on with.
    indirect case pending(PendingQuestion)
}

/// A question whose answer is not at hand: a key, and the configuration that it was looked at with, which answers it to
/// the end.
///
/// Whoever takes it up asks neither for the configuration nor the decision cache again.
package struct PendingQuestion: Sendable {
    /// The key, over the transport that the stores of the configuration speak.
    package let key: ImageKey
    /// The configuration that answers for the key.
    let snapshot: ConfigurationSnapshot
    /// What the decision is kept under.
    let cacheKey: DecisionCache.Key

    /// A question.
    ///
    /// - Parameter trustGeneration: ``ConfigurationSource/trustGeneration(for:)`` of the key's namespace.
    package init(_ key: ImageKey, _ snapshot: ConfigurationSnapshot, trustGeneration: UInt64) {
        let key = key.over(snapshot.transport)
        self.key = key
        self.snapshot = snapshot
        cacheKey = DecisionCache.Key(
            generation: snapshot.generation, trustGeneration: trustGeneration, namespace: key.namespace,
            reference: key.name)
    }

    /// What is kept of the image by its digest, whatever name it was asked for by.
    func cacheKey(by digest: Digest) -> DecisionCache.Key { cacheKey.by(digest, of: key.reference) }

    /// What the image's tag means has nothing to do with whom the configuration trusts.
    var resolutionKey: DecisionCache.Key {
        DecisionCache.Key(
            generation: cacheKey.generation, trustGeneration: 0, namespace: cacheKey.namespace,
            reference: cacheKey.reference)
    }
}
