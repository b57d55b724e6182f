import Foundation
import Kubernetes
import PKI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// What a replica serves with, and what its rotation says.
private final class Replica: Sendable {
    let task: Task<Void, Never>
    let client: KubernetesClient

    init(_ cluster: KubernetesEmulator, _ policy: RotationPolicy, held: [UInt8] = []) throws {
        let client = try cluster.client()
        self.client = client
        let box = Box()
        box.pem.withLock { $0 = held }
        self.box = box
        let rotation = CertificateRotation(
            client: client, namespace: "default", name: "ratify",
            providers: ["ratify-provider", "ratify-mutation-provider"],
            policy: policy, held: held, install: { text in box.pem.withLock { $0 = text } },
            notice: { notice in box.log.withLock { $0.append(notice) } })
        task = Task { await rotation.run() }
    }

    final class Box: Sendable {
        let pem = Mutex<[UInt8]>([])
        let log = Mutex<[CertificateRotation.Notice]>([])
    }

    let box: Box

    /// The certificate that is served now.
    var leaf: Certificate? {
        let text = box.pem.withLock(\.self)
        return (try? PEM.parse(text))?.first { $0.label == "CERTIFICATE" }.flatMap { try? Certificate(der: $0.der) }
    }

    var problems: [String] { box.log.withLock { $0.filter { $0.level == .error }.map(\.text) } }
    var notices: [String] { box.log.withLock { $0.map(\.text) } }

    func stop() async {
        task.cancel()
        await task.value
        await client.shutdown()
    }
}

@Suite struct CertificateRotationTests {
    private func quick() -> RotationPolicy {
        var policy = RotationPolicy()
        policy.interval = .milliseconds(20)
        policy.backdating = 0
        policy.settling = 0.15
        // Longer than a busy machine may hold up a replica.
        policy.overlap = 1.5
        return policy
    }

    private func provider(_ name: String, bundle: String = "") -> JSONObject {
        ["metadata": ["name": .string(name)], "spec": ["url": "https://ratify", "caBundle": .string(bundle)]]
    }

    private func bundle(_ cluster: KubernetesEmulator, _ name: String = "ratify-provider") -> [Certificate] {
        certificates(cluster.object(.provider, name)?["spec"]?["caBundle"]?.string)
    }

    private func certificates(_ base64: String?) -> [Certificate] {
        let text = base64.flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) } ?? []
        return ((try? PEM.parse(text)) ?? []).compactMap { try? Certificate(der: $0.der) }
    }

    private func until(_ what: String, within: Duration = .seconds(60), _ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + within
        while !condition() {
            guard ContinuousClock.now < end else {
                Issue.record("not in time: \(what)")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func withReplicas(
        _ policy: RotationPolicy, prepare: (KubernetesEmulator) throws -> Void = { _ in },
        _ body: (KubernetesEmulator, [Replica]) async throws -> Void
    ) async throws {
        let cluster = try await KubernetesEmulator.start()
        cluster.register(.provider, hasStatus: false)
        try prepare(cluster)
        let replicas = try (0..<2).map { _ in try Replica(cluster, policy) }
        do { try await body(cluster, replicas) } catch {
            Issue.record("\(error); \(replicas.map(\.notices))")
        }
        for replica in replicas { await replica.stop() }
        await cluster.stop()
    }

    /// Whether a client that has a Provider's bundle accepts what a replica serves.
    private func isAccepted(_ leaf: Certificate?, by bundle: [Certificate]) -> Bool {
        guard let leaf else { return false }
        return leaf.isValid(at: Date()) && bundle.contains { $0.isValid(at: Date()) && leaf.isSigned(by: $0) }
    }

    /// Whether a client that has a Provider's bundle refuses what a replica serves; `nil` when the bundle changed
    /// between the two looks, and they were further apart than a client's knowledge may be old.
    private func isRefused(
        _ replica: Replica, _ cluster: KubernetesEmulator, _ name: String = "ratify-provider",
        knowledge: Duration = .zero
    ) -> (refused: Bool, leaf: Certificate?, known: [Certificate])? {
        let start = ContinuousClock.now
        // The bundle is read first: a client's knowledge is never newer than the server's.
        let known = bundle(cluster, name)
        let leaf = replica.leaf
        let isRefused = !isAccepted(leaf, by: known)
        guard start.duration(to: .now) < knowledge || bundle(cluster, name) == known else { return nil }
        return (isRefused, leaf, known)
    }

    @Test func twoReplicasAgreeOnOneCertificate() async throws {
        try await withReplicas(
            quick(),
            prepare: { cluster in
                // As the chart makes it: a Secret without data.
                cluster.put(.secret, ["metadata": ["name": "ratify-tls", "namespace": "default"], "type": "Opaque"])
                cluster.put(.provider, provider("ratify-provider"))
                cluster.put(.provider, provider("ratify-mutation-provider", bundle: "AAAA"))
            }
        ) { cluster, replicas in
            try await until("served") {
                replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) }
                    && isAccepted(replicas[0].leaf, by: bundle(cluster, "ratify-mutation-provider"))
            }
            #expect(replicas[0].leaf == replicas[1].leaf)
            let leaf = try #require(replicas[0].leaf)
            #expect(
                Set(leaf.dnsNames) == [
                    "ratify", "ratify.default", "ratify.default.svc", "ratify.default.svc.cluster.local",
                ])
            let secret = cluster.object(.secret, "ratify-tls", namespace: "default")
            #expect(secret?["data"]?.object?.names.sorted() == ["ca.crt", "ca.key", "tls.crt", "tls.key"])
            #expect(replicas.flatMap(\.problems).isEmpty)
            // OpenSSL agrees that this is a server's certificate below its authority.
            let directory = try TemporaryDirectory()
            defer { directory.remove() }
            directory.write(bundle(cluster).map(\.pem).joined(), to: "ca.pem")
            directory.write(leaf.pem, to: "leaf.pem")
            let said = try OpenSSLCommand.run(
                [
                    "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "ratify.default", "-CAfile",
                    directory.path("ca.pem"), directory.path("leaf.pem"),
                ])
            #expect(String(decoding: said, as: UTF8.self).contains("OK"))
            // Nothing more happens, once both have seen what the other did.
            var requests = -1
            var seconds = 0
            while requests != cluster.requests.count(where: { $0.method != "GET" }) {
                requests = cluster.requests.count { $0.method != "GET" }
                seconds += 1
                try #require(seconds < 60, "they go on writing")
                try await Task.sleep(for: .milliseconds(600))
            }
        }
    }

    /// Lives of seconds, so that several generations of certificates and authorities pass by; a client that has the
    /// bundle as it is now is never refused.
    @Test func nobodyIsRefusedOverGenerations() async throws {
        var policy = quick()
        // A third of these must be longer than a busy machine may stall.
        let pace = Sanitizer.isOn ? 4.0 : 2
        policy.authorityLife = 15 * pace
        policy.servingLife = 7.2 * pace
        policy.backdating = 1
        try await withReplicas(
            policy,
            prepare: { cluster in
                for name in ["ratify-provider", "ratify-mutation-provider"] { cluster.put(.provider, provider(name)) }
            }
        ) { cluster, replicas in
            // Both Providers: they get their bundles one after the other.
            try await until("served") {
                replicas.allSatisfy {
                    isAccepted($0.leaf, by: bundle(cluster))
                        && isAccepted($0.leaf, by: bundle(cluster, "ratify-mutation-provider"))
                }
            }
            var leaves: Set<Certificate> = []
            var authorities: Set<Certificate> = []
            var refused: [String] = []
            let end = ContinuousClock.now + .seconds(17 * pace)
            while ContinuousClock.now < end {
                for replica in replicas {
                    for name in ["ratify-provider", "ratify-mutation-provider"] {
                        guard let look = isRefused(replica, cluster, name, knowledge: .milliseconds(75)) else {
                            continue
                        }
                        authorities.formUnion(look.known)
                        if let leaf = look.leaf { leaves.insert(leaf) }
                        if look.refused {
                            refused.append(
                                "\(Date()): \(name) trusts \(look.known.map(\.described)), served is "
                                    + (look.leaf?.described ?? "nothing"))
                        }
                    }
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(refused.isEmpty, "\(refused.prefix(2)); \(replicas.map(\.notices))")
            #expect(leaves.count >= 3)
            #expect(authorities.count >= 2)
            #expect(replicas.flatMap(\.problems).isEmpty)
        }
    }

    @Test func aBundleThatSomebodyChangesIsRepaired() async throws {
        try await withReplicas(quick(), prepare: { $0.put(.provider, provider("ratify-provider")) }) {
            cluster, replicas in
            try await until("served") { replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) } }
            let right = bundle(cluster)
            let stranger = try CertificateAuthority(name: "stranger").certificate.pem
            for tampered in ["", "!", Data(stranger.utf8).base64EncodedString()] {
                cluster.put(.provider, provider("ratify-provider", bundle: tampered))
                try await until("repaired") { bundle(cluster) == right }
            }
            // A Provider that comes later gets it too.
            cluster.put(.provider, provider("ratify-mutation-provider"))
            try await until("the new one") { bundle(cluster, "ratify-mutation-provider") == right }
        }
    }

    @Test func aDeletedSecretIsMadeAgainWithoutARefusal() async throws {
        try await withReplicas(quick(), prepare: { $0.put(.provider, provider("ratify-provider")) }) {
            cluster, replicas in
            try await until("served") { replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) } }
            let former = bundle(cluster)
            for round in 0..<2 {
                let before = bundle(cluster)
                if round == 0 {
                    cluster.remove(.secret, "ratify-tls", namespace: "default")
                } else {
                    cluster.put(
                        .secret,
                        ["metadata": ["name": "ratify-tls", "namespace": "default"], "data": ["tls.key": "AAAA"]])
                }
                var refused = 0
                try await until("a new authority alone") {
                    for replica in replicas where isRefused(replica, cluster)?.refused == true { refused += 1 }
                    let known = bundle(cluster)
                    return known.count == 1 && known != before
                }
                #expect(refused == 0)
                try await until("both switched") { replicas[0].leaf == replicas[1].leaf }
            }
            #expect(bundle(cluster) != former)
        }
    }

    @Test func whatRatifyLeftIsTakenOver() async throws {
        // RSA, one name, made by somebody else.
        let authority = try CertificateAuthority(.authority("ratify-ca"), key: .rsa(bits: 2048))
        let identity = try authority.issue(.server("ratify.default", dns: ["ratify.default"], ip: []))
        func encoded(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }
        try await withReplicas(
            quick(),
            prepare: { cluster in
                cluster.put(
                    .secret,
                    [
                        "metadata": ["name": "ratify-tls", "namespace": "default"],
                        "data": [
                            "ca.crt": encoded(authority.certificate.pem),
                            "ca.key": encoded(try authority.identity.keyPEM),
                            "tls.crt": encoded(identity.certificate.pem), "tls.key": encoded(try identity.keyPEM),
                        ],
                    ])
                cluster.put(
                    .provider,
                    provider("ratify-provider", bundle: Data(authority.certificate.pem.utf8).base64EncodedString()))
            }
        ) { cluster, replicas in
            // The authority stays; the certificate gets all names.
            try await until("served") { replicas.allSatisfy { $0.leaf?.dnsNames.count == 4 } }
            #expect(bundle(cluster) == [authority.certificate])
            #expect(isAccepted(replicas[0].leaf, by: [authority.certificate]))
        }
    }

    @Test func anAPIServerThatFailsOnlyDelays() async throws {
        try await withReplicas(
            quick(),
            prepare: { cluster in
                cluster.put(.provider, provider("ratify-provider"))
                cluster.inject(.status(500), count: 12)
                cluster.inject(.reset, count: 3)
                cluster.inject(.lostAnswer, count: 2) { $0.method != "GET" }
            }
        ) { cluster, replicas in
            try await until("served") {
                replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) }
            }
            #expect(replicas[0].leaf == replicas[1].leaf)
            // Down and up again: what is served stays.
            let leaf = replicas[0].leaf
            await cluster.down()
            try await Task.sleep(for: .milliseconds(200))
            #expect(replicas[0].leaf == leaf)
            try await cluster.up()
        }
    }

    /// One line when it begins, one when it is over; three watches notice, again and again.
    @Test func anOutageIsToldOnceAndItsEndToo() async throws {
        try await withReplicas(
            quick(),
            prepare: { cluster in
                cluster.put(.provider, provider("ratify-provider"))
                cluster.put(.provider, provider("ratify-mutation-provider"))
            }
        ) { cluster, replicas in
            try await until("served") { replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) } }
            while cluster.openWatches < 6 { try await Task.sleep(for: .milliseconds(2)) }
            await cluster.down()
            try await Task.sleep(for: .seconds(2))
            cluster.inject(.status(429, retryAfter: 1), count: 4)
            try await cluster.up()
            let back = ContinuousClock.now
            try await until("told") {
                replicas.allSatisfy { $0.notices.contains { $0.contains("works again, after") } }
            }
            #expect(back.duration(to: .now) < .seconds(8))
            for replica in replicas {
                #expect(replica.problems.count == 1, "\(replica.notices)")
                #expect(replica.notices.count { $0.contains("works again") } == 1)
            }
        }
    }

    /// A step that could not be taken is taken soon after the API server can be asked again.
    @Test func aRepairThatFailedIsMadeSoonAfterTheReturn() async throws {
        try await withReplicas(quick(), prepare: { $0.put(.provider, provider("ratify-provider")) }) {
            cluster, replicas in
            try await until("served") { replicas.allSatisfy { isAccepted($0.leaf, by: bundle(cluster)) } }
            let right = bundle(cluster)
            cluster.inject(.status(503, retryAfter: 20)) { $0.method == "PATCH" }
            cluster.put(.provider, provider("ratify-provider", bundle: ""))
            try await Task.sleep(for: .seconds(3))
            cluster.clearFaults()
            let back = ContinuousClock.now
            try await until("repaired") { bundle(cluster) == right }
            #expect(back.duration(to: .now) < .seconds(8))
        }
    }

    /// Without the right to make the Secret, which the chart withholds, the fault says what to do; an empty one is
    /// filled.
    @Test func aSecretThatMayNotBeMadeIsAskedFor() async throws {
        try await withReplicas(
            quick(), prepare: { $0.inject(.status(403)) { $0.method == "POST" && $0.path.hasSuffix("/secrets") } }
        ) { cluster, replicas in
            try await until("told") {
                replicas.allSatisfy {
                    $0.problems.contains { $0.contains("kubectl -n default create secret generic ratify-tls") }
                }
            }
            cluster.put(.secret, ["metadata": ["name": "ratify-tls", "namespace": "default"], "type": "Opaque"])
            try await until("served") { replicas.allSatisfy { $0.leaf != nil } }
        }
    }

    @Test func nothingIsServedThatAProviderDoesNotTrustYet() async throws {
        // Nobody may change Providers: the certificate in use stays, whatever the Secret gets.
        let cluster = try await KubernetesEmulator.start()
        cluster.register(.provider, hasStatus: false)
        cluster.put(.provider, provider("ratify-provider"))
        let replica = try Replica(cluster, quick())
        try await until("served") { isAccepted(replica.leaf, by: bundle(cluster)) }
        let leaf = replica.leaf
        cluster.inject(.status(403)) { $0.method == "PATCH" }
        cluster.remove(.secret, "ratify-tls", namespace: "default")
        try await until("told") {
            replica.problems.contains { $0.contains("ratify-provider") && $0.contains("ClusterRole") }
        }
        try await Task.sleep(for: .milliseconds(500))
        #expect(replica.leaf == leaf)
        #expect(isAccepted(replica.leaf, by: bundle(cluster)))
        cluster.clearFaults()
        try await until("switched") { replica.leaf != leaf }
        #expect(isAccepted(replica.leaf, by: bundle(cluster)))
        await replica.stop()
        await cluster.stop()
    }
}

extension Certificate {
    /// Whose it is, and when it is valid.
    fileprivate var described: String { "\(subject), \(notBefore) to \(notAfter)" }
}
