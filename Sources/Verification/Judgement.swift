import FoundationEssentials

/// What the policy makes of one digest, or of several together, and why.
struct Judgement: Sendable {
    var verdict: PolicyVerdict
    /// The first that failed is one that counts against the image.
    var reports: [VerifierReport] = []
    /// The earliest moment that can change it, when one is known.
    var validUntil: Date?
    /// What hides outcomes.
    var faults: [TransientFault] = []
    /// Whether it rests on what the image's tag means beyond the digest that was judged.
    var restsOnTag = false

    /// All of them must be satisfied; none is no evidence.
    static func all(_ parts: [Judgement]) -> Judgement {
        if parts.count == 1 { return parts[0] }
        let verdicts = parts.map(\.verdict)
        let verdict: PolicyVerdict =
            if parts.isEmpty || verdicts.contains(.failure) {
                .failure
            } else if verdicts.contains(.undecided) {
                .undecided
            } else {
                .success
            }
        // The first failed report is shown as the reason.
        return Judgement(
            verdict, parts.filter { $0.verdict == .failure } + parts.filter { $0.verdict != .failure })
    }

    /// One that is satisfied suffices, and speaks alone: reports of what was in vain would say nothing of why the image
    /// is admitted.
    static func any(_ parts: [Judgement]) -> Judgement {
        if let success = parts.first(where: { $0.verdict == .success }) { return success }
        return Judgement(parts.contains { $0.verdict == .undecided } ? .undecided : .failure, parts)
    }

    private init(_ verdict: PolicyVerdict, _ parts: [Judgement]) {
        self.verdict = verdict
        // What is about the image as a whole is said once.
        var said: Set<VerifierReport> = []
        reports = parts.flatMap(\.reports).filter { said.insert($0).inserted }
        validUntil = parts.compactMap(\.validUntil).min()
        faults = parts.flatMap(\.faults)
        restsOnTag = parts.contains(where: \.restsOnTag)
    }

    init(
        verdict: PolicyVerdict, reports: [VerifierReport] = [], validUntil: Date? = nil, faults: [TransientFault] = []
    ) {
        self.verdict = verdict
        self.reports = reports
        self.validUntil = validUntil
        self.faults = faults
    }
}
