import Foundation
import Kubernetes
import StrictJSON
import TestSupport
import Testing

@Suite struct ResourceWatchTests {
    @Test func changesArriveInOrder() async throws {
        try await withCluster { cluster, client in
            cluster.put(.widget, widget("a"))
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.names == ["a": 1] }
                cluster.put(.widget, widget("b"))
                cluster.put(.widget, widget("a", 7))
                try await reader.until("changed") { $0.names == ["a": 7, "b": 1] }
                cluster.remove(.widget, "a")
                try await reader.until("deleted") { $0.names == ["b": 1] }
                #expect(await reader.syncs == 1)
                #expect(await reader.failures.isEmpty)
            }
            // Its connection does not stay.
            let end = ContinuousClock.now + .seconds(5)
            while cluster.openWatches > 0, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(5)) }
            #expect(cluster.openWatches == 0)
        }
    }

    @Test func aWatchThatEndsGoesOnWhereItWas() async throws {
        try await withCluster { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                for round in 0..<6 {
                    while cluster.openWatches == 0 { try await Task.sleep(for: .milliseconds(2)) }
                    if round.isMultiple(of: 2) { cluster.endWatches() } else { cluster.dropWatches() }
                    cluster.put(.widget, widget("w\(round)"))
                    try await reader.until("round \(round)") { $0.names.count == round + 1 }
                }
                #expect(await reader.syncs == 1)
                #expect(await reader.changes == 6)
                #expect(await reader.failures.isEmpty)
            }
        }
    }

    @Test func bookmarksMoveTheVersionOn() async throws {
        try await withCluster { cluster, client in
            cluster.put(.widget, widget("a"))
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                while cluster.openWatches == 0 { try await Task.sleep(for: .milliseconds(2)) }
                // Others' changes, and a bookmark past them; then the past is forgotten.
                for number in 0..<5 {
                    cluster.put(.secret, ["metadata": ["name": .string("s\(number)"), "namespace": "default"]])
                }
                cluster.bookmark()
                try await Task.sleep(for: .milliseconds(100))
                cluster.compact()
                cluster.endWatches()
                cluster.put(.widget, widget("b"))
                try await reader.until("changed") { $0.names.count == 2 }
                #expect(await reader.syncs == 1)
            }
        }
    }

    @Test func aForgottenVersionIsListedAgain() async throws {
        try await withCluster { cluster, client in
            cluster.put(.widget, widget("a"))
            cluster.put(.widget, widget("b"))
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.names.count == 2 }
                while cluster.openWatches == 0 { try await Task.sleep(for: .milliseconds(2)) }
                await cluster.down()
                cluster.remove(.widget, "a")
                cluster.put(.widget, widget("c"))
                cluster.compact()
                try await cluster.up()
                // The deletion that no event told of is seen.
                try await reader.until("synced again") { $0.names.keys.sorted() == ["b", "c"] }
                #expect(await reader.syncs == 2)
                // The same as a status instead of an event, for the watch after the one that is open.
                while cluster.openWatches == 0 { try await Task.sleep(for: .milliseconds(2)) }
                cluster.inject(.status(410), count: 1) { $0.isWatch }
                cluster.endWatches()
                try await reader.until("synced a third time") { $0.syncs == 3 }
            }
        }
    }

    @Test func anAPIServerThatIsDownIsReportedAndComesBack() async throws {
        try await withCluster { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                await cluster.down()
                try await reader.until("failed") { $0.failures.count >= 3 }
                #expect(await reader.failures.allSatisfy { $0.isTransient })
                try await cluster.up()
                // Told without anything that has changed.
                try await reader.until("resumed") { $0.resumptions == 1 }
                cluster.put(.widget, widget("a"))
                try await reader.until("back") { $0.names.count == 1 }
                #expect(await reader.syncs == 1)
                #expect(await reader.resumptions == 1)
            }
        }
    }

    /// With the waits of a real service: what changed while the API server was away is known within 5 seconds of its
    /// return, although its first answer is that it is not ready (`storage is (re)initializing`). At most 4.5 of them
    /// are waits; the rest of the limit here is for a busy machine.
    @Test(arguments: [1, 30]) func whatChangedMeanwhileIsKnownSoonAfterTheReturn(retryAfter: Int) async throws {
        try await withCluster({
            $0.backoff = KubernetesClient.Options().backoff
            $0.refusalBackoff = KubernetesClient.Options().refusalBackoff
        }) { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                await cluster.down()
                try await Task.sleep(for: .seconds(8))
                cluster.put(.widget, widget("a"))
                cluster.inject(.status(429, retryAfter: retryAfter), count: 1) { $0.isWatch }
                try await cluster.up()
                let back = ContinuousClock.now
                try await reader.until("the change") { $0.names.count == 1 }
                #expect(back.duration(to: .now) < .milliseconds(7500))
                #expect(await reader.syncs == 1)
            }
        }
    }

    /// The same when it has to list: nothing that it asks for costs more.
    @Test func aListAfterTheReturnIsNotPutOffForLong() async throws {
        try await withCluster({ $0.backoff = KubernetesClient.Options().backoff }) { cluster, client in
            cluster.inject(.status(429, retryAfter: 8), count: 1) { !$0.isWatch }
            cluster.put(.widget, widget("a"))
            let start = ContinuousClock.now
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.names.count == 1 }
                #expect(start.duration(to: .now) < .seconds(7))
            }
        }
    }

    @Test func waitsForAPeerThatIsAwayStayShort() {
        var waits = Backoff.absence
        var ordinary = Backoff()
        for _ in 0..<200 {
            #expect(waits.nextAttempt(retryAfter: nil) <= .seconds(2))
            _ = ordinary.next()
        }
        #expect(waits.nextAttempt(retryAfter: .seconds(1)) >= .seconds(1))
        #expect(waits.nextAttempt(retryAfter: .seconds(1)) <= .milliseconds(1250))
        #expect(waits.nextAttempt(retryAfter: .seconds(600)) <= .milliseconds(2500))
        // Replicas do not ask at the same moments.
        #expect(Set((0..<20).map { _ in waits.nextAttempt(retryAfter: nil) }).count > 10)
        #expect(ordinary.next() >= .seconds(15))
    }

    /// A peer that crashed, and is back, refuses a connection that it does not know as soon as it hears of it: whoever
    /// only listens has to say something.
    @Test func aWatchAsksWhetherItsPeerIsThere() async throws {
        try await withCluster { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                while cluster.openWatches == 0 { try await Task.sleep(for: .milliseconds(2)) }
                let port = String(cluster.port, radix: 16, uppercase: true)
                let file = try #require(FileHandle(forReadingAtPath: "/proc/net/tcp"))
                let table = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
                // proc(5): remote address, state, queues, timer: 02 is the one for keepalive, in hundredths of a
                // second.
                let timers = table.split(separator: "\n").dropFirst().compactMap { line -> (Substring, Int?)? in
                    let fields = line.split(separator: " ")
                    guard fields.count > 5, fields[2].hasSuffix(":" + port), fields[3] == "01" else { return nil }
                    let timer = fields[5].split(separator: ":")
                    return timer.count == 2 ? (timer[0], Int(timer[1], radix: 16)) : nil
                }
                #expect(!timers.isEmpty)
                for (kind, left) in timers {
                    #expect(kind == "02")
                    #expect((left ?? .max) <= 1000)
                }
            }
        }
    }

    @Test(arguments: [
        KubernetesEmulator.Fault.status(500), .status(429, retryAfter: 0), .status(403), .garbage("no event\n"),
        .garbage("{}\n"), .garbage("{\"type\":\"ADDED\",\"object\":{}}\n"),
        .garbage("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500}}\n"), .garbage("{\"type\":"),
        .reset,
    ]) func faultsOfWatchesPass(_ fault: KubernetesEmulator.Fault) async throws {
        try await withCluster { cluster, client in
            cluster.inject(fault, count: 3) { $0.isWatch }
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs >= 1 }
                cluster.put(.widget, widget("a"))
                try await reader.until("the change") { $0.names == ["a": 1] }
            }
        }
    }

    @Test func anEventThatIsTooLargeDoesNotGrowForEver() async throws {
        try await withCluster({ $0.maximumEventBytes = 10_000 }) { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                cluster.put(
                    .widget, ["metadata": ["name": "a"], "text": .string(String(repeating: "x", count: 50_000))])
                try await reader.until("reported") { $0.failures.contains { $0.kind == .tooLarge } }
                // The list has room for it.
                try await reader.until("listed") { $0.names.count == 1 }
            }
        }
    }

    @Test func aStormOfChangesArrivesWhole() async throws {
        try await withCluster { cluster, client in
            try await withWatch(client) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                for number in 0..<2000 {
                    cluster.put(.widget, widget("w\(number % 100)", Int64(number)))
                    if number.isMultiple(of: 500) { cluster.dropWatches() }
                }
                try await reader.until("the last ones") { $0.names.count == 100 && $0.names.values.min() == 1900 }
                #expect(await reader.failures.isEmpty)
            }
        }
    }

    @Test func aSelectionIsWatched() async throws {
        try await withCluster { cluster, client in
            try await withWatch(client, .init(name: "a")) { reader in
                try await reader.until("synced") { $0.syncs == 1 }
                cluster.put(.widget, widget("b"))
                cluster.put(.widget, widget("a"))
                try await reader.until("a") { $0.names == ["a": 1] }
                #expect(await reader.changes == 1)
            }
        }
    }

    @Test func aSlowReaderKeepsTheServerWaiting() async throws {
        try await withCluster { cluster, client in
            var events = client.watch(.widget).makeAsyncIterator()
            _ = await events.next()
            let text = JSONValue.string(String(repeating: "x", count: 100_000))
            while cluster.openWatches == 0 {
                cluster.put(.widget, ["metadata": ["name": "first"]])
                _ = await events.next()
            }
            // 20 MB, of which nothing is read for a while.
            for number in 0..<200 { cluster.put(.widget, ["metadata": ["name": .string("w\(number)")], "text": text]) }
            try await Task.sleep(for: .milliseconds(300))
            var seen = 0
            while seen < 200, case .changed(let object)? = await events.next() {
                if object["text"] != nil { seen += 1 }
            }
            #expect(seen == 200)
        }
    }
}
