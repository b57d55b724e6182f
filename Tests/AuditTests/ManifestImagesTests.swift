import Foundation
import TestSupport
import Testing

@testable import Audit

@Suite struct ManifestImagesTests {
    private func inventory(
        _ files: [String: String], paths: [String] = [""], namespaces: Set<String> = [], excluded: Set<String> = []
    ) throws -> ImageInventory {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        for (name, text) in files { directory.write(text, to: name) }
        var inventory = ImageInventory()
        ManifestImages(
            paths: paths.map { $0.isEmpty ? directory.path : directory.path($0) }, namespaces: namespaces,
            excluded: excluded, ownerLabel: "team"
        ).collect(into: &inventory)
        return inventory
    }

    @Test func everyKindThatRunsPodsIsLookedInto() throws {
        let template = "template:\n    spec:\n      containers:\n      - {name: app, image: example.com/"
        var text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {team: red}}\nspec:\n"
        text += "  initContainers: [{name: init, image: example.com/init:1}]\n"
        text += "  containers: [{name: app, image: example.com/pod:1}]\n"
        text += "  ephemeralContainers: [{name: debug, image: example.com/debug:1}]\n"
        text += "  volumes: [{name: model, image: {reference: example.com/model:1}}, {name: tmp, emptyDir: {}}]\n"
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Rollout"] {
            text += "---\nkind: \(kind)\nmetadata: {name: x}\nspec:\n  \(template)\(kind.lowercased()):1}\n"
        }
        text += "---\nkind: CronJob\nmetadata: {name: x}\nspec:\n  jobTemplate:\n   spec:\n    template:\n     spec:\n"
        text += "      containers: [{name: app, image: 'example.com/cronjob:1'}]\n"
        text +=
            "---\nkind: PodTemplate\nmetadata: {name: x}\ntemplate: {spec: {containers: [{image: e.com/template:1}]}}\n"
        text += "---\nkind: ConfigMap\ndata: {image: example.com/none}\n---\n"
        let found = try inventory(["all.yaml": text])
        #expect(found.gaps.isEmpty)
        #expect(
            found.images.map(\.reference) == [
                "example.com/init:1", "example.com/pod:1", "example.com/debug:1", "example.com/model:1",
                "example.com/deployment:1", "example.com/statefulset:1", "example.com/daemonset:1",
                "example.com/replicaset:1", "example.com/job:1", "example.com/rollout:1", "example.com/cronjob:1",
                "e.com/template:1",
            ])
        let use = try #require(found.images[1].uses.first)
        #expect(use.namespace == "shop" && use.kind == "Pod" && use.name == "web" && use.owner == "red")
        #expect(found.images[3].uses.first?.container == "volume model")
        #expect(found.images[4].uses.first?.namespace == "default")
    }

    @Test func listsAndDirectoriesAreWalked() throws {
        let pod = #"{"kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"e.com/a:1"}]}}"#
        let found = try inventory([
            "a/list.json": #"{"kind":"List","items":[\#(pod),\#(pod)]}"#, "b/c/pod.yml": pod, "notes.txt": "kind: Pod",
        ])
        #expect(found.images.count == 1)
        // Twice the same in one file is one use, another file another one.
        #expect(found.images.first?.uses.count == 2)
    }

    @Test func whatCannotBeReadIsAGapAndNeverPassedOver() throws {
        let found = try inventory(
            [
                "helm.yaml": "image: {{ .Values.image }}\n---\n{{- if x }}",
                "odd.yaml": "kind: Pod\nmetadata: {name: odd}\nspec: {containers: [{name: c}, {name: d, image: 7}]}",
                "list.yaml": "kind: Pod\nmetadata: {name: text}\nspec: {containers: none, volumes: {a: b}}",
                "bare.yaml": "kind: CronJob\nmetadata: {name: bare}\nspec: {jobTemplate: {}}",
            ], paths: ["", "missing"])
        #expect(found.images.isEmpty)
        let gaps = found.gaps.joined(separator: "\n")
        for words in [
            "helm.yaml", "container c names no image", "container d names no image", "containers is a string",
            "missing cannot be read", "volumes is an object", "a CronJob has no pod specification",
        ] { #expect(gaps.contains(words), "\(words) in \(gaps)") }
    }

    @Test func namespacesAreChosenAndLeftOut() throws {
        func pod(_ namespace: String) -> String {
            "kind: Pod\nmetadata: {name: p, namespace: \(namespace)}\nspec: {containers: [{name: c, image: \(namespace)}]}"
        }
        let files = ["a.yaml": pod("a"), "b.yaml": pod("b"), "c.yaml": pod("c")]
        #expect(try inventory(files, namespaces: ["a", "c"]).images.map(\.reference) == ["a", "c"])
        #expect(try inventory(files, excluded: ["a", "c"]).images.map(\.reference) == ["b"])
    }

    @Test func textOfStrangersIsHarmlessInAPage() {
        #expect(
            AuditPage.escaped("<script>alert('x')</script>\u{202E}&\"")
                == "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{FFFD}&amp;&quot;")
    }
}
