import StrictJSON
import Testing

@testable import Kyverno

@Suite struct KyvernoRequestTests {
    private func parse(_ text: String, maximum: Int = 100) throws -> KyvernoRequest {
        try KyvernoRequest(body: Array(text.utf8), maximumImages: maximum)
    }

    private func problem(_ text: String) -> String {
        do {
            _ = try parse(text)
            return "accepted"
        } catch { return "\(error)" }
    }

    @Test func kyvernosVariable() throws {
        let digest = "sha256:" + String(repeating: "a", count: 64)
        let request = try parse(
            """
            {"images": {"containers": {"app": {"registry": "ghcr.io", "path": "org/app", "name": "app", "tag": "v1",
              "reference": "ghcr.io/org/app:v1", "referenceWithTag": "ghcr.io/org/app:v1",
              "jsonPointer": "/spec/containers/0/image"}},
             "initContainers": {"setup": {"registry": "localhost:5000", "path": "setup", "name": "setup",
              "digest": "\(digest)", "jsonPointer": "/spec/initContainers/0/image"}}}}
            """)
        #expect(
            request.images == [
                KyvernoImage(
                    type: "containers", container: "app", text: "ghcr.io/org/app:v1",
                    pointer: "/spec/containers/0/image"),
                KyvernoImage(
                    type: "initContainers", container: "setup", text: "localhost:5000/setup@\(digest)",
                    pointer: "/spec/initContainers/0/image"),
            ])
        #expect(request.isRequired && !request.mutatesDigest && !request.verifiesDigest)
    }

    @Test(arguments: [
        ("Pod", #"{"spec": SPEC}"#, "/spec"),
        ("Deployment", #"{"spec": {"template": {"spec": SPEC}}}"#, "/spec/template/spec"),
        (
            "CronJob", #"{"spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}"#,
            "/spec/jobTemplate/spec/template/spec"
        ), ("PodTemplate", #"{"template": {"spec": SPEC}}"#, "/template/spec"),
    ])
    func imagesOfWorkloads(_ kind: String, _ resource: String, _ path: String) throws {
        let specification = """
            {"initContainers": [{"name": "i", "image": "init"}], "containers": [{"name": "a", "image": "one"},
             {"name": "b", "image": "two"}], "ephemeralContainers": [{"name": "e", "image": "debug"}],
             "volumes": [{"name": "v", "image": {"reference": "data:v1"}}, {"name": "w", "emptyDir": {}}]}
            """
        let request = try parse(
            #"{"resource": RESOURCE}"#.replacing("RESOURCE", with: resource).replacing("SPEC", with: specification))
        #expect(request.images.map(\.text) == ["init", "one", "two", "debug", "data:v1"])
        #expect(
            request.images.map(\.pointer) == [
                "\(path)/initContainers/0/image", "\(path)/containers/0/image", "\(path)/containers/1/image",
                "\(path)/ephemeralContainers/0/image", "\(path)/volumes/0/image/reference",
            ])
        #expect(request.images.map(\.container) == ["i", "a", "b", "e", "v"])
    }

    @Test func whatTheNodePullsCountsNotWhatKyvernoWrites() throws {
        let request = try parse(
            """
            {"resource": {"spec": {"containers": [{"name": "app", "image": "nginx"}]}},
             "images": {"containers": {"app": {"registry": "mirror.example", "path": "nginx", "tag": "latest",
               "jsonPointer": "/spec/containers/0/image"}},
              "custom": {"x": {"registry": "ghcr.io", "path": "x", "tag": "v1", "jsonPointer": "/spec/x"}}}}
            """)
        #expect(request.images.map(\.text) == ["nginx", "ghcr.io/x:v1"])
    }

    @Test func plainReferences() throws {
        let request = try parse(#"{"images": ["a", "b:v1"], "namespace": "team-a", "mutateDigest": true}"#)
        #expect(request.images == [KyvernoImage(text: "a"), KyvernoImage(text: "b:v1")])
        #expect(request.namespace == "team-a" && request.mutatesDigest)
    }

    @Test(arguments: [
        ("", "not JSON"), ("[]", "an array, expected an object"), ("{}", "neither resource nor images"),
        (#"{"images": {}}"#, "no image"), (#"{"images": {"containers": {}}}"#, "no image"),
        (#"{"images": []}"#, "no image"),
        (#"{"images": null}"#, "images is null"), (#"{"images": "nginx"}"#, "images is a string"),
        (#"{"images": [1]}"#, "holds a number"), (#"{"images": {"containers": []}}"#, "images.containers is an array"),
        (#"{"images": {"containers": {"a": "nginx"}}}"#, "images.containers.a is a string"),
        (#"{"images": {"containers": {"a": {"registry": "ghcr.io"}}}}"#, "has no path"),
        (#"{"images": {"containers": {"a": {"path": 1}}}}"#, "path is a number"),
        (#"{"resource": null}"#, "a request to delete"), (#"{"resource": {"spec": {}}}"#, "no image"),
        (#"{"resource": {"spec": {"containers": {}}}}"#, "containers is an object"),
        (#"{"resource": {"spec": {"containers": ["a"]}}}"#, "holds a string"),
        (#"{"resource": {"spec": {"containers": [{"image": 1}]}}}"#, "image is a number"),
        (#"{"images": ["a"], "images": ["b"]}"#, "not JSON"),
        (#"{"images": ["a"], "imageReference": ["b"]}"#, "\"imageReference\" is not known"),
        (#"{"images": ["a"], "imageReferences": []}"#, "imageReferences is empty"),
        (#"{"images": ["a"], "imageReferences": null}"#, "not an array of strings"),
        (#"{"images": ["a"], "imageReferences": "ghcr.io/*"}"#, "not an array of strings"),
        (#"{"images": ["a"], "required": "false"}"#, "required is a string"),
        (#"{"images": ["a"], "verifyDigest": null}"#, "verifyDigest is null"),
        (#"{"images": ["a"], "namespace": 1}"#, "namespace is a number"),
        (#"{"images": ["a"], "attestors": []}"#, "attestors is empty"),
        (#"{"images": ["a"], "attestors": null}"#, "attestors is null"),
    ])
    func whatIsNotUnderstood(_ text: String, _ expected: String) {
        #expect(problem(text).contains(expected), "\(problem(text))")
    }

    @Test func tooManyImages() {
        #expect(throws: KyvernoRequestError.self) { try parse(#"{"images": ["a", "b", "c"]}"#, maximum: 2) }
    }

    @Test func anImageDoesNotChooseItsNamespace() throws {
        #expect(throws: (any Error).self) { try KyvernoImage(text: "[team-b]app").key(namespace: nil) }
        #expect(throws: (any Error).self) { try KyvernoImage(text: "[team-b]app").key(namespace: "team-a") }
        #expect(try KyvernoImage(text: " app ").key(namespace: "team-a").namespace == "team-a")
        #expect(try KyvernoImage(text: "[::1]:5000/app").key(namespace: nil).namespace == nil)
    }
}
