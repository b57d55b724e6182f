import Foundation
import StrictJSON
import TestSupport
import Testing

@testable import Notation

@Suite struct JWSEnvelopeTests {
    let forge: EnvelopeForge

    init() throws { forge = try EnvelopeForge() }

    private func refusal(_ envelope: [UInt8]) async throws -> String? { try await forge.refusal(envelope, .jws) }

    @Test func good() async throws {
        #expect(try await refusal(forge.jws()) == nil)
        #expect(try await refusal(forge.jws(header: { $0["unknown"] = "x" })) == nil)
        #expect(try await refusal(forge.jws(unprotected: { $0["unknown"] = ["x"] })) == nil)
        #expect(try await refusal(forge.jws(envelope: { $0["unknown"] = .null })) == nil)
        #expect(try await refusal(forge.jws(header: { $0[NotaryName.expiry] = .null })) == nil)
        #expect(try await refusal(forge.jws(header: { $0[NotaryName.authenticSigningTime] = .null })) == nil)
    }

    /// Names in another case: a reader that folds case would see another header.
    @Test(arguments: [
        "IO.CNCF.NOTARY.EXPIRY", "io.cncf.notary.Expiry", "io.cncf.notary.\u{17F}igningTime", "ALG", "Crit",
        "io.cncf.notary.authenticsigningtime",
    ])
    func caseVariantsInTheProtectedHeader(_ name: String) async throws {
        let found = try await refusal(forge.jws(header: { $0[name] = "2020-01-01T00:00:00Z" }))
        #expect(found?.contains("in another case") == true)
    }

    /// What a signing authority states of a time to come is not believed: a certificate that is valid only then does
    /// not count.
    @Test func authenticTimesToCome() async throws {
        let trustStore = try InMemoryTrustStore([
            TrustStoreName(.signingAuthority, "main"): [forge.fixture.root.root]
        ])
        let statement = try forge.fixture.statement(stores: ["signingAuthority:main"])
        for (ahead, isGood) in [(-60.0, true), (60, true), (3_600, false)] {
            let time = RFC3339.text(SigningFixture.now.addingTimeInterval(ahead))
            let envelope = try forge.jws(header: { header in
                header[NotaryName.signingTime] = nil
                header[NotaryName.signingScheme] = "notary.x509.signingAuthority"
                header[NotaryName.authenticSigningTime] = .string(time)
                header["crit"] = [.string(NotaryName.signingScheme), .string(NotaryName.authenticSigningTime)]
            })
            let outcome = try await forge.fixture.verify(
                envelope, statement: statement, now: SigningFixture.now, trustStore: trustStore)
            #expect(outcome.isVerified == isGood, "\(outcome.refusal?.description ?? "")")
            let reason = outcome[.authenticTimestamp]?.message ?? ""
            #expect(isGood || reason.contains("a time to come"), "\(reason)")
        }
    }

    @Test func caseVariantsElsewhere() async throws {
        #expect(try await refusal(forge.jws(envelope: { $0["Payload"] = "AAAA" })) != nil)
        #expect(try await refusal(forge.jws(unprotected: { $0["X5C"] = [] })) != nil)
        let payload = #"{"TARGETARTIFACT":{},"targetArtifact":{}}"#
        #expect(try await refusal(forge.jws(payload: Array(payload.utf8)))?.contains("in another case") == true)
    }

    /// The reference takes 5000 arrays in each other.
    @Test(arguments: [(60, true), (70, false), (5_000, false)])
    func nesting(depth: Int, isGood: Bool) async throws {
        let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let text = JSONValue.object(forge.jwsHeader).text.dropLast() + ",\"x\":\(nested)}"
        let reason = try await refusal(forge.jws(text: String(text)))
        #expect((reason == nil) == isGood && (isGood || reason?.contains("nested deeper than 64") == true))
    }

    @Test func duplicateNames() async throws {
        let text = JSONValue.object(forge.jwsHeader).text
        let twice = text.dropLast() + #","alg":"ES256"}"#
        #expect(try await refusal(forge.jws(text: String(twice)))?.contains("occurs twice") == true)
    }

    /// Members that replace or join those of a good protected header, and what the reason must say.
    static let wrongHeaders: [(changes: String, reason: String)] = [
        (#"{"crit":[]}"#, "crit"), (#"{"crit":null}"#, "crit"), (#"{"crit":"x"}"#, "crit"), (#"{"crit":[1]}"#, "crit"),
        (#"{"crit":["io.cncf.notary.signingTime"]}"#, "may not be named"),
        (#"{"crit":["io.cncf.notary.signingScheme","alg"]}"#, "may not be named"),
        (#"{"crit":["io.cncf.notary.signingScheme","io.cncf.notary.signingScheme"]}"#, "twice"),
        (#"{"crit":["io.cncf.notary.signingScheme","absent"]}"#, "absent"),
        (#"{"io.cncf.notary.expiry":"2049-01-01T00:00:00Z"}"#, "not marked critical"),
        (#"{"crit":["io.cncf.notary.signingScheme","x"],"x":1}"#, "not known here"),
        (#"{"crit":["io.cncf.notary.signingScheme","b64"],"b64":false}"#, "not known here"),
        (
            #"{"crit":["io.cncf.notary.signingScheme","io.cncf.notary.verificationPlugin"],"#
                + #""io.cncf.notary.verificationPlugin":"com.example.plugin"}"#, "com.example.plugin"
        ),
        (#"{"io.cncf.notary.verificationPlugin":"com.example.plugin"}"#, "com.example.plugin"),
        (#"{"io.cncf.notary.verificationPlugin":""}"#, "plugin"),
        (#"{"io.cncf.notary.verificationPluginMinVersion":"1.0.0"}"#, "plugin"),
        (#"{"alg":"none"}"#, "not supported"), (#"{"alg":"HS256"}"#, "not supported"),
        (#"{"alg":"es256"}"#, "not supported"), (#"{"alg":"RS256"}"#, "not supported"),
        (#"{"alg":"ES384"}"#, "signs with ES256"), (#"{"alg":"PS256"}"#, "signs with ES256"),
        (#"{"cty":"application/json"}"#, "not supported"),
        (#"{"io.cncf.notary.signingScheme":"notary.x509.other"}"#, "not supported"),
        (#"{"io.cncf.notary.signingTime":null}"#, "missing"), (#"{"io.cncf.notary.signingTime":5}"#, "RFC 3339"),
        (#"{"io.cncf.notary.signingTime":"0001-01-01T00:00:00Z"}"#, "missing"),
        (#"{"io.cncf.notary.authenticSigningTime":"2026-01-01T00:00:00Z"}"#, "may not be there"),
        (#"{"io.cncf.notary.signingScheme":"notary.x509.signingAuthority"}"#, "may not be there"),
        (
            #"{"crit":["io.cncf.notary.signingScheme","io.cncf.notary.expiry"],"#
                + #""io.cncf.notary.expiry":"2020-01-01T00:00:00Z"}"#, "not after the signing time"
        ),
    ]

    @Test(arguments: wrongHeaders)
    func headers(_ text: String, _ reason: String) async throws {
        let changes = try #require(try StrictJSON.parse(text.utf8).object)
        let found = try await refusal(
            forge.jws(header: { header in for member in changes.members { header[member.name] = member.value } }))
        #expect(found?.contains(reason) == true, "\(found ?? "passed")")
    }

    @Test(arguments: ["alg", "cty", "crit", "io.cncf.notary.signingScheme", "io.cncf.notary.signingTime"])
    func missingHeaders(_ name: String) async throws {
        #expect(try await refusal(forge.jws(header: { $0[name] = nil })) != nil)
    }

    @Test(arguments: ["payload", "protected", "header", "signature"])
    func missingMembers(_ name: String) async throws {
        #expect(try await refusal(forge.jws(envelope: { $0[name] = nil })) != nil)
        #expect(try await refusal(forge.jws(envelope: { $0[name] = .null })) != nil)
        #expect(try await refusal(forge.jws(envelope: { $0[name] = 1 })) != nil)
    }

    @Test func unprotectedHeaders() async throws {
        #expect(try await refusal(forge.jws(unprotected: { $0[NotaryName.signingAgent] = 1 })) != nil)
        #expect(try await refusal(forge.jws(unprotected: { $0[NotaryName.timestampSignature] = "?" })) != nil)
        #expect(try await refusal(forge.jws(unprotected: { $0[NotaryName.timestampSignature] = "AAAA" })) == nil)
        #expect(try await refusal(forge.jws(unprotected: { $0["x5c"] = [] })) != nil)
        #expect(try await refusal(forge.jws(unprotected: { $0["x5c"] = ["AAAA"] })) != nil)
        #expect(
            try await refusal(forge.jws(unprotected: { $0["x5c"] = .array(Array(repeating: "AAAA", count: 40)) }))?
                .contains("at most") == true)
    }

    @Test(arguments: [
        "", "[]", "hello", "{}", #"{"targetArtifact":{}}"#, #"{"targetArtifact":null}"#, "{} {}",
        #"{"targetArtifact":{"mediaType":"a","digest":"sha256:00","size":1}}"#,
    ])
    func payloads(_ text: String) async throws {
        #expect(try await refusal(forge.jws(payload: Array(text.utf8))) != nil)
    }

    @Test(arguments: [
        #""size":1.0"#, #""size":"1""#, #""annotations":{"a":1}"#, #""annotations":[]"#, #""urls":"x""#, #""data":"?""#,
        #""platform":[]"#, #""platform":{"os":1}"#, #""artifactType":1"#, #""Size":1"#,
    ])
    func descriptorsThatAreNotValid(_ member: String) async throws {
        let good = JSONValue.object(SigningFixture.image.json.object ?? [:]).text
        let name = member.split(separator: ":")[0]
        let text = name == "\"size\"" ? good.replacing(#/"size":\d+/#, with: member) : good.dropLast() + ",\(member)}"
        let found = try await refusal(forge.jws(payload: Array("{\"targetArtifact\":\(text)}".utf8)))
        #expect(found?.contains("payload") == true)
    }
}
