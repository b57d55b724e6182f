/// The keys of a request that could not be decided now. They are named in `systemError`, which Gatekeeper never
/// stores, and have no item, which it would store.
struct PassingFaults: Sendable {
    /// How many keys were asked for.
    let asked: Int
    private var faults: [(key: String, cause: String)] = []
    /// Whether one of them may be gone in a moment.
    private var mayPass = false

    init(asked: Int) { self.asked = asked }

    mutating func add(_ key: String, _ cause: String, isConfiguration: Bool = false) {
        faults.append((key, cause))
        if !isConfiguration { mayPass = true }
    }

    /// Every key with its stage, host and cause; `nil` when there was no fault.
    var text: String? {
        guard !faults.isEmpty else { return nil }
        var text = "\(faults.count) of \(asked) \(asked == 1 ? "key" : "keys") could not be decided"
        text += mayPass ? ", ask again: " : " until this is mended: "
        for (index, fault) in faults.enumerated() {
            if index > 0 { text += "; " }
            // The key whole: it must be found in the text. The cause bounded: it may quote a registry's answer.
            text += "\"\(fault.key)\": \(fault.cause.prefix(1000))"
        }
        return text
    }
}
