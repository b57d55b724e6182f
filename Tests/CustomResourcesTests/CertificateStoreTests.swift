import ConfigurationModel
import StrictJSON
import TestSupport
import Testing

@testable import CustomResources

/// The resource that Ratify had before key management providers.
@Suite struct CertificateStoreTests {
    private func translated(_ certificates: String) throws -> JSONValue? {
        try CertificateStoreParameters.translated(
            ["certificates": .string(certificates), "vaultURI": "https://a"], type: .azureKeyVault)["certificates"]
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

    @Test func theWordsOfAKeyManagementProviderAreReadToo() throws {
        #expect(
            try translated("array: [\"{name: first, version: a1}\", {name: second}]")
                == [["name": "first", "version": "a1"], ["name": "second"]])
    }

    /// Names of the first walkthroughs, in the resource that came after them.
    @Test func aKeyManagementProviderTakesTheWordsOfACertificateStore() throws {
        func fault(_ certificate: JSONValue) throws -> String {
            let provider = try Samples.resource(
                .keyManagementProvider, "vault",
                [
                    "type": "azurekeyvault",
                    "parameters": [
                        "vaultURI": "https://a.vault.azure.net", "tenantID": "tenant", "clientID": "client",
                        "certificates": [certificate],
                    ],
                ])
            return try Samples.board([provider]).error(#require(Samples.board([provider]).resources.keys.first))
        }
        // Without the environment of a pod the identity is the next thing that is missing.
        let next = try fault(["name": "a", "version": "1"])
        #expect(next.contains("AZURE_"))
        #expect(try fault(["certificateName": "a", "certificateVersion": "1"]) == next)
        #expect(try fault(["name": "a", "certificateName": "a"]) == next)
        #expect(try fault(["certificateName": "a b"]).contains("not one of a key vault"))
        #expect(
            try fault(["name": "a", "certificateName": "b"]).contains("certificateName says something else than name"))
        #expect(
            try fault(["name": "a", "version": "1", "certificateVersion": "2"])
                .contains("certificateVersion says something else than version"))
        #expect(try fault(["certificateVersion": "1"]).contains("name is missing or empty"))
    }

    @Test(
        arguments: [
            ("array: {", "not valid YAML"), ("certificates: []", "no member \"array\""), ("", "no member \"array\""),
            ("array: [\"certificateVersion: a\"]", "array[0].certificateName is missing"),
            ("array: [\"{certificateName: a, certificateVersion: 12345678901234567890123456789012}\"]", "quotes"),
            ("array: [\"certificateName: [a]\"]", "array[0].certificateName is an array"),
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
