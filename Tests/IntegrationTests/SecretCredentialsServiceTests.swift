import Foundation
import Kubernetes
import OCIRegistry
import StrictJSON
import TestSupport
import Testing

/// `k8Secrets`: a registry that asks for a password, which is in Secrets of the cluster and of namespaces.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
struct SecretCredentialsServiceTests {
    private func pullSecret(_ name: String, in namespace: String, _ registry: DockerRegistry, password: String)
        -> JSONObject
    {
        let config = dockerConfig(registry.host, user: "puller", password: password)
        return [
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "type": "kubernetes.io/dockerconfigjson",
            "data": [".dockerconfigjson": .string(Data(config.utf8).base64EncodedString())],
        ]
    }

    private func store(_ secrets: [(name: String, namespace: String?)]) -> JSONValue {
        [
            "name": "oras",
            "parameters": [
                "authProvider": [
                    "name": "k8Secrets",
                    "secrets": .array(
                        secrets.map { secret in
                            var object: JSONObject = ["secretName": .string(secret.name)]
                            object["namespace"] = secret.namespace.map(JSONValue.string)
                            return .object(object)
                        }),
                ]
            ],
        ]
    }

    @Test func eachNamespaceHasItsOwnAndNoOthers() async throws {
        let registry = try await DockerRegistry(.basic(user: "puller", password: "s3cret"))
        defer { registry.stop() }
        let files = try CommandFiles()
        defer { files.remove() }
        files.directory.write(dockerConfig(registry.host, user: "puller", password: "s3cret"), to: "docker.json")
        let app = try Repository(
            "\(registry.host)/app", credentials: DockerConfigCredentials(path: files.path("docker.json")))
        try await app.push("v1", signedBy: try Signers.shared.get().release)

        let cluster = try await ResourceCluster()
        try cluster.applyAll()
        for namespace in ["ratify-system", "wrong", "thief"] {
            cluster.api.put(
                .serviceAccount, ["metadata": ["name": "default", "namespace": .string(namespace)]])
        }
        cluster.api.put(.secret, pullSecret("pull", in: "ratify-system", registry, password: "s3cret"))
        cluster.apply(.store, "store-oras", store([("pull", nil)]))
        // One has the right password in the pull secrets of its service account, one a wrong one, and one would like to
        // have the cluster's.
        cluster.api.put(.secret, pullSecret("own", in: "good", registry, password: "s3cret"))
        cluster.api.put(
            .serviceAccount,
            [
                "metadata": ["name": "default", "namespace": "good"], "imagePullSecrets": [["name": "own"]],
            ])
        cluster.apply(.namespacedStore, "store", store([]), in: "good")
        cluster.api.put(.secret, pullSecret("own", in: "wrong", registry, password: "guess"))
        cluster.apply(.namespacedStore, "store", store([("own", nil)]), in: "wrong")
        cluster.apply(.namespacedStore, "store", store([("pull", "ratify-system")]), in: "thief")

        files.directory.write(#"{"executor":{"verificationRequestTimeout":15000}}"#, to: "crd.json")
        let tls = try ServingFiles(in: files.directory)
        let process = try await ServeProcess(
            config: files.path("crd.json"), tls: tls, ["--enable-crd-manager"],
            environment: [
                "KUBECONFIG": try cluster.api.writeKubeconfig(to: files.path("kubeconfig")),
                "RATIFY_NAMESPACE": "ratify-system",
            ])
        func ask(_ key: String, to operation: String = "verify") async throws -> Answer {
            Answer(
                try await TestClient.post(
                    port: process.port, tls.gatekeeper, path: "/ratify/gatekeeper/v1/\(operation)",
                    body: TestClient.request([key])),
                asked: [key])
        }
        let key = app.name("v1")
        expectAdmitted(try await ask(key))
        // A pod's author writes the image: to mutate, a namespace in front of it is nobody's, whose store and
        // credentials are not even read. Its pull secrets are when the policy puts the namespace there.
        func hasRead() -> Bool { cluster.api.requests.contains { $0.path.contains("/namespaces/good/s") } }
        for _ in 0..<2 {
            let mutated = try await ask("[good]\(key)", to: "mutate")
            let item = try #require(mutated.json["response"]?["items"]?.array?.first)
            #expect(item["value"] == nil && item["error"]?.string?.contains("REFERENCE_INVALID") == true)
            #expect(item["error"]?.string?.contains("never the image's own choice") == true)
            #expect(!hasRead())
        }
        let pinned = try await ask(key, to: "mutate")
        #expect(pinned.json["response"]?["items"]?.array?.first?["value"]?.string?.contains("/app@sha256:") == true)
        expectAdmitted(try await ask("[good]\(key)"))
        #expect(hasRead())
        expectAdmitted(try await ask("[other]\(key)"))
        let wrong = try await ask("[wrong]\(key)")
        #expect(!wrong.admits() && wrong.text.contains("credentials"), "\(wrong)")
        let thief = try await ask("[thief]\(key)")
        #expect(!thief.admits() && !thief.denies() && thief.systemError != nil, "\(thief)")
        #expect(
            try await cluster.has(.namespacedStore, "store", in: "thief", error: "has secrets of that namespace only"))
        #expect(!process.log.contains("s3cret") && !process.log.contains("guess"))
        process.signal(SIGINT)
        #expect(await process.ended() == 0, "\(process.log)")
        await cluster.api.stop()
    }
}
