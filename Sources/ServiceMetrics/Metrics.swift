import Synchronization

/// The program's metrics, rendered in the Prometheus text format (version 0.0.4).
///
/// Names and labels are fixed in code, never taken from requests, so the number of series is bounded; hosts' names go
/// through ``host(_:)``.
package final class MetricsRegistry: Sendable {
    /// Labels of a series, in the order in which they are written.
    package typealias Labels = [(String, String)]

    private struct Series: Sendable {
        var labels: String
        var value: Double = 0
        var buckets: [UInt64] = []
        var count: UInt64 = 0
        /// Count for themselves, besides what is counted here.
        var counter: MetricCounter?
        var histogram: MetricHistogram?

        /// With what its instruments have counted.
        var total: Series {
            var total = self
            if let counter { total.value += Double(counter.value) }
            if let now = histogram?.snapshot {
                if total.buckets.isEmpty { total.buckets = Array(repeating: 0, count: now.buckets.count) }
                for (index, count) in now.buckets.enumerated() { total.buckets[index] += count }
                total.count += now.count
                total.value += now.sum
            }
            return total
        }

        /// Whether nothing was counted yet: a series begins with its first event.
        var isUnused: Bool {
            let total = total
            return (counter != nil && total.value == 0) || (histogram != nil && total.count == 0)
        }
    }

    private struct Family: Sendable {
        var kind: String
        var help: String
        var bounds: [Double] = []
        var series: [String: Series] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    /// By number; each says whether it is still of use.
    private let collectors = Mutex<[Int: @Sendable (MetricsRegistry) -> Bool]>([:])
    private let lastCollector = Atomic<Int>(0)
    private let hosts = Mutex<Set<String>>([])
    /// The caches of the process.
    package let caches = CacheMetrics()
    let stages = StageHistograms()

    /// How many hosts have series of their own.
    package static let maximumHosts = 100

    /// Bounds in milliseconds for request latencies.
    package static let latencyBounds: [Double] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]

    /// An empty registry.
    package init() {}

    /// Adds to a counter. `help` is kept from the first call.
    package func count(_ name: String, _ labels: Labels = [], by amount: Double = 1, help: String) {
        update(name, labels, kind: "counter", help: help) { $0.value += amount }
    }

    /// A counter for what happens often: adding to it does not look for it. The same as ``count(_:_:by:help:)`` for
    /// whoever reads it.
    package func counter(_ name: String, _ labels: Labels = [], help: String) -> MetricCounter {
        var counter = MetricCounter()
        update(name, labels, kind: "counter", help: help) { series in
            counter = series.counter ?? counter
            series.counter = counter
        }
        return counter
    }

    /// A histogram for what happens often. The same as ``observe(_:_:_:bounds:help:)`` for whoever reads it.
    package func histogram(
        _ name: String, _ labels: Labels = [], bounds: [Double] = latencyBounds, help: String
    ) -> MetricHistogram {
        var histogram = MetricHistogram(bounds: bounds)
        update(name, labels, kind: "histogram", help: help, bounds: bounds) { series in
            histogram = series.histogram ?? histogram
            series.histogram = histogram
        }
        return histogram
    }

    /// Sets a counter to a total that is kept elsewhere (a cache's own hit count): it must never go down, but to begin
    /// anew.
    package func set(total: Double, of name: String, _ labels: Labels = [], help: String) {
        update(name, labels, kind: "counter", help: help) { $0.value = total }
    }

    /// Sets a gauge.
    package func gauge(_ name: String, _ labels: Labels = [], _ value: Double, help: String) {
        update(name, labels, kind: "gauge", help: help) { $0.value = value }
    }

    /// Adds an observation to a histogram. `bounds` are the upper bounds of its buckets, ascending, kept from the
    /// first call.
    package func observe(
        _ name: String, _ labels: Labels = [], _ value: Double, bounds: [Double] = latencyBounds, help: String
    ) {
        update(name, labels, kind: "histogram", help: help, bounds: bounds) { series in
            if series.buckets.isEmpty { series.buckets = Array(repeating: 0, count: bounds.count) }
            if let index = bounds.firstIndex(where: { value <= $0 }), index < series.buckets.count {
                series.buckets[index] += 1
            }
            series.count += 1
            series.value += value
        }
    }

    /// Removes the series of a family: before gauges of things that may have gone are set anew.
    package func reset(_ name: String) { families.withLock { $0[name]?.series = [:] } }

    /// A label's value for a host: its name for the first hundred hosts that are seen, `other` for further ones.
    package func host(_ name: String) -> String {
        hosts.withLock { hosts in
            guard !hosts.contains(name) else { return name }
            guard hosts.count < MetricsRegistry.maximumHosts else { return "other" }
            hosts.insert(name)
            return name
        }
    }

    /// A label's value for a status that a host has answered with: its number when it is one that hosts are known to
    /// use, else its class.
    package static func status(_ code: Int) -> String {
        knownStatuses.contains(code) ? String(code) : (100...599).contains(code) ? "\(code / 100)xx" : "other"
    }

    private static let knownStatuses: Set<Int> = [
        200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412,
        413,
        414, 415, 416, 421, 422, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 507, 511,
    ]

    /// Registers a function that brings gauges up to date just before each rendering.
    package func collect(_ collector: @escaping @Sendable (MetricsRegistry) -> Void) {
        add { metrics in
            collector(metrics)
            return true
        }
    }

    /// The same, for as long as something lives: what one configuration made, for instance. It is not kept alive.
    package func collect<Owner: AnyObject & Sendable>(
        for owner: Owner, _ collector: @escaping @Sendable (Owner, MetricsRegistry) -> Void
    ) {
        add { [weak owner] metrics in
            guard let owner else { return false }
            collector(owner, metrics)
            return true
        }
    }

    private func add(_ collector: @escaping @Sendable (MetricsRegistry) -> Bool) {
        let number = lastCollector.add(1, ordering: .relaxed).newValue
        collectors.withLock { $0[number] = collector }
    }

    private func update(
        _ name: String, _ labels: Labels, kind: String, help: String, bounds: [Double] = [],
        _ change: (inout Series) -> Void
    ) {
        var key = ""
        for (name, value) in labels {
            key += key.isEmpty ? name : ",\(name)"
            key += "=\""
            key += MetricsRegistry.escaped(value)
            key += "\""
        }
        families.withLock { families in
            change(
                &families[name, default: Family(kind: kind, help: help, bounds: bounds)]
                    .series[key, default: Series(labels: key)])
        }
    }

    /// The text format's escapes of a label value.
    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x22 || $0 == 0x5C || $0 == 0x0A }) else { return value }
        var result = ""
        for character in value.unicodeScalars {
            switch character {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    /// Everything, in the Prometheus text format.
    package func render() -> String {
        // In the order in which they came: of two that set the same gauge the newer one has the last word.
        for (number, collector) in collectors.withLock({ $0 }).sorted(by: { $0.key < $1.key }) where !collector(self) {
            collectors.withLock { $0[number] = nil }
        }
        caches.report(to: self)
        let snapshot = families.withLock { $0 }
        var text = ""
        for (name, family) in snapshot.sorted(by: { $0.key < $1.key }) {
            let used = family.series.values.filter { !$0.isUnused }.map(\.total)
            guard !used.isEmpty || family.series.isEmpty else { continue }
            text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
            for series in used.sorted(by: { $0.labels < $1.labels }) {
                let braces = series.labels.isEmpty ? "" : "{\(series.labels)}"
                guard family.kind == "histogram" else {
                    text += "\(name)\(braces) \(MetricsRegistry.number(series.value))\n"
                    continue
                }
                let prefix = series.labels.isEmpty ? "" : series.labels + ","
                var cumulative: UInt64 = 0
                for (bound, count) in zip(family.bounds, series.buckets) {
                    cumulative += count
                    text += "\(name)_bucket{\(prefix)le=\"\(MetricsRegistry.number(bound))\"} \(cumulative)\n"
                }
                text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(series.count)\n"
                text += "\(name)_sum\(braces) \(MetricsRegistry.number(series.value))\n"
                text += "\(name)_count\(braces) \(series.count)\n"
            }
        }
        return text
    }
}
