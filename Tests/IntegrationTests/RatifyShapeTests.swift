import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// The value's members, in name and type, as a real Ratify v1.4.4 was observed to answer the same requests: templates
/// and dashboards read them.
@Suite struct RatifyShapeTests {
    /// Members of a value that Ratify had in every answer.
    private static let value = [
        "version": "a string", "isSuccess": "a Boolean", "traceID": "a string", "timestamp": "a string",
        "verifierReports": "an array",
    ]
    /// Members of a report on a signature.
    private static let signature = [
        "subject": "a string", "isSuccess": "a Boolean", "name": "a string", "verifierName": "a string",
        "referenceDigest": "a string", "artifactType": "a string", "message": "a string",
    ]
    /// Members of a report on an image as a whole: no verifier came to see it.
    private static let image = [
        "subject": "a string", "isSuccess": "a Boolean", "message": "a string", "errorReason": "a string",
    ]
    /// Members that ours has besides: Ratify writes them in other reports.
    private static let additions: Set = ["type", "verifierType", "remediation", "errorReason", "extensions"]

    struct Observation: Sendable, CustomTestStringConvertible {
        let name: String
        let isSuccess: Bool
        /// The reports in their order: of which kind, and whether it was a success.
        let reports: [(isOfSignature: Bool, isSuccess: Bool)]

        var testDescription: String { name }
    }

    private static let observations = [
        Observation(name: "signed", isSuccess: true, reports: [(true, true)]),
        Observation(name: "cose", isSuccess: true, reports: [(true, true)]),
        Observation(name: "unsigned", isSuccess: false, reports: [(false, false)]),
        Observation(name: "untrusted", isSuccess: false, reports: [(true, false)]),
        Observation(name: "both", isSuccess: true, reports: [(true, false), (true, true)]),
        Observation(name: "wrong", isSuccess: false, reports: [(true, false)]),
        Observation(name: "nosuch", isSuccess: false, reports: [(false, false)]),
    ]

    private func push(_ name: String, to repository: Repository) async throws {
        guard name != "nosuch" else { return }
        let signers = try Signers.shared.get()
        let image = try await repository.push("v1", content: name)
        let (reference, destination) = (repository.reference, repository.destination)
        switch name {
        case "signed": try await signers.release.sign(image, in: reference, at: destination)
        case "cose": try await signers.release.sign(image, in: reference, at: destination, .cose)
        case "untrusted": try await signers.stranger.sign(image, in: reference, at: destination)
        case "both":
            try await signers.stranger.sign(image, in: reference, at: destination)
            try await signers.release.sign(image, in: reference, at: destination)
        case "wrong":
            // A good signature of another image, pushed as if it were this one's.
            let other = try await repository.push("other", content: "other")
            let signature = try await signers.release.sign(other, in: reference, at: destination)
            let content = try await destination.manifest(
                signature, in: reference, deadline: .now + .seconds(30))
            let layer = try Manifest(parsing: content, mediaType: MediaType.ociManifest).layers[0]
            let envelope = try await destination.blob(
                layer, in: reference, maximumBytes: 1 << 20, deadline: .now + .seconds(30))
            try await TestSigner.push(envelope, layer.mediaType, for: image, in: reference, at: destination)
        default: break
        }
    }

    private func types(_ value: JSONValue) -> [String: String] {
        Dictionary(uniqueKeysWithValues: (value.object?.members ?? []).map { ($0.name, $0.value.kind) })
    }

    @Test(arguments: observations)
    func hasRatifysMembers(observation: Observation) async throws {
        try await withRegistry { registry in
            let repository = try Repository("\(registry.endpoint)/\(observation.name)")
            try await push(observation.name, to: repository)
            try await withService(try .trustingRelease()) { service in
                let key = repository.name("v1")
                let answer = try await service.verify(key)
                let value = try #require(answer.value())
                #expect(types(value) == Self.value)
                #expect(value["version"] == "0.2.0")
                #expect(value["isSuccess"]?.bool == observation.isSuccess, "\(answer)")
                let reports = answer.reports()
                #expect(reports.map { $0["isSuccess"]?.bool } == observation.reports.map(\.isSuccess))
                for (report, expected) in zip(reports, observation.reports) {
                    let (members, observed) = (types(report), expected.isOfSignature ? Self.signature : Self.image)
                    for (name, type) in observed { #expect(members[name] == type, "\(name): \(answer)") }
                    #expect(Set(members.keys).subtracting(observed.keys).isSubset(of: Self.additions), "\(answer)")
                    #expect(report["subject"]?.string == key)
                    guard expected.isOfSignature else { continue }
                    #expect(report["name"] == "notation" && report["verifierName"] == "notation")
                    #expect(report["artifactType"]?.string == MediaType.notationSignature)
                    if expected.isSuccess {
                        #expect(report["message"] == "Notation signature verification success")
                        // RFC 2253, as Go prints names.
                        #expect(
                            report["extensions"]?["SN"] == "CN=release,O=Countersign Tests,ST=WA,C=US", "\(answer)")
                        #expect(
                            report["extensions"]?["Issuer"] == "CN=release issuing,O=Countersign Tests,ST=WA,C=US")
                    } else {
                        #expect(report["errorReason"]?.string?.isEmpty == false)
                    }
                }
            }
        }
    }
}
