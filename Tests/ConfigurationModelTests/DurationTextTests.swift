import Testing

@testable import ConfigurationModel

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("10s", Duration.seconds(10)), ("1m30s", .seconds(90)), ("500ms", .milliseconds(500)), ("1.5h", .seconds(5400)),
        ("0s", .zero), ("0", .zero), ("2us", .microseconds(2)),
    ])
    func readsGoDurations(text: String, expected: Duration) {
        #expect(DurationText.parse(text) == expected)
    }

    @Test(arguments: ["", "10", "s", "-1s", "1 s", "1d", "1s2", ".5s", "1.s", "1e9s", "99999999h", "٣s"])
    func refusesOthers(text: String) {
        #expect(DurationText.parse(text) == nil)
    }
}
