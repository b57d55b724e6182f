import Foundation
import Kubernetes
import OCI
import OCIRegistry
import StrictJSON
import Synchronization
import TestSupport
import Testing

@Suite struct SecretCredentialsTests {
    private func secret(
        _ name: String, namespace: String = "team", type: String = "kubernetes.io/dockerconfigjson", _ text: String
    ) -> JSONObject {
        let member = type.hasSuffix("cfg") ? ".dockercfg" : ".dockerconfigjson"
        return [
            "metadata": ["name": .string(name), "namespace": .string(namespace)], "type": .string(type),
            "data": .object([member: .string(Data(text.utf8).base64EncodedString())]),
        ]
    }

    private func auths(_ host: String, _ user: String, _ password: String) -> String {
        "{\"auths\":{\"\(host)\":{\"username\":\"\(user)\",\"password\":\"\(password)\"}}}"
    }

    private func account(_ secrets: String...) -> JSONObject {
        [
            "metadata": ["name": "puller", "namespace": "team"],
            "imagePullSecrets": .array(secrets.map { ["name": .string($0)] }),
        ]
    }

    private func source(
        _ client: KubernetesClient, _ secrets: [ResourceKey] = [], life: Duration = .seconds(60)
    ) -> SecretCredentials {
        SecretCredentials(
            client: client, secrets: secrets, account: ResourceKey(namespace: "team", name: "puller"), life: life)
    }

    private func credential(_ source: SecretCredentials, _ host: String) async throws -> RegistryCredential {
        try await source.credential(for: host, repository: "x", deadline: .now + .seconds(5))
    }

    @Test func listedSecretsComeFirstThenThoseOfTheServiceAccount() async throws {
        try await withCluster { cluster, client in
            cluster.put(.serviceAccount, account("pull", "old", "other-type", "missing"))
            cluster.put(.secret, secret("pull", auths("a.example", "account", "s3cret")))
            cluster.put(
                .secret,
                secret("old", type: "kubernetes.io/dockercfg", "{\"b.example\":{\"auth\":\"dTpw\"}}"))
            cluster.put(.secret, secret("other-type", type: "Opaque", "{}"))
            cluster.put(.secret, secret("listed", namespace: "shared", auths("a.example", "listed", "s3cret")))
            let plain = source(client)
            let first = try await credential(plain, "a.example")
            #expect(first == .basic(user: "account", password: "s3cret"))
            #expect(try await credential(plain, "b.example") == .basic(user: "u", password: "p"))
            #expect(try await credential(plain, "c.example") == .anonymous)
            let listed = source(
                client, [.init(namespace: "team", name: "missing"), .init(namespace: "shared", name: "listed")])
            #expect(try await credential(listed, "a.example") == .basic(user: "listed", password: "s3cret"))
        }
    }

    @Test func whatWasReadIsKeptUntilItsEndOrARefusal() async throws {
        try await withCluster { cluster, client in
            cluster.put(.serviceAccount, account("pull"))
            cluster.put(.secret, secret("pull", auths("a.example", "u", "first")))
            let source = source(client, life: .milliseconds(300))
            @Sendable func password() async throws -> RegistryCredential {
                try await source.credential(for: "a.example", repository: "x", deadline: .now + .seconds(5))
            }
            // Many at once ask once.
            try await withThrowingTaskGroup(of: RegistryCredential.self) { group in
                for _ in 0..<20 { group.addTask { try await password() } }
                for try await credential in group { #expect(credential == .basic(user: "u", password: "first")) }
            }
            #expect(cluster.requests.count == 2)
            cluster.put(.secret, secret("pull", auths("a.example", "u", "second")))
            #expect(try await password() == .basic(user: "u", password: "first"))
            await source.credentialRejected(
                .basic(user: "u", password: "first"), for: "a.example", repository: "x")
            #expect(try await password() == .basic(user: "u", password: "second"))
            cluster.put(.secret, secret("pull", auths("a.example", "u", "third")))
            try await Task.sleep(for: .milliseconds(350))
            #expect(try await password() == .basic(user: "u", password: "third"))
        }
    }

    @Test func faultsAreToldWithoutTheContent() async throws {
        try await withCluster { cluster, client in
            func problem(_ keys: [ResourceKey] = []) async -> RegistryError? {
                let source = source(client, keys)
                do {
                    _ = try await source.credential(for: "a.example", repository: "x", deadline: .now + .seconds(5))
                    return nil
                } catch { return error }
            }
            // No service account: this is no reason to go without credentials.
            let missing = await problem()
            #expect(missing?.kind == .credentials)
            #expect(missing?.isTransient == true)
            #expect(missing?.description.contains("serviceaccounts \"puller\" in namespace \"team\"") == true)
            cluster.put(.serviceAccount, account("pull"))
            for text in ["s3cret", "{\"auths\":[\"s3cret\"]}", "{\"auths\":{\"a.example\":{\"auth\":\"s3cret\"}}}"] {
                cluster.put(.secret, secret("pull", text))
                let error = await problem()
                #expect(error?.kind == .credentials)
                let place = text.hasSuffix("}}}") ? "auths[\"a.example\"]" : "\"pull\" in namespace \"team\""
                #expect(error?.description.contains(place) == true)
                #expect(error?.description.contains("s3cret") == false)
            }
            // What has nothing for this registry: the other one might.
            cluster.put(.secret, secret("pull", auths("b.example", "u", "p")))
            cluster.put(.secret, secret("opaque", type: "Opaque", "{}"))
            #expect(await problem([.init(namespace: "team", name: "opaque")])?.description.contains("Opaque") == true)
            cluster.inject(.status(403))
            #expect(await problem()?.description.contains("ClusterRole") == true)
            #expect(await problem()?.isTransient == true)
        }
    }

    /// What can be used is in force, and what cannot is named, once each time that it is read.
    @Test func oneBrokenPartLeavesTheOthersInForce() async throws {
        try await withCluster { cluster, client in
            var owner = account("broken", "good")
            owner["imagePullSecrets"] = [["name": "broken"], ["nome": "x"], ["name": "good"]]
            cluster.put(.serviceAccount, owner)
            cluster.put(.secret, secret("broken", "{"))
            let mixed = #"{"auths":{"a.example":{"username":"u","password":"p"},"b.example":{"auth":"s3cret"}}}"#
            cluster.put(.secret, secret("good", mixed))
            cluster.put(.secret, secret("opaque", type: "Opaque", "{}"))
            let problems = Mutex<[String]>([])
            let source = SecretCredentials(
                client: client, secrets: [ResourceKey(namespace: "team", name: "opaque")],
                account: ResourceKey(namespace: "team", name: "puller"), life: .seconds(60)
            ) { problem in problems.withLock { $0.append(problem) } }
            #expect(try await credential(source, "a.example") == .basic(user: "u", password: "p"))
            // Whose credential may be in what cannot be read is not asked as by nobody.
            for host in ["b.example", "c.example"] {
                do {
                    let found = try await credential(source, host)
                    Issue.record("\(host) is asked with \(found)")
                } catch let error as RegistryError {
                    #expect(error.kind == .credentials)
                    #expect(!error.description.contains("s3cret"))
                }
            }
            let named = problems.withLock { $0.joined(separator: "\n") }
            for part in ["\"opaque\"", "\"broken\"", "entry without a name", "auths[\"b.example\"]"] {
                #expect(named.contains(part), "\(part)")
            }
            #expect(!named.contains("s3cret"))
        }
    }
}
