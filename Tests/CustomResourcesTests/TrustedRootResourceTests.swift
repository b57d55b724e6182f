import Foundation
import KeyManagement
import StrictJSON
import TestSupport
import Testing
import YAML

@testable import CustomResources

/// KeyManagementProvider resources of type `sigstore`.
@Suite struct TrustedRootResourceTests {
    private static let root = #"""
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [],
         "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": []}
        """#

    private func resource(
        _ parameters: JSONValue, interval: String? = nil, in namespace: String? = nil
    ) throws -> CustomResource {
        var spec: JSONValue = ["type": "sigstore", "parameters": parameters]
        if let interval, var object = spec.object {
            object["refreshInterval"] = .string(interval)
            spec = .object(object)
        }
        return try Samples.resource(
            namespace == nil ? .keyManagementProvider : .namespacedKeyManagementProvider, "roots", spec,
            namespace: namespace)
    }

    @Test func isReadAndDescribed() throws {
        let resource = try self.resource(["trustedRoot": .string(Self.root)])
        let board = Samples.board(try Samples.cluster() + [resource])
        let report = board.report(on: resource.id)
        #expect(report.error == nil)
        let status = report.patch(over: [:])
        #expect(status["issuccess"] == true && status["lastfetchedtime"] != nil)
        let entry = try #require(status["properties"]?["TrustedRoot"]?.array?.first)
        #expect(entry["Source"] == "trustedRoot of the configuration")
        #expect(board.untriedProviders.isEmpty && board.warnings.isEmpty, "\(board.warnings)")
        #expect(board.providersInForce.count == 2)
    }

    /// What is wrong stands in the status, and what was there before stays in force.
    @Test func aWrongOneSaysSo() throws {
        var board = Samples.board([try resource(["trustedRoot": .string(Self.root)])])
        let wrong = try resource(["trustedRoot": .string(String(Self.root.prefix(100)))])
        board.apply(wrong)
        let error = board.error(wrong.id)
        #expect(error.contains("spec.parameters.trustedRoot cannot be used"), "\(error)")
        #expect(error.hasSuffix("the version before it stays in force"), "\(error)")
        #expect(board.report(on: wrong.id).patch(over: [:])["issuccess"] == false)
        #expect(board.providersInForce.allSatisfy { $0.isReady })
    }

    @Test func theIntervalIsRead() throws {
        let resource = try self.resource(["instance": "public-good"], interval: "10s")
        let board = Samples.board([resource])
        #expect(board.error(resource.id).contains("refreshInterval is \"10s\": expected a duration"))
    }

    @Test func aNamespaceReadsNoFilesAndAsksNobody() throws {
        for parameters: JSONValue in [
            ["trustedRootFile": "/etc/root.json"], ["tufURL": "https://tuf.example.com"], ["stateDirectory": "/tmp"],
        ] {
            let resource = try self.resource(parameters, in: "team-a")
            let error = Samples.board([resource]).error(resource.id)
            #expect(error.contains("only a resource of the cluster may"), "\(error)")
        }
        let own = try resource(["trustedRoot": .string(Self.root)], in: "team-a")
        let board = Samples.board([own])
        #expect(board.error(own.id).isEmpty && board.providersInForce.count == 1)
    }

    /// The sample, with a trusted root where it says that one must be put.
    @Test func theSampleLoads() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "manifests/samples/cosign.yaml")
        let objects = try YAML.parse(Array(try Data(contentsOf: file)))
        var interval: String?
        var count = 0
        for object in objects where object["spec"]?["type"] == "sigstore" {
            let name = try #require(object["metadata"]?["name"]?.string)
            var spec = try #require(object["spec"]?.object)
            if spec["parameters"]?["trustedRoot"] != nil {
                spec["parameters"] = ["trustedRoot": .string(Self.root)]
            } else {
                // Not to ask anybody from here.
                interval = spec["refreshInterval"]?.string
                spec["parameters"] = [
                    "instance": try #require(spec["parameters"]?["instance"]), "tufURL": "http://127.0.0.1:1/",
                ]
            }
            let resource = try Samples.resource(.keyManagementProvider, name, .object(spec))
            let board = Samples.board([resource])
            let provider = try #require(board.providersInForce.first, "\(board.error(resource.id))")
            #expect(provider.isReady && board.warnings.isEmpty, "\(name): \(board.warnings)")
            count += 1
        }
        #expect(count == 2 && interval == "24h")
    }
}
