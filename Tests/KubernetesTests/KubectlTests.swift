import Foundation
import Kubernetes
import StrictJSON
import TestSupport
import Testing

/// Whether the emulator is a fair stand-in: the cluster's own command works with it.
@Suite(.enabled(if: Kubectl.path != nil)) struct KubectlTests {
    @Test func kubectlWorksWithTheEmulator() async throws {
        let cluster = try await KubernetesEmulator.start()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let config = try cluster.writeKubeconfig(to: directory.path("config"))
        let definition = directory.write(
            """
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: widgets.example.test}
            spec:
              group: example.test
              scope: Cluster
              names: {plural: widgets, singular: widget, kind: Widget}
              versions:
              - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object}}}
            """, to: "crd.yaml")
        func expect(_ words: String, _ arguments: String...) async throws {
            let said = try await Kubectl.run(arguments, config: config, home: directory.path)
            #expect(said.contains(words), "\(arguments): \(said)")
        }
        try await expect("created", "apply", "--validate=false", "-f", definition)
        let object = directory.write(
            "apiVersion: example.test/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 1}\n", to: "widget.yaml")
        try await expect("widget.example.test/a created", "apply", "--validate=false", "-f", object)
        directory.write(
            "apiVersion: example.test/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 2}\n", to: "widget.yaml")
        try await expect("configured", "apply", "--validate=false", "-f", object)
        try await expect("size: 2", "get", "widgets", "-o", "yaml")
        #expect(cluster.object(.widget, "a")?.generation == 2)
        try await expect(
            "patched", "patch", "widget", "a", "--subresource=status", "--type=merge", "-p", "{\"status\":{\"x\":1}}")
        #expect(cluster.object(.widget, "a")?["status"] == ["x": 1])
        let secret = directory.write(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\nstringData: {k: v}\n",
            to: "secret.yaml")
        try await expect("created", "apply", "--validate=false", "-f", secret)
        try await expect("s ", "get", "secrets", "-A", "--no-headers")
        try await expect("deleted", "delete", "widget", "a", "--wait=false")
        try await expect("No resources found", "get", "widgets")
        await cluster.stop()
    }
}

enum Kubectl {
    static let path: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/kubectl" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    /// Output and error output together. On a thread of its own: waiting would stop the emulator's tasks.
    static func run(_ arguments: [String], config: String, home: String) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let process = Process()
                        let pipe = Pipe()
                        process.executableURL = URL(filePath: path ?? "")
                        process.arguments = arguments
                        process.environment = ["KUBECONFIG": config, "HOME": home]
                        process.standardOutput = pipe
                        process.standardError = pipe
                        try process.run()
                        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
                        process.waitUntilExit()
                        return String(decoding: output, as: UTF8.self)
                    })
            }
        }
    }
}
