import Foundation
import Kubernetes
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign audit` as a process, against a cluster and against files.
@Suite struct AuditCommandTests {
    /// A configuration over an image layout with an image of each sort.
    private func withImages(
        _ body: (CommandFiles, [String: Descriptor]) async throws -> Void
    ) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let signers = try Signers.shared.get()
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        var images: [String: Descriptor] = [:]
        images["signed"] = try await app.push("signed", signedBy: signers.release)
        images["unsigned"] = try await app.push("unsigned", signedBy: nil)
        images["stranger"] = try await app.push("stranger", signedBy: signers.stranger)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(files.path("layout"))]
        files.directory.write(configuration.json.bytes, to: "config.json")
        try await body(files, images)
    }

    private func pod(
        _ name: String, _ namespace: String, _ images: [String], running: [Descriptor?] = [],
        owner: (kind: String, name: String)? = nil, labels: JSONObject = [:], phase: String = "Running"
    ) -> JSONObject {
        var metadata: JSONObject = [
            "name": .string(name), "namespace": .string(namespace), "labels": .object(labels),
        ]
        if let owner {
            metadata["ownerReferences"] = [
                ["kind": .string(owner.kind), "name": .string(owner.name), "controller": true]
            ]
        }
        let containers: [JSONValue] = images.enumerated().map { ["name": .string("c\($0)"), "image": .string($1)] }
        let statuses: [JSONValue] = running.enumerated().compactMap { index, image in
            image.map { ["name": .string("c\(index)"), "imageID": .string("registry.example/app@\($0.digest)")] }
        }
        return [
            "metadata": .object(metadata), "spec": ["containers": .array(containers)],
            "status": ["phase": .string(phase), "containerStatuses": .array(statuses)],
        ]
    }

    @Test func aClusterIsAuditedWithoutBeingChanged() async throws {
        try await withImages { files, images in
            let cluster = try await KubernetesEmulator.start()
            cluster.add(token: "auditor", KubernetesEmulator.User("auditor"))
            let kubeconfig = try cluster.writeKubeconfig(to: files.path("kubeconfig"), token: "auditor")
            for name in ["shop", "kube-system"] {
                cluster.put(
                    .namespace, ["metadata": ["name": .string(name), "labels": ["team": .string("t-\(name)")]]])
            }
            for replica in 1...3 {
                cluster.put(
                    .pod,
                    pod(
                        "web-5d9-\(replica)", "shop", ["registry.example/app:signed", "registry.example/app:unsigned"],
                        running: [images["signed"], images["unsigned"]], owner: ("ReplicaSet", "web-5d9"),
                        labels: ["pod-template-hash": "5d9"]))
            }
            cluster.put(.pod, pod("lonely", "shop", ["registry.example/app:stranger"], labels: ["team": "blue"]))
            // The name has another image now than the one that runs.
            cluster.put(.pod, pod("old", "kube-system", ["registry.example/app:signed"], running: [images["unsigned"]]))
            cluster.put(.pod, pod("over", "shop", ["registry.example/app:gone"], phase: "Succeeded"))
            let before = cluster.objects(.pod)

            let common = ["audit", "-c", files.path("config.json"), "--kubeconfig", kubeconfig]
            let outcome = try await Command.run(common + ["--owner-label", "team", "--output", "json"])
            #expect(outcome.status == 1, "\(outcome)")
            let json = outcome.json
            #expect(
                json["summary"] == [
                    "images": 3, "admitted": 1, "denied": 2, "undetermined": 0, "deniedWorkloads": 2,
                    "isComplete": true,
                ])
            let found = try #require(json["images"]?.array)
            #expect(
                found.compactMap { $0["image"]?.string } == [
                    "registry.example/app:stranger", "registry.example/app:unsigned", "registry.example/app:signed",
                ])
            #expect(found[0]["uses"]?.array?.first?["owner"] == "blue")
            #expect(found[1]["reason"]?.string?.contains("no signature is associated") == true)
            #expect(found[1]["uses"]?.array?.count == 1, "three replicas of a Deployment are one use")
            #expect(found[1]["uses"]?.array?.first?["kind"] == "Deployment")
            #expect(found[1]["uses"]?.array?.first?["name"] == "web")
            #expect(found[1]["uses"]?.array?.first?["owner"] == "t-shop")
            #expect(found[2]["signer"] == "CN=release,O=Countersign Tests,ST=WA,C=US")
            #expect(found[2]["digest"]?.string == images["signed"]?.digest.description)
            #expect(found[2]["tagHasMoved"] == true)
            #expect(json["certificates"]?.array?.first?["subject"]?.string?.contains("release root") == true)

            let one = try await Command.run(common + ["--namespace", "kube-system"])
            #expect(one.status == 0, "\(one)")
            #expect(one.output.contains("ADMIT") && one.output.contains("Pod kube-system/old (c0)"))
            #expect(one.output.contains("what runs has another digest"))
            let page = try await Command.run(common + ["--exclude-namespace", "kube-system", "--output", "html"])
            #expect(page.status == 1)
            #expect(page.output.hasPrefix("<!DOCTYPE html>") && page.output.hasSuffix("</html>\n"))
            #expect(page.output.contains("Would be denied") && page.output.contains("Deployment shop/web (c1)"))
            #expect(!page.output.contains("kube-system") && !page.output.contains("<script"))

            let nowhere = try await Command.run(common + ["--namespace", "typo"])
            #expect(nowhere.status == 2, "\(nowhere)")
            #expect(nowhere.errors.contains("typo"))
            #expect(cluster.objects(.pod) == before)
            #expect(cluster.requests.allSatisfy { $0.method == "GET" })

            cluster.forbid { _, type, _ in type == .pod }
            let forbidden = try await Command.run(common)
            #expect(forbidden.status == 2 && forbidden.errors.contains("grant this"), "\(forbidden)")
            await cluster.stop()
            let down = try await Command.run(common + ["--timeout", "2"])
            #expect(down.status == 3, "\(down)")
        }
    }

    @Test(
        "An audit of a cluster says when what Gatekeeper does not answer is admitted",
        arguments: [
            ("Ignore", true), (nil, true), ("ignore", true), ("Fail", false),
        ] as [(String?, Bool)])
    func theFailurePolicyOfGatekeepersWebhook(policy: String?, warns: Bool) async throws {
        try await withImages { files, _ in
            let cluster = try await KubernetesEmulator.start()
            cluster.add(token: "auditor", KubernetesEmulator.User("auditor"))
            let kubeconfig = try cluster.writeKubeconfig(to: files.path("kubeconfig"), token: "auditor")
            cluster.put(.pod, pod("web", "shop", ["registry.example/app:signed"]))
            var webhook: JSONObject = ["name": "validation.gatekeeper.sh", "timeoutSeconds": 3]
            webhook["failurePolicy"] = policy.map(JSONValue.string)
            cluster.put(
                .validatingWebhookConfiguration,
                [
                    "metadata": ["name": "gatekeeper-validating-webhook-configuration"],
                    "webhooks": [
                        ["name": "check-ignore-label.gatekeeper.sh", "failurePolicy": "Ignore"], .object(webhook),
                    ],
                ])
            let arguments = ["audit", "-c", files.path("config.json"), "--kubeconfig", kubeconfig]
            let table = try await Command.run(arguments)
            #expect(table.status == 0, "\(table)")
            #expect(table.output.contains("WARNING failurePolicy of the webhook validation.gatekeeper.sh") == warns)
            #expect(table.output.contains("not answer within 3 s") == warns)
            #expect(table.output.contains("--set validatingWebhookFailurePolicy=Fail") == warns)
            #expect(
                table.output.contains(
                    "kubectl patch validatingwebhookconfiguration gatekeeper-validating-webhook-configuration "
                        + "--type=json -p '[{\"op\":\"add\",\"path\":\"/webhooks/1/failurePolicy\",\"value\":\"Fail\"}]'"
                )
                    == warns)
            let json = try await Command.run(arguments + ["--output", "json"])
            #expect(json.json["warnings"]?.array?.count == (warns ? 1 : 0))
            let page = try await Command.run(arguments + ["--output", "html"])
            #expect(page.output.contains("<h2>Admitted all the same</h2>") == warns)
            await cluster.stop()
        }
    }

    @Test func aWebhookThatIsMissingOrMayNotBeReadIsTold() async throws {
        try await withImages { files, _ in
            let cluster = try await KubernetesEmulator.start()
            cluster.add(token: "auditor", KubernetesEmulator.User("auditor"))
            let kubeconfig = try cluster.writeKubeconfig(to: files.path("kubeconfig"), token: "auditor")
            cluster.put(.pod, pod("web", "shop", ["registry.example/app:signed"]))
            files.directory.write(
                "{kind: Pod, metadata: {name: m}, spec: {containers: [{name: c, image: registry.example/app:signed}]}}",
                to: "pod.yaml")
            let arguments = ["audit", "-c", files.path("config.json"), "--kubeconfig", kubeconfig]
            let missing = try await Command.run(arguments)
            #expect(missing.status == 0, "\(missing)")
            #expect(missing.output.contains("WARNING there is no webhook validation.gatekeeper.sh in the cluster"))
            cluster.forbid { _, type, _ in type == .validatingWebhookConfiguration }
            let forbidden = try await Command.run(arguments)
            #expect(forbidden.status == 0, "\(forbidden)")
            #expect(forbidden.output.contains("WARNING whether unverified images are kept out"))
            #expect(forbidden.output.contains("list of validatingwebhookconfigurations"))
            let manifest = try await Command.run(
                ["audit", "-c", files.path("config.json"), "--manifests", files.path("pod.yaml")])
            #expect(manifest.status == 0 && !manifest.output.contains("WARNING"), "\(manifest)")
            await cluster.stop()
        }
    }

    @Test func customResourcesOfTheClusterJudge() async throws {
        try await withImages { files, _ in
            let cluster = try await ResourceCluster()
            let kubeconfig = try cluster.api.writeKubeconfig(to: files.path("kubeconfig"))
            try cluster.applyAll()
            cluster.delete(.store, "store-oras")
            cluster.apply(
                .store, "images", ["name": "oci-layout", "parameters": ["path": .string(files.path("layout"))]])
            cluster.api.put(
                .pod, pod("web", "shop", ["registry.example/app:signed", "registry.example/app:unsigned"]))
            let common = ["audit", "--kubeconfig", kubeconfig, "--output", "json"]
            let outcome = try await Command.run(common)
            #expect(outcome.status == 1, "\(outcome)")
            #expect(outcome.json["summary"]?["admitted"] == 1 && outcome.json["summary"]?["denied"] == 1)
            #expect(outcome.json["configuration"]?.string?.contains("custom resources") == true)
            #expect(outcome.json["certificates"]?.array?.isEmpty == false)
            #expect(cluster.api.requests.allSatisfy { $0.method == "GET" }, "no status is written")

            cluster.delete(.verifier, "verifier-notation")
            let nobody = try await Command.run(common + ["--timeout", "2"])
            #expect(nobody.status == 3 && nobody.json["summary"]?["admitted"] == 0, "\(nobody)")
            await cluster.api.stop()
        }
    }

    @Test func manifestsAreAuditedAndGapsAreTold() async throws {
        try await withImages { files, _ in
            func manifest(_ image: String) -> String {
                """
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: web, namespace: shop}
                spec:
                  template:
                    spec:
                      containers: [{name: app, image: "\(image)"}]
                """
            }
            let common = ["audit", "-c", files.path("config.json"), "--manifests", files.path("deploy")]
            files.directory.write(manifest("registry.example/app:signed"), to: "deploy/a.yaml")
            let good = try await Command.run(common)
            #expect(good.status == 0, "\(good)")
            #expect(good.output.contains("1 would be admitted") && good.output.contains("deploy/a.yaml"))

            files.directory.write("{{ .Values.x }}: [", to: "deploy/template.yaml")
            let gap = try await Command.run(common)
            #expect(gap.status == 3, "\(gap)")
            #expect(gap.output.contains("NOT LOOKED AT") && gap.output.contains("template.yaml"))

            files.directory.write(manifest("not an image"), to: "deploy/b.yaml")
            let bad = try await Command.run(common + ["--output", "json"])
            #expect(bad.status == 1, "\(bad)")
            #expect(bad.json["summary"]?["denied"] == 1 && bad.json["summary"]?["isComplete"] == false)
        }
    }

    @Test func aFaultIsNoVerdict() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        files.directory.write(
            #"{"kind":"Pod","spec":{"containers":[{"name":"c","image":"127.0.0.1:1/app:v1"}]}}"#, to: "pod.json")
        let outcome = try await Command.run(
            "audit", "-c", files.path("config.json"), "-f", files.path("pod.json"), "--timeout", "3")
        #expect(outcome.status == 3, "\(outcome)")
        #expect(outcome.output.contains("UNKNOWN") && outcome.output.contains("127.0.0.1:1"))
    }
}
