/// One of Azure's clouds: separate installations with hosts of their own. Nothing crosses from one to another.
package struct AzureCloud: Hashable, Sendable {
    /// Its name in Azure's own tools.
    package let name: String
    /// Where tokens come from, unless `AZURE_AUTHORITY_HOST` says otherwise.
    package let authority: String
    /// Azure Resource Manager.
    package let resourceManager: String
    /// What the hosts of key vaults end with.
    package let vaultSuffix: String
    /// What the hosts of container registries end with.
    package let registrySuffix: String

    /// The cloud for everyone.
    package static let `public` = AzureCloud(
        name: "AzureCloud", authority: "https://login.microsoftonline.com",
        resourceManager: "https://management.azure.com",
        vaultSuffix: "vault.azure.net", registrySuffix: "azurecr.io")
    /// Operated by 21Vianet.
    package static let china = AzureCloud(
        name: "AzureChinaCloud", authority: "https://login.chinacloudapi.cn",
        resourceManager: "https://management.chinacloudapi.cn", vaultSuffix: "vault.azure.cn",
        registrySuffix: "azurecr.cn")
    /// For the government of the United States.
    package static let usGovernment = AzureCloud(
        name: "AzureUSGovernment", authority: "https://login.microsoftonline.us",
        resourceManager: "https://management.usgovcloudapi.net", vaultSuffix: "vault.usgovcloudapi.net",
        registrySuffix: "azurecr.us")
    /// All of them.
    package static let all = [AzureCloud.public, .usGovernment, .china]
}

/// What a token is for.
package struct AzureScope: Hashable, Sendable, CustomStringConvertible {
    /// The resource's identifier, without a slash at its end.
    package let resource: String

    /// A scope of everything that the identity may do at a resource.
    package init(resource: String) { self.resource = resource }

    /// Container registries: the same identifier in every cloud.
    package static let containerRegistry = AzureScope(resource: "https://containerregistry.azure.net")

    /// As the token endpoint wants it.
    package var description: String { "\(resource)/.default" }
}
