import Foundation
import Kubernetes
import StrictJSON
import TestSupport
import Testing

/// `crds apply` and `probe`, as the chart runs them.
@Suite struct ClusterCommandTests {
    private static let type = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition", isNamespaced: false)

    /// The project's definitions.
    private static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "manifests/crds").path()

    private struct Cluster {
        let emulator: KubernetesEmulator
        let scratch: TemporaryDirectory

        init() async throws {
            emulator = try await KubernetesEmulator.start()
            emulator.register(ClusterCommandTests.type)
            scratch = try TemporaryDirectory()
            try emulator.writeKubeconfig(to: scratch.path("kubeconfig"))
        }

        func apply(_ paths: String...) async throws -> Command.Outcome {
            try await Command.run(["crds", "apply"] + paths, environment: ["KUBECONFIG": scratch.path("kubeconfig")])
        }

        func end() async {
            await emulator.stop()
            scratch.remove()
        }
    }

    @Test func definitionsAreCreatedAndUpdatedAndOtherwiseLeftAlone() async throws {
        let cluster = try await Cluster()
        let first = try await cluster.apply(Self.directory)
        #expect(first.status == 0, "\(first)")
        let lines = first.output.split(separator: "\n")
        #expect(lines.count == 9 && lines.allSatisfy { $0.hasSuffix(" created") }, "\(first)")
        #expect(cluster.emulator.objects(Self.type).count == 9)

        let second = try await cluster.apply(Self.directory)
        #expect(second.output.split(separator: "\n").allSatisfy { $0.hasSuffix(" unchanged") }, "\(second)")

        // An older one, as Ratify's chart leaves it.
        let name = "stores.config.ratify.deislabs.io"
        let older = try #require(cluster.emulator.object(Self.type, name))
        var spec = try #require(older["spec"]?.object)
        let current = spec
        spec["versions"] = .array([["name": "v1beta1", "served": true, "storage": true]])
        var object = older
        object["spec"] = .object(spec)
        cluster.emulator.put(Self.type, object)
        let third = try await cluster.apply("\(Self.directory)/store.yaml")
        #expect(third.output == "\(name) updated\n", "\(third)")
        #expect(cluster.emulator.object(Self.type, name)?["spec"]?.object == current)
        await cluster.end()
    }

    @Test func nothingIsChangedWhenAFileIsSomethingElse() async throws {
        let cluster = try await Cluster()
        let other = cluster.scratch.write("kind: Secret\napiVersion: v1\nmetadata: {name: x}\n", to: "other.yaml")
        let run = try await cluster.apply("\(Self.directory)/store.yaml", other)
        #expect(run.status == 2 && run.errors.contains("other.yaml"), "\(run)")
        #expect(cluster.emulator.objects(Self.type).isEmpty)
        let absent = try await cluster.apply(cluster.scratch.path("absent"))
        #expect(absent.status == 2 && absent.errors.contains("absent"), "\(absent)")
        await cluster.end()
    }

    @Test func aRefusalNamesWhatIsMissing() async throws {
        let cluster = try await Cluster()
        cluster.emulator.add(token: "weak", .init("somebody"))
        cluster.emulator.forbid { verb, type, _ in verb == "create" && type == Self.type }
        try cluster.emulator.writeKubeconfig(to: cluster.scratch.path("kubeconfig"), token: "weak")
        let run = try await cluster.apply("\(Self.directory)/store.yaml")
        #expect(run.status == 2 && run.errors.contains("customresourcedefinitions"), "\(run)")
        #expect(run.errors.contains("Role"), "\(run)")
        await cluster.end()
    }

    @Test func probeTellsGoodFromBadAndFromSilence() async throws {
        let server = try ScriptedServer { request in
            request.target == "/readyz"
                ? [.reply(200, body: "ok\n")] : [.reply(503, body: "not ready: no configuration\n")]
        }
        let base = "http://127.0.0.1:\(server.port)"
        let good = try await Command.run("probe", "\(base)/readyz")
        #expect(good.status == 0 && good.output == "ok\n", "\(good)")
        let bad = try await Command.run("probe", "\(base)/other")
        #expect(bad.status == 1 && bad.errors.contains("status 503: not ready: no configuration"), "\(bad)")
        server.stop()
        let silent = try await Command.run("probe", "\(base)/readyz", "--timeout", "2")
        #expect(silent.status == 3, "\(silent)")
        let wrong = try await Command.run("probe", "not-a-url")
        #expect(wrong.status == 2, "\(wrong)")
    }

    @Test func probeAsksAgain() async throws {
        let server = try ScriptedServer(answers: [[.reply(503)], [.reply(200, body: "ready")]])
        defer { server.stop() }
        let run = try await Command.run("probe", "http://127.0.0.1:\(server.port)/readyz", "--attempts", "5")
        #expect(run.status == 0 && run.output == "ready\n", "\(run)")
    }
}
