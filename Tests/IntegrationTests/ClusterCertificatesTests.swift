import Foundation
import Kubernetes
import OCI
import PKI
import StrictJSON
import TestSupport
import Testing

/// `countersign serve` with its certificates from a cluster.
@Suite struct ClusterCertificatesTests {
    private func secret(_ namespace: String, _ name: String, _ authority: CertificateAuthority) -> JSONObject {
        [
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "data": ["ca.crt": .string(Data(authority.certificate.pem.utf8).base64EncodedString())],
        ]
    }

    @Test func rotatesAndFollowsGatekeepersAuthority() async throws {
        let cluster = try await KubernetesEmulator.start()
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            let tls = try ServingFiles(in: files.directory)
            for name in ["gatekeeper-system", "ratify-system"] {
                cluster.put(.namespace, ["metadata": ["name": .string(name)]])
            }
            cluster.register(.provider, hasStatus: false)
            cluster.put(.provider, ["metadata": ["name": "ratify-provider"], "spec": ["caBundle": ""]])
            let gatekeeper = try CertificateAuthority(name: "gatekeeper-ca of the cluster")
            cluster.put(.secret, secret("gatekeeper-system", "webhook", gatekeeper))
            let process = try await ServeProcess(
                config: files.path("config.json"), tls: tls, ["--ca-cert-secret", "gatekeeper-system/webhook"],
                environment: [
                    "KUBECONFIG": try cluster.writeKubeconfig(to: files.path("kubeconfig")),
                    "RATIFY_CERT_ROTATION": "true", "RATIFY_NAMESPACE": "ratify-system", "RATIFY_NAME": "ratify",
                ])
            func isAnswered(by identity: Identity) async -> Bool {
                guard let text = cluster.object(.provider, "ratify-provider")?["spec"]?["caBundle"]?.string,
                    let data = Data(base64Encoded: text),
                    let block = (try? PEM.parse([UInt8](data)))?.first,
                    let authority = try? Certificate(der: block.der)
                else { return false }
                var options = TestClient.Options(
                    identity: identity,
                    trusting: CertificateAuthority(
                        Identity(certificate: authority, key: tls.serverAuthority.key, chain: [authority])))
                options.serverName = "ratify.ratify-system"
                let reply = try? await TestClient.post(
                    port: process.port, options, body: TestClient.request([app.name("v1")]))
                return reply?.status == 200
            }
            let first = try gatekeeper.issue(.client("gatekeeper"))
            #expect(try await eventually { await isAnswered(by: first) }, "\(process.log)")
            #expect(cluster.object(.secret, "ratify-tls", namespace: "ratify-system") != nil)
            // Gatekeeper has renewed its authority.
            let next = try CertificateAuthority(name: "gatekeeper-ca of the cluster")
            cluster.put(.secret, secret("gatekeeper-system", "webhook", next))
            let second = try next.issue(.client("gatekeeper"))
            #expect(try await eventually { await isAnswered(by: second) }, "\(process.log)")
            #expect(await !isAnswered(by: first))
            // While the API server is down, it goes on.
            await cluster.down()
            #expect(await isAnswered(by: second))
            process.signal(SIGINT)
            #expect(await process.ended() == 0, "\(process.log)")
        }
        await cluster.stop()
    }

    @Test func whatIsMissingIsSaidAtTheStart() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        for (environment, options, words) in [
            (["RATIFY_CERT_ROTATION": "true", "KUBECONFIG": "/nonexistent"], [], "cannot be reached"),
            ([:], ["--ca-cert-secret", "a/b"], "--cert-dir"), ([:], ["--ca-cert-secret", "b"], "NAMESPACE/NAME"),
        ] as [([String: String], [String], String)] {
            let outcome = try await Command.run(
                ["serve", "-c", files.path("config.json"), "--http", "127.0.0.1:0"] + options, environment: environment)
            #expect(outcome.status == 2, "\(outcome.errors)")
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
        }
    }
}
