import Foundation
import Kubernetes
import ProviderServer
import StrictJSON
import TestSupport
import Testing

/// `countersign serve` as a process, with what a cluster has around it: an API server that reviews tokens, and a Redis
/// with a password.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
struct ServeClusterTests {
    @Test func kyvernoAsksTwoReplicasThatShareAVerdict() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        files.directory.write(String(repeating: "k", count: 32), to: "cache.key")
        var options = RedisServer.Options()
        options.password = "sesame"
        let redis = try await RedisServer(options)
        let api = try await KubernetesEmulator.start()
        api.add(
            token: "kyvernos",
            KubernetesEmulator.User(
                "system:serviceaccount:kyverno:kyverno-admission-controller",
                audiences: [TokenReviewer.ownAudience]))
        api.add(
            token: "somebodys",
            KubernetesEmulator.User(
                "system:serviceaccount:default:default", audiences: [TokenReviewer.ownAudience]))
        // Kyverno's own, but for the API server: not for this service.
        api.add(
            token: "the-api-servers",
            KubernetesEmulator.User("system:serviceaccount:kyverno:kyverno-admission-controller"))
        let environment = [
            "KUBECONFIG": try api.writeKubeconfig(to: files.path("kubeconfig")), "COUNTERSIGN_REDIS_PASSWORD": "sesame",
        ]
        let flags = [
            "--kyverno", "127.0.0.1:0", "--cache-type", "redis", "--cache-redis", "127.0.0.1:\(redis.port)",
            "--cache-key-file", files.path("cache.key"), "--cache-ttl", "5m",
        ]
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            let body: JSONValue = ["images": [.string(app.name("v1"))], "verifyDigest": false]
            for replica in 1...2 {
                let process = try await ServeProcess(
                    config: files.path("config.json"), tls: tls, flags, environment: environment)
                #expect(
                    try await eventually {
                        let metrics = try await TestClient.ask(
                            port: process.metricsPort, method: "GET", path: "/metrics")
                        return metrics.text.contains("countersign_shared_cache_connected 1")
                    })
                registry.forgetRequests()
                for (token, status) in [
                    ("somebodys", 403), ("stolen", 401), ("the-api-servers", 401), ("kyvernos", 200),
                ] {
                    let client = try await TestClient.connect(
                        port: process.kyvernoPort, TestClient.Options(trusting: tls.serverAuthority))
                    let reply = try await client.ask(
                        "POST", "/kyverno/v1/verify", headers: ["Authorization: Bearer \(token)"], body: body.text)
                    client.close()
                    #expect(reply.status == status, "\(reply.text)")
                    #expect(try reply.json["verified"]?.bool == (status == 200), "\(reply.text)")
                }
                #expect(registry.requests.isEmpty == (replica == 2), "replica \(replica)")
                #expect(!process.log.contains("sesame") && !process.log.contains("kyvernos\""))
                // The verdict is shared behind the answer's back.
                try await Task.sleep(for: .milliseconds(200))
                process.signal(SIGINT)
                #expect(await process.ended() == 0, "\(process.log)")
            }
        }
        redis.stop()
        await api.stop()
    }
}
