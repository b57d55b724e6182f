import ArgumentParser
import FoundationEssentials
import Kubernetes
import Quotation
import StrictJSON
import YAML

/// `countersign crds`: what Helm does not do, bring CustomResourceDefinitions up to date.
struct CRDsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crds", abstract: "Bring the custom resources' definitions in a cluster up to date.",
        subcommands: [Apply.self])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "apply", abstract: "Create or update CustomResourceDefinitions from files.",
            discussion: """
                Asks the cluster of the pod's service account, of $KUBECONFIG, or of ~/.kube/config. Every file is read
                before anything is changed. Resources that exist stay as they are.

                EXAMPLES
                  countersign crds apply manifests/crds
                  countersign crds apply store.yaml verifier.yaml --context test
                """)

        @Argument(help: "YAML files, or directories with *.yaml files.")
        var paths: [String]

        @Option(help: ArgumentHelp("A context of the kubeconfig.", valueName: "name"))
        var context: String?

        func run() async throws {
            let definitions = try paths.flatMap(files).flatMap(definitions)
            guard !definitions.isEmpty else {
                throw CommandFailure(.usage, "\(paths.joined(separator: ", ")): no CustomResourceDefinition in it")
            }
            do throws(KubernetesError) {
                let client = try KubernetesClient(try .automatic(context: context))
                for definition in definitions {
                    print("\(definition.name) \(try await apply(definition, client))")
                }
                await client.shutdown()
            } catch {
                throw CommandFailure(error.isTransient ? .undetermined : .usage, error.description)
            }
        }

        /// A definition, and where it was read.
        private struct Definition {
            let name: String
            let object: JSONObject
        }

        private static let type = ResourceType(
            group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions",
            kind: "CustomResourceDefinition", isNamespaced: false)

        /// What happened: created, updated, or nothing.
        private func apply(
            _ definition: Definition, _ client: KubernetesClient
        ) async throws(KubernetesError) -> String {
            let present: JSONObject
            do throws(KubernetesError) { present = try await client.get(Self.type, name: definition.name) } catch {
                guard error.kind == .notFound else { throw error }
                try await client.create(Self.type, definition.object)
                return "created"
            }
            // Lists, of versions among them, are replaced by a merge patch as a whole. Defaults that the API server has
            // added elsewhere stay.
            let patch: JSONObject = ["spec": definition.object["spec"] ?? .null]
            let changed = try await client.mergePatch(Self.type, name: definition.name, .object(patch))
            let version = { (object: JSONObject) in object["metadata"]?.object?["resourceVersion"]?.string }
            return version(changed) == version(present) ? "unchanged" : "updated"
        }

        /// The files that a path means, in the order of their names.
        private func files(_ path: String) throws -> [String] {
            var isDirectory = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
                throw CommandFailure(.usage, "\(path.quotedPath): there is no such file or directory")
            }
            guard isDirectory else { return [path] }
            do {
                return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
                    .filter { $0.hasSuffix(".yaml") }.map { "\(path)/\($0)" }
            } catch { throw CommandFailure(.usage, "\(path.quotedPath): cannot be read") }
        }

        private func definitions(_ file: String) throws -> [Definition] {
            guard let data = try? Data(contentsOf: URL(filePath: file)) else {
                throw CommandFailure(.usage, "\(file.quotedPath): cannot be read")
            }
            let documents: [JSONValue]
            do { documents = try YAML.parse(Array(data)) } catch {
                throw CommandFailure(.usage, "\(file.quotedPath): \(error)")
            }
            return try documents.map { document in
                guard let object = document.object, object["apiVersion"]?.string == Self.type.apiVersion,
                    object["kind"]?.string == Self.type.kind,
                    let name = object["metadata"]?.object?["name"]?.string, object["spec"]?.object != nil
                else {
                    throw CommandFailure(
                        .usage,
                        "\(file.quotedPath): something in it is not a \(Self.type.kind) of \(Self.type.apiVersion)")
                }
                return Definition(name: name, object: object)
            }
        }
    }
}
