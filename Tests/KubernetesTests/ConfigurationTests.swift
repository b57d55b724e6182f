import Foundation
import HTTP
import Kubernetes
import StrictJSON
import TestSupport
import Testing

@Suite struct ConfigurationTests {
    private func problem(_ text: String, context: String? = nil) throws -> String? {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write(text, to: "config")
        do throws(KubernetesError) {
            _ = try KubernetesConfiguration.kubeconfig(path: path, context: context, environment: [:])
            return nil
        } catch {
            #expect(error.kind == .configuration)
            #expect(!error.description.contains("s3cret"))
            return error.description
        }
    }

    private func kubeconfig(cluster: String = "server: https://h", user: String = "token: s3cret") -> String {
        """
        current-context: a
        contexts: [{name: a, context: {cluster: c, user: u}}]
        clusters: [{name: c, cluster: {\(cluster)}}]
        users: [{name: u, user: {\(user)}}]
        """
    }

    @Test func aPodIsFoundByItsFiles() async throws {
        let cluster = try await KubernetesEmulator.start()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let environment = try cluster.writeServiceAccount(to: directory.path)
        let configuration = try KubernetesConfiguration.inCluster(environment: environment, directory: directory.path)
        #expect(configuration.namespace == "countersign-system")
        var options = KubernetesClient.Options()
        options.tokenLife = .milliseconds(50)
        let client = try KubernetesClient(configuration, options: options)
        #expect(try await client.list(.namespace).items.count == 2)

        // The token is renewed: the file is read again in time.
        cluster.add(token: "second", .init("b", groups: ["system:masters"]))
        directory.write("second\n", to: "token")
        try await Task.sleep(for: .milliseconds(60))
        _ = try await client.list(.namespace)
        #expect(cluster.requests.last?.header("Authorization") == "Bearer second")
        await client.shutdown()
        await cluster.stop()
    }

    @Test func aRefusedTokenIsReadAgainAtOnce() async throws {
        let cluster = try await KubernetesEmulator.start()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let environment = try cluster.writeServiceAccount(to: directory.path)
        let client = try KubernetesClient(.inCluster(environment: environment, directory: directory.path))
        _ = try await client.list(.namespace)
        cluster.revoke(token: cluster.token)
        let error = await failure { () throws(KubernetesError) in try await client.list(.namespace) }
        #expect(error?.kind == .unauthorized)
        cluster.add(token: "second", .init("b", groups: ["system:masters"]))
        directory.write("second", to: "token")
        _ = try await client.list(.namespace)
        // The same for a watch.
        cluster.revoke(token: "second")
        cluster.add(token: "third", .init("b", groups: ["system:masters"]))
        directory.write("third", to: "token")
        var events = client.watch(.namespace).makeAsyncIterator()
        guard case .synced = await events.next() else {
            Issue.record("the watch does not begin")
            return
        }
        await client.shutdown()
        await cluster.stop()
    }

    @Test func aPlaceThatIsNoPodIsSaidToBeNone() throws {
        #expect(throws: KubernetesError.self) { try KubernetesConfiguration.inCluster(environment: [:]) }
        let error = #expect(throws: KubernetesError.self) {
            try KubernetesConfiguration.inCluster(
                environment: ["KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"],
                directory: "/nonexistent")
        }
        #expect(error?.description.contains("/nonexistent/token") == true)
        #expect(throws: KubernetesError.self) { try KubernetesConfiguration.automatic(environment: [:]) }
    }

    @Test func aKubeconfigIsRead() async throws {
        let cluster = try await KubernetesEmulator.start()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = try cluster.writeKubeconfig(to: directory.path("config"))
        let client = try KubernetesClient(.automatic(environment: ["KUBECONFIG": path]))
        #expect(try await client.list(.namespace).items.count == 2)
        await client.shutdown()

        // Files beside it, a token file, a second file with the context.
        directory.write(cluster.authorityPEM, to: "ca.pem")
        directory.write(cluster.token + "\n", to: "token")
        let users = directory.write(
            "users: [{name: u, user: {tokenFile: token}}]\nclusters: [{name: c, cluster: {server: \"\(cluster.url)\", certificate-authority: ca.pem}}]",
            to: "users")
        let contexts = directory.write(
            "current-context: other\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: team}}]",
            to: "contexts")
        let merged = try KubernetesConfiguration.kubeconfig(
            paths: [directory.path("missing"), users, contexts], context: "a", environment: [:])
        #expect(merged.namespace == "team")
        let second = try KubernetesClient(merged)
        #expect(try await second.list(.namespace).items.count == 2)
        await second.shutdown()
        await cluster.stop()
    }

    @Test func aClientCertificateIsShown() async throws {
        let cluster = try await KubernetesEmulator.start(requiresClientCertificate: true)
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let identity = try cluster.clientIdentity("somebody")
        let authority = Data(cluster.authorityPEM.utf8).base64EncodedString()
        let certificate = Data(identity.chainPEM.utf8).base64EncodedString()
        directory.write(try identity.keyPEM, to: "key.pem")
        let text = kubeconfig(
            cluster: "server: \"\(cluster.url)\", certificate-authority-data: \(authority)",
            user: "client-certificate-data: \(certificate), client-key: key.pem")
        let client = try KubernetesClient(
            .kubeconfig(path: directory.write(text, to: "config"), environment: [:]))
        #expect(try await client.list(.namespace).items.count == 2)
        await client.shutdown()

        let without = try KubernetesClient(
            .kubeconfig(
                path: directory.write(
                    kubeconfig(cluster: "server: \"\(cluster.url)\", certificate-authority-data: \(authority)"),
                    to: "without"), environment: [:]))
        let error = await failure { () throws(KubernetesError) in
            try await without.get(.namespace, name: "default", deadline: .now + .milliseconds(500))
        }
        #expect(error?.kind == .unavailable)
        await without.shutdown()
        await cluster.stop()
    }

    @Test func anotherNameOfTheServerIsAccepted() async throws {
        let cluster = try await KubernetesEmulator.start(serverNames: ["kubernetes.example.test"])
        var configuration = try cluster.configuration()
        configuration.tlsServerName = "kubernetes.example.test"
        let client = try KubernetesClient(configuration)
        #expect(try await client.list(.namespace).items.count == 2)
        #expect(cluster.requests.last?.header("Host") == "127.0.0.1:\(cluster.port)")
        configuration.tlsServerName = "other.example.test"
        let other = try KubernetesClient(configuration)
        let error = await failure { () throws(KubernetesError) in
            try await other.get(.namespace, name: "default", deadline: .now + .milliseconds(500))
        }
        #expect(error?.kind == .unavailable)
        await client.shutdown()
        await other.shutdown()
        await cluster.stop()
    }

    @Test func aProgramGivesTheToken() async throws {
        let cluster = try await KubernetesEmulator.start()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let program = directory.write(
            """
            #!/bin/sh
            echo run >> "$LOG"
            case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 3;; esac
            cat <<END
            {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
             "status":{"token":"$1","expirationTimestamp":"2999-01-01T00:00:00Z"}}
            END
            """, to: "login")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let log = directory.path("log")
        func configuration(_ token: String, version: String = "v1") throws -> KubernetesConfiguration {
            let text = kubeconfig(
                cluster:
                    "server: \"\(cluster.url)\", certificate-authority-data: \(Data(cluster.authorityPEM.utf8).base64EncodedString())",
                user:
                    "exec: {apiVersion: client.authentication.k8s.io/\(version), command: ./login, args: [\"\(token)\"], env: [{name: LOG, value: \"\(log)\"}], interactiveMode: Never}"
            )
            return try .kubeconfig(path: directory.write(text, to: "config"), environment: [:])
        }
        let client = try KubernetesClient(configuration(cluster.token))
        for _ in 0..<3 { _ = try await client.list(.namespace) }
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "run\n")
        await client.shutdown()

        let refused = try KubernetesClient(configuration("wrong"))
        let error = await failure { () throws(KubernetesError) in try await refused.list(.namespace) }
        #expect(error?.kind == .unauthorized)
        await refused.shutdown()
        #expect(throws: KubernetesError.self) { try configuration("x", version: "v1alpha1") }
        await cluster.stop()
    }

    @Test func whatIsNotSupportedIsSaid() throws {
        #expect(try problem(kubeconfig()) == nil)
        let cases = [
            (kubeconfig(cluster: "server: https://h, insecure-skip-tls-verify: true"), "insecure-skip-tls-verify"),
            (kubeconfig(cluster: "server: http://h"), "https"), (kubeconfig(cluster: "a: b"), "no server"),
            (kubeconfig(cluster: "server: https://h, certificate-authority-data: '!'"), "base64"),
            (kubeconfig(user: "username: a, password: s3cret"), "username"),
            (kubeconfig(user: "auth-provider: {name: azure}"), "auth-provider"),
            (kubeconfig(user: "as: somebody, token: s3cret"), "as is not supported"),
            (kubeconfig(user: "token: [s3cret]"), "an array"),
            (kubeconfig(user: "client-key-data: czNjcmV0"), "belong together"),
            (kubeconfig(user: "exec: {command: x}"), "apiVersion"), ("a: [", "not YAML"), ("[]", "no mapping"),
            ("a: b", "current-context"), ("current-context: x", "no context \"x\""),
        ]
        for (text, words) in cases {
            let found = try problem(text)
            #expect(found?.contains(words) == true, "\(text): \(found ?? "accepted")")
        }
        #expect(try problem(kubeconfig(), context: "b")?.contains("no context \"b\"") == true)
    }
}
