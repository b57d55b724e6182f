import Foundation
import Kubernetes
import StrictJSON
import Synchronization
import TestSupport
import Testing

@Suite struct KubernetesClientTests {
    @Test func objectsAreMadeReadChangedAndDeleted() async throws {
        try await withCluster { _, client in
            let made = try await client.create(.widget, widget("a"))
            #expect(made.generation == 1)
            #expect(made["metadata"]?["uid"] != nil)
            #expect(try await client.get(.widget, name: "a") == made)

            let patched = try await client.mergePatch(.widget, name: "a", ["spec": ["size": 2, "color": "red"]])
            #expect(patched["spec"] == ["size": 2, "color": "red"])
            #expect(patched.generation == 2)

            var changed = patched
            changed["spec"] = ["size": 3]
            #expect(try await client.replace(.widget, changed)["spec"] == ["size": 3])

            try await client.delete(.widget, name: "a")
            #expect(
                await failure { () throws(KubernetesError) in try await client.get(.widget, name: "a") }?.kind
                    == .notFound)
        }
    }

    @Test func aChangeOfAnOldVersionIsAConflict() async throws {
        try await withCluster { cluster, client in
            let first = try await client.create(.widget, widget("a"))
            cluster.put(.widget, widget("a", 5))
            let replaced = await failure { () throws(KubernetesError) in try await client.replace(.widget, first) }
            #expect(replaced?.kind == .conflict)
            #expect(replaced?.isTransient == true)
            let version = JSONValue.string(first.resourceVersion ?? "")
            let patched = await failure { () throws(KubernetesError) in
                try await client.mergePatch(
                    .widget, name: "a", ["metadata": ["resourceVersion": version], "spec": ["size": 9]])
            }
            #expect(patched?.kind == .conflict)
            #expect(cluster.object(.widget, "a")?["spec"] == ["size": 5])
            let again = await failure { () throws(KubernetesError) in try await client.create(.widget, widget("a")) }
            #expect(again?.kind == .alreadyExists)
        }
    }

    @Test func aStatusIsChangedAlone() async throws {
        try await withCluster { cluster, client in
            try await client.create(.widget, widget("a"))
            let patched = try await client.patchStatus(
                .widget, name: "a", ["status": ["isOK": true], "spec": ["size": 9]])
            #expect(patched["status"] == ["isOK": true])
            #expect(patched["spec"] == ["size": 1])
            #expect(patched.generation == 1)
            // And a change of the object leaves the status.
            let changed = try await client.mergePatch(
                .widget, name: "a", ["status": ["isOK": false], "spec": ["size": 2]])
            #expect(changed["status"] == ["isOK": true])
            // What changes nothing makes no version.
            let same = try await client.patchStatus(.widget, name: "a", ["status": ["isOK": true]])
            #expect(same.resourceVersion == changed.resourceVersion)
        }
    }

    @Test func listsComeInPagesOfOneMoment() async throws {
        try await withCluster({ $0.pageSize = 7 }) { cluster, client in
            for number in 0..<30 { cluster.put(.widget, widget("w\(number + 100)", Int64(number))) }
            var pages = 0
            let version = try await client.eachPage(.widget) { (page) throws(KubernetesError) in
                pages += 1
                #expect(page.count <= 7)
                // Changed between pages: not seen in this list.
                cluster.remove(.widget, "w129")
                cluster.put(.widget, widget("w0\(pages)"))
            }
            #expect(pages == 5)
            #expect(!version.isEmpty)
            let list = try await client.list(.widget)
            #expect(list.items.count == 34)
            #expect(list.items.allSatisfy { $0["kind"] == "Widget" })
        }
    }

    @Test func aListWhoseMomentIsForgottenBeginsAgain() async throws {
        try await withCluster({ $0.pageSize = 10 }) { cluster, client in
            for number in 0..<25 { cluster.put(.widget, widget("w\(number)")) }
            let requests = Mutex(0)
            cluster.inject(.status(410), count: 1) { request in
                request.query["continue"] != nil
                    && requests.withLock {
                        $0 += 1; return $0 == 1
                    }
            }
            let found = try await client.list(.widget).items
            #expect(found.count == 25)
            // Forgotten for real, in the middle.
            var pages = 0
            let error = await failure { () throws(KubernetesError) in
                try await client.eachPage(.widget) { (_) throws(KubernetesError) in
                    pages += 1
                    cluster.put(.widget, widget("x"))
                    cluster.compact()
                }
            }
            #expect(error?.kind == .gone)
            #expect(pages == 1)
        }
    }

    /// What is left out of a list counts as deleted: whatever says that there is more is an error when it does not say
    /// where.
    @Test(arguments: [
        #""continue":7"#, #""continue":{}"#, #""continue":true"#, #""continue":"","remainingItemCount":3"#,
        #""remainingItemCount":3"#, #""continue":null,"remainingItemCount":"3""#,
    ])
    func aListThatGoesOnNobodyKnowsWhereIsAnError(rest: String) async throws {
        try await withCluster { cluster, client in
            cluster.inject(
                .garbage(
                    #"{"kind":"WidgetList","items":[{"metadata":{"name":"a"}}],"metadata":{"resourceVersion":"5",\#(rest)}}"#
                ))
            let error = await failure { () throws(KubernetesError) in try await client.list(.widget) }
            #expect(error?.kind == .malformed, "\(String(describing: error))")
        }
    }

    @Test func aListThatLeadsBackIsAnError() async throws {
        try await withCluster { cluster, client in
            cluster.inject(.garbage(#"{"items":[],"metadata":{"resourceVersion":"5","continue":"again"}}"#))
            let error = await failure { () throws(KubernetesError) in try await client.list(.widget) }
            #expect(error?.kind == .malformed)
            #expect(cluster.requests.count == 2)
        }
    }

    @Test func pagesThatAreTooLargeAreAskedForInParts() async throws {
        try await withCluster({ $0.maximumResponseBytes = 100_000 }) { cluster, client in
            for number in 0..<20 {
                var object = widget("w\(number)")
                object["spec"] = ["text": .string(String(repeating: "x", count: 20_000))]
                cluster.put(.widget, object)
            }
            let found = try await client.list(.widget).items
            #expect(found.count == 20)
            cluster.put(
                .widget, ["metadata": ["name": "large"], "spec": .string(String(repeating: "x", count: 200_000))])
            let error = await failure { () throws(KubernetesError) in try await client.list(.widget) }
            #expect(error?.kind == .tooLarge)
        }
    }

    @Test func builtInTypesAndSelectorsAreListed() async throws {
        try await withCluster { cluster, client in
            cluster.put(.secret, ["metadata": ["name": "a", "namespace": "default", "labels": ["app": "x"]]])
            cluster.put(.secret, ["metadata": ["name": "b", "namespace": "kube-system"], "stringData": ["k": "v"]])
            let all = try await client.list(.secret).items
            #expect(all.map { $0.resourceKey?.description } == ["default/a", "kube-system/b"])
            #expect(all.allSatisfy { $0["kind"] == "Secret" && $0["apiVersion"] == "v1" })
            #expect(all.last?["data"] == ["k": "dg=="])
            #expect(try await client.list(.secret, .init(namespace: "default")).items.count == 1)
            #expect(try await client.list(.secret, .init(labels: "app=x")).items.count == 1)
            #expect(try await client.list(.secret, .init(name: "b")).items.count == 1)
            #expect(try await client.list(.secret, .init(name: "c")).items.isEmpty)
        }
    }

    @Test func errorsSayWhatWasAskedOfWhomAndWhatToDo() async throws {
        try await withCluster { cluster, _ in
            cluster.add(token: "a-token-1", .init("system:serviceaccount:default:visitor"))
            cluster.forbid { verb, type, _ in type == .secret && verb == "get" }
            let visitor = try KubernetesClient(cluster.configuration(token: "a-token-1"))
            let error = await failure { () throws(KubernetesError) in
                try await visitor.get(.secret, name: "pull", namespace: "team")
            }
            let text = error?.description ?? ""
            #expect(error?.kind == .forbidden)
            #expect(text.contains("GET secrets \"pull\" in namespace \"team\""))
            #expect(text.contains(visitor.host))
            #expect(text.contains("system:serviceaccount:default:visitor"))
            #expect(text.contains("ClusterRole"))
            await visitor.shutdown()
        }
    }

    @Test(arguments: ["", ".", "..", "a/b", "a%2fb", "a b"]) func namesThatLeadElsewhereAreNotSent(_ name: String)
        async throws
    {
        try await withCluster { cluster, client in
            let error = await failure { () throws(KubernetesError) in try await client.get(.widget, name: name) }
            #expect(error?.kind == .invalid)
            #expect(cluster.requests.isEmpty)
        }
    }

    @Test func transientFaultsAreTriedAgain() async throws {
        try await withCluster { cluster, client in
            cluster.put(.widget, widget("a"))
            cluster.inject(.status(500), count: 1)
            cluster.inject(.status(503), count: 1)
            cluster.inject(.reset, count: 1)
            #expect(try await client.get(.widget, name: "a").resourceKey?.name == "a")
            cluster.inject(.status(429, retryAfter: 1), count: 1)
            let start = ContinuousClock.now
            _ = try await client.get(.widget, name: "a")
            #expect(ContinuousClock.now - start >= .milliseconds(950))
            cluster.inject(.status(500))
            let error = await failure { () throws(KubernetesError) in try await client.get(.widget, name: "a") }
            #expect(error?.kind == .unavailable)
            #expect(error?.isTransient == true)
            #expect(error?.description.contains("status 500") == true)
        }
    }

    @Test func answersThatAreNotTheAPIAreRefused() async throws {
        try await withCluster { cluster, client in
            for text in ["", "hello", "[]", "{\"a\":1,\"a\":2}"] {
                cluster.inject(.garbage(text), count: 1)
                let error = await failure { () throws(KubernetesError) in try await client.get(.widget, name: "a") }
                #expect(error?.kind == .malformed, "\(text)")
            }
            for text in ["{}", "{\"items\":[]}", "{\"items\":[1],\"metadata\":{\"resourceVersion\":\"1\"}}"] {
                cluster.inject(.garbage(text), count: 1)
                let error = await failure { () throws(KubernetesError) in try await client.list(.widget) }
                #expect(error?.kind == .malformed, "\(text)")
            }
        }
    }

    @Test func theServerMustBeTheOneThatTheAuthorityVouchesFor() async throws {
        let other = try await KubernetesEmulator.start()
        try await withCluster { cluster, _ in
            var configuration = try cluster.configuration()
            configuration.authorities = .pem(Array(other.authorityPEM.utf8))
            let client = try KubernetesClient(configuration)
            let error = await failure { () throws(KubernetesError) in
                try await client.get(.widget, name: "a", deadline: .now + .milliseconds(500))
            }
            #expect(error?.kind == .unavailable)
            #expect(cluster.requests.isEmpty)
            await client.shutdown()
        }
        await other.stop()
    }
}
