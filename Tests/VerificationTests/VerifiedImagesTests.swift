import FoundationEssentials
import OCI
import Testing

@testable import Verification

/// What may stand in for a verification that a fault prevents, and what may not.
@Suite struct VerifiedImagesTests {
    private let fault = PassingFault(stage: .resolve, host: "r.example", cause: "cannot connect")
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
        images.note(decision(isSuccess), for: key(), validUntil: validUntil, window: .seconds(60), now: start)
        return images
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
        #expect(images.counts.admissions == 1)
    }

    @Test func notBeyondTheWindow() { #expect(answer(images(), after: 60) == nil) }

    @Test func notBeyondWhatItRestsOn() throws {
        let images = images(validUntil: time.addingTimeInterval(30))
        #expect(try #require(answer(images, after: 29)).validFor == .seconds(1))
        #expect(answer(images, after: 30) == nil)
        #expect(images.counts.images == 0)
    }

    /// An hour forward or back: the window goes by a clock that nobody sets, expiry by the one that certificates mean.
    @Test func notWhenTheClockIsSet() {
        let images = images(validUntil: time.addingTimeInterval(1800))
        func answer(_ elapsed: Duration, _ step: TimeInterval) -> Bool {
            images.decision(
                for: key(), insteadOf: fault, window: .seconds(60), now: start + elapsed,
                time: time.addingTimeInterval(step)) != nil
        }
        #expect(answer(.seconds(10), -3600))
        #expect(!answer(.seconds(10), 3600), "the certificate may have expired")
        #expect(images.counts.images == 0)
        images.note(decision(true), for: key(), validUntil: nil, window: .seconds(60), now: start)
        #expect(!answer(.seconds(61), -3600), "an hour back does not make the window longer")
    }

    @Test func neverADenial() {
        #expect(answer(images(false)) == nil)
        let images = images()
        images.note(decision(false), for: key(), validUntil: nil, window: .seconds(60), now: start + .seconds(1))
        #expect(answer(images) == nil)
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
            images.note(decision(true), for: key, validUntil: nil, window: .seconds(60), now: start)
        }
        #expect(images.counts.bytes <= 20_000)
        #expect(images.counts.images > 5)
    }
}
