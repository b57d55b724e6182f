import Testing
import Verification

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
}
