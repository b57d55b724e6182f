import StrictJSON
import TestSupport

/// Azure's emulator, and a pod with a workload identity: its environment, and a configuration that pulls from the
/// emulator's registry and trusts its vault.
struct VaultPod {
    let azure: AzureEmulator
    let directory: TemporaryDirectory
    let environment: [String: String]
    let signers: Signers
    private let bundle: String

    init() async throws {
        azure = try await AzureEmulator.start()
        directory = try TemporaryDirectory()
        environment = azure.workloadEnvironment(
            tokenFile: directory.write(AzureEmulator.Settings().assertion, to: "token"))
        bundle = directory.write(azure.authorityPEM, to: "authority.pem")
        signers = try Signers.shared.get()
    }

    func configuration(_ certificates: JSONValue..., interval: String = "1s") -> ConfigurationText {
        var text = ConfigurationText()
        text.stores = [
            [
                "name": "oras", "caBundle": .string(bundle),
                "authProvider": ["name": "azureWorkloadIdentity", "endpoints": [.string(azure.host)]],
            ]
        ]
        text.providers = [
            [
                "name": "release-ca", "type": "azurekeyvault", "vaultURI": .string(azure.vaultURL + "/"),
                "tenantID": .string(AzureEmulator.Settings().tenant), "caBundle": .string(bundle),
                "clientID": .string(AzureEmulator.Settings().client), "refreshInterval": .string(interval),
                "certificates": .array(certificates),
            ]
        ]
        return text
    }

    /// Pushes an image that is signed, and gives its name at the emulator.
    func push(_ tag: String, signedBy signer: TestSigner) async throws -> String {
        let repository = try Repository("\(azure.registry.endpoint)/team/app")
        try await repository.push(tag, signedBy: signer)
        return "\(azure.host)/team/app:\(tag)"
    }

    func end() async {
        await azure.stop()
        directory.remove()
    }
}

/// Makes a pod, and ends it whatever happens.
func withVaultPod(_ body: (VaultPod) async throws -> Void) async throws {
    let pod = try await VaultPod()
    do { try await body(pod) } catch {
        await pod.end()
        throw error
    }
    await pod.end()
}
