import StrictJSON
import TestSupport
import Testing
import Verification

@testable import CountersignService

/// The resource that Ratify had before key management providers.
@Suite struct CertificateStoreTests {
    private func translated(_ certificates: String) throws -> JSONValue? {
        try CertificateStoreParameters.translated(
            ["certificates": .string(certificates), "vaultURI": "https://a"], type: "azurekeyvault")["certificates"]
    }

    @Test func listsOfTextsOfYAMLAreRead() throws {
        let text = """
            array:
              - |
                certificateName: first
                certificateVersion: 0123456789abcdef
              - |
                certificateName: second
                certificateVersion:
              - |
                certificateName: third
                certificateVersion: "12345678901234567890123456789012"
            """
        #expect(
            try translated(text) == [
                ["name": "first", "version": "0123456789abcdef"], ["name": "second"],
                ["name": "third", "version": "12345678901234567890123456789012"],
            ])
    }

    @Test(
        arguments: [
            ("array: {", "not valid YAML"), ("certificates: []", "no member \"array\""), ("", "no member \"array\""),
            ("array: [\"certificateVersion: a\"]", "array[0].certificateName is missing"),
            ("array: [\"{certificateName: a, certificateVersion: 12345678901234567890123456789012}\"]", "quotes"),
            ("array: [\"a: [\"]", "array[0] is not valid YAML"),
        ])
    func whatIsWrongIsSaid(text: String, words: String) {
        let error = #expect(throws: ConfigurationError.self) { try translated(text) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func aStoreOfTheHomeNamespaceNeedsNoNamespaceInFront() throws {
        let pem = try Samples.authority.get().certificate.pem
        let old = try Samples.resource(
            .certificateStore, "certs", ["provider": "inline", "parameters": ["value": .string(pem)]],
            namespace: "countersign-system")
        for name in ["certs", "countersign-system/certs"] {
            let board = Samples.board([
                old, try Samples.store(), try Samples.policy(), try Samples.verifier(providers: [name]),
            ])
            #expect(board.generation() != nil)
            for id in board.resources.keys { #expect(board.error(id) == "", "\(id)") }
        }
    }
}
