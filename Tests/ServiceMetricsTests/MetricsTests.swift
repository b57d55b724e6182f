import ServiceMetrics
import Testing

@Suite struct MetricsTests {
    @Test func hostsWithSeriesOfTheirOwnAreBounded() {
        let metrics = MetricsRegistry()
        for number in 0..<500 {
            let host = metrics.host("registry-\(number).example")
            metrics.count("requests", [("registry_host", host)], help: "Requests.")
        }
        // One of the first is still itself, however many come.
        #expect(metrics.host("registry-0.example") == "registry-0.example")
        #expect(metrics.host("registry-499.example") == "other")
        let series = metrics.render().split(separator: "\n").filter { $0.hasPrefix("requests{") }
        #expect(series.count == MetricsRegistry.maximumHosts + 1)
        #expect(series.contains("requests{registry_host=\"other\"} 400"))
    }

    /// Whoever reads the metrics does not see which way they were counted.
    @Test func instrumentsCountAsCallsDo() {
        let (plain, found) = (MetricsRegistry(), MetricsRegistry())
        let counter = found.counter("keys_total", [("verdict", "pass")], help: "Keys.")
        _ = found.counter("keys_total", [("verdict", "fail")], help: "Keys.")
        let histogram = found.histogram("request", bounds: [1, 10], help: "Requests.")
        _ = found.histogram("other", bounds: [1], help: "Never observed.")
        #expect(!found.render().contains("keys_total") && !found.render().contains("request"))
        for value in [0.5, 5, 50] {
            plain.count("keys_total", [("verdict", "pass")], help: "Keys.")
            plain.observe("request", [], value, bounds: [1, 10], help: "Requests.")
            counter.count()
            histogram.observe(value)
        }
        #expect(found.render() == plain.render())
        // Both ways at once add up.
        plain.count("keys_total", [("verdict", "pass")], help: "Keys.")
        found.count("keys_total", [("verdict", "pass")], help: "Keys.")
        plain.observe("request", [], 2, bounds: [1, 10], help: "Requests.")
        found.observe("request", [], 2, bounds: [1, 10], help: "Requests.")
        found.counter("keys_total", [("verdict", "pass")], help: "Keys.").count()
        plain.count("keys_total", [("verdict", "pass")], help: "Keys.")
        #expect(found.render() == plain.render())
    }

    /// A registry may answer with any number.
    @Test func statusesOfHostsAreBounded() {
        #expect([200, 401, 404, 429, 503].map(MetricsRegistry.status) == ["200", "401", "404", "429", "503"])
        #expect(Set((0...100_000).map(MetricsRegistry.status)).count < 64)
        #expect(MetricsRegistry.status(599) == "5xx")
        #expect(MetricsRegistry.status(700) == "other")
    }
}
