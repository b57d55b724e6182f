import Kubernetes
import StrictJSON
import Testing

@testable import CustomResources

@Suite struct ResourceContactsTests {
    private let start = ContinuousClock.now
    private let refused = KubernetesError(.unavailable, host: "k:443", request: "WATCH x", detail: "refused")

    private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func anAPIServerThatIsAwayIsTwoLinesInAll() {
        var contacts = ResourceContacts()
        var lines: [String] = []
        for kind in ResourceKind.allCases { lines += contacts.take(kind, .synced([]), now: start).map(\.text) }
        #expect(lines.isEmpty)
        let throttled = KubernetesError(.throttled, host: "k:443", request: "WATCH x", detail: "status 429")
        for second in 1...20 {
            for kind in ResourceKind.allCases {
                let error = second == 20 ? throttled : refused
                lines += contacts.take(kind, .failed(error), now: after(second)).map(\.text)
            }
        }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("what is in force stays") == true)
        #expect(contacts.secondsOutOfSync(.verifier, now: after(21)) == 20)
        #expect(contacts.isSynced(.verifier))
        lines = []
        for kind in ResourceKind.allCases {
            let event: WatchEvent = kind == .policy ? .synced([]) : .resumed
            lines += contacts.take(kind, event, now: after(22)).map(\.text)
            #expect(contacts.secondsOutOfSync(kind, now: after(23)) == 0)
        }
        #expect(lines == ["custom resources: the API server answers again, after 21 s"])
    }

    @Test func aKindWithAFaultOfItsOwnIsToldByName() {
        var contacts = ResourceContacts()
        let missing = KubernetesError(.notFound, host: "k:443", request: "WATCH y", detail: "status 404")
        #expect(contacts.take(.certificateStore, .failed(missing), now: start).first?.text.contains("404") == true)
        #expect(contacts.take(.certificateStore, .failed(missing), now: after(5)).isEmpty)
        // The API server goes and comes: each is told, although the other fault lasts.
        #expect(contacts.take(.store, .failed(refused), now: after(6)).count == 1)
        #expect(contacts.take(.certificateStore, .failed(refused), now: after(6)).isEmpty)
        #expect(contacts.take(.store, .resumed, now: after(9)).isEmpty)
        let back = contacts.take(.certificateStore, .failed(missing), now: after(10))
        #expect(back.first?.text.contains("answers again") == true)
        #expect(contacts.secondsOutOfSync(.certificateStore, now: after(12)) == 12)
        // Installed at last.
        let installed = contacts.take(.certificateStore, .synced([]), now: after(60))
        #expect(installed.map(\.text) == ["custom resources: CertificateStore can be watched again, after 60 s"])
        #expect(contacts.secondsOutOfSync(.certificateStore, now: after(61)) == 0)
    }
}
