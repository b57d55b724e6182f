import FoundationEssentials
import OCI
import Testing

@testable import Verification

/// What may stand in for a verification that a fault prevents, and what may not.
@Suite struct VerifiedImagesTests {
    private let fault = TransientFault(stage: .resolve, host: "r.example", cause: "cannot connect")
    private let start = ContinuousClock.now
    private let time = Date(timeIntervalSince1970: 1_800_000_000)

    private func key(_ generation: UInt64 = 1, trust: UInt64 = 1, _ namespace: String? = nil) -> DecisionCache.Key {
        DecisionCache.Key(
            generation: generation, trustGeneration: trust, namespace: namespace, reference: "r.example/a@sha256:1")
    }

    private func decision(_ isSuccess: Bool) -> Decision {
        Decision(
            isSuccess: isSuccess, reference: "r.example/a:v1", digest: nil,
            reports: [VerifierReport(subject: "r.example/a:v1", isSuccess: isSuccess, message: "checked")])
    }

    private func images(_ isSuccess: Bool = true, validUntil: Date? = nil) -> VerifiedImages {
        let images = VerifiedImages()
        note(decision(isSuccess), images, validUntil: validUntil)
        return images
    }

    /// Notes a verdict that was reached some seconds after the start.
    private func note(
        _ decision: Decision, _ images: VerifiedImages, _ key: DecisionCache.Key? = nil, validUntil: Date? = nil,
        began: Double = -1, after seconds: Double = 0
    ) {
        images.note(
            decision, for: key ?? self.key(), validUntil: validUntil, window: .seconds(60),
            began: start + .seconds(began), now: start + .seconds(seconds), time: time.addingTimeInterval(seconds))
    }

    private func answer(
        _ images: VerifiedImages, _ key: DecisionCache.Key? = nil, after seconds: Double = 10
    ) -> (decision: Decision, validFor: Duration)? {
        images.decision(
            for: key ?? self.key(), insteadOf: fault, window: .seconds(60), now: start + .seconds(seconds),
            time: time.addingTimeInterval(seconds))
    }

    @Test func anAdmissionStandsInAndSaysSo() throws {
        let images = images()
        let (decision, validFor) = try #require(answer(images))
        #expect(decision.isSuccess)
        #expect(validFor == .seconds(50))
        let report = try #require(decision.reports.first)
        #expect(report.message.hasPrefix("checked; verified 10 s ago"))
        #expect(report.message.contains("resolving the image at r.example: cannot connect"))
        #expect(report.extensions["stale"]?["ageSeconds"]?.integer == 10)
        #expect(images.counts.hits == 1)
    }

    @Test func notBeyondTheWindow() { #expect(answer(images(), after: 60) == nil) }

    @Test func notBeyondWhatItRestsOn() throws {
        let images = images(validUntil: time.addingTimeInterval(30))
        #expect(try #require(answer(images, after: 29)).validFor == .seconds(1))
        #expect(answer(images, after: 30) == nil)
        #expect(images.counts.entries == 0)
    }

    /// Dates were judged by a clock that was wrong, then or now: as for decisions that are kept, nothing from before
    /// counts.
    @Test(arguments: [3600.0, -3600, 10, -10]) func notWhenTheClockIsSet(step: Double) {
        func answer(_ images: VerifiedImages, _ step: Double) -> Bool {
            images.decision(
                for: key(), insteadOf: fault, window: .seconds(60), now: start + .seconds(10),
                time: time.addingTimeInterval(10 + step)) != nil
        }
        let images = images()
        #expect(answer(images, 1), "adjusting it bit by bit is not setting it")
        #expect(!answer(images, step))
        #expect(!answer(images, 0), "it is gone for good")
        #expect(images.counts.entries == 0)
    }

    @Test func neverADenial() {
        #expect(answer(images(false)) == nil)
        let images = images()
        note(decision(false), images, after: 1)
        #expect(answer(images) == nil)
        let heard = self.images()
        heard.deny(key(), now: start + .seconds(1))
        #expect(answer(heard) == nil)
    }

    /// A verification that began before an image was denied, and ends after it, knows less than the denial.
    @Test func aDenialIsNotUndoneByWhatBeganBeforeIt() {
        let images = VerifiedImages()
        images.deny(key(), now: start + .seconds(1))
        note(decision(true), images, began: 0.5, after: 2)
        #expect(answer(images) == nil)
        note(decision(true), images, began: 1.5, after: 3)
        #expect(answer(images) != nil)
        // More denials than are remembered: what began before them counts for nothing, whatever it is about.
        for number in 0..<10_000 {
            let reference = "r.example/\(number)@sha256:1"
            images.deny(
                DecisionCache.Key(generation: 1, trustGeneration: 1, namespace: nil, reference: reference),
                now: start + .seconds(4))
        }
        note(decision(true), images, key(2), began: 3, after: 5)
        #expect(answer(images, key(2)) == nil)
        note(decision(true), images, key(2), began: 4.5, after: 6)
        #expect(answer(images, key(2)) != nil)
    }

    /// A denial that comes in while an earlier admission is about to stand in has the last word: either it finds what
    /// was kept and replaces it, or nothing is kept.
    @Test func aDenialMeanwhileHasTheLastWord() async throws {
        for _ in 0..<200 {
            let images = images()
            let cache = DecisionCache(timeToLive: .seconds(60))
            let denial = decision(false)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    _ = images.decision(
                        for: key(), insteadOf: fault, window: .seconds(60), now: start, time: time,
                        keep: { cache.keep($0, for: key(), validFor: $1) })
                }
                group.addTask {
                    images.deny(key(), now: start)
                    cache.keep(denial, for: key())
                }
            }
            #expect(cache.decision(for: key())?.isSuccess == false)
            #expect(answer(images, after: 0) == nil)
        }
    }

    @Test func neverForAnotherConfigurationTrustOrNamespace() {
        let images = images()
        for other in [key(2), key(1, trust: 2), key(1, "team")] { #expect(answer(images, other) == nil) }
        #expect(answer(images) != nil)
    }

    @Test func boundedInBytes() {
        let images = VerifiedImages(maximumBytes: 20_000)
        for number in 0..<1000 {
            let key = DecisionCache.Key(
                generation: 1, trustGeneration: 1, namespace: nil, reference: "r.example/\(number)")
            note(decision(true), images, key)
        }
        #expect(images.counts.cost <= 20_000)
        #expect(images.counts.entries > 5 && images.counts.evictions > 900)
    }
}
