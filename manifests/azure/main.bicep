// What setup.sh makes, but for the certificate: it is data of the vault, which templates cannot make. Run setup.sh after
// the deployment: it finds all of this there and makes the certificate only.
//
//   az deployment group create --resource-group GROUP --template-file main.bicep --parameters main.bicepparam
//
// The resource group is that of the cluster. Its OIDC issuer and workload identity must be on already (az aks update
// --enable-oidc-issuer --enable-workload-identity).
targetScope = 'resourceGroup'

@description('AKS cluster, in this resource group.')
param cluster string

@description('Container registry: its name, without .azurecr.io.')
param registry string

@description('Resource group of the registry.')
param registryResourceGroup string = resourceGroup().name

@description('Key vault.')
param vault string

@description('Resource group of the vault.')
param vaultResourceGroup string = resourceGroup().name

@description('How the vault decides who may read it: by roles, or by its access policies. It must be set up so.')
@allowed(['roles', 'policy'])
param vaultAccess string = 'roles'

@description('Of the identity.')
param location string = resourceGroup().location

@description('User-assigned identity of the provider.')
param identity string = 'ratify-identity'

@description('Federated credential of the identity.')
param credential string = 'ratify-federated-credential'

@description('Namespace of the provider.')
param namespace string = 'gatekeeper-system'

@description('Service account of the provider.')
param serviceAccount string = 'ratify-admin'

@description('Role on the registry. One with permissions by repository (ABAC) needs the reader role.')
@allowed(['AcrPull', 'Container Registry Repository Reader'])
param registryRole string = 'AcrPull'

@description('Role of the provider on the vault.')
@allowed(['Key Vault Certificate User', 'Key Vault Secrets User'])
param vaultRole string = 'Key Vault Certificate User'

@description('Object id of who signs images; empty: nobody gets the right here.')
param signer string = ''

@description('Object id of who creates certificates; empty: nobody gets the right here.')
param officer string = ''

@description('What signer and officer are.')
@allowed(['ServicePrincipal', 'User', 'Group'])
param principalType string = 'ServicePrincipal'

resource aks 'Microsoft.ContainerService/managedClusters@2024-05-01' existing = {
  name: cluster
}

resource user 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: identity
  location: location
}

resource federated 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: user
  name: credential
  properties: {
    issuer: aks.properties.oidcIssuerProfile.issuerURL
    subject: 'system:serviceaccount:${namespace}:${serviceAccount}'
    audiences: ['api://AzureADTokenExchange']
  }
}

module pull 'modules/registry-access.bicep' = {
  name: 'countersign-registry-access'
  scope: resourceGroup(registryResourceGroup)
  params: {
    registry: registry
    principalId: user.properties.principalId
    role: registryRole
  }
}

module read 'modules/vault-access.bicep' = {
  name: 'countersign-vault-access'
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vault: vault
    access: vaultAccess
    principalId: user.properties.principalId
    role: vaultRole
    signer: signer
    officer: officer
    principalType: principalType
  }
}

@description('For azureWorkloadIdentity.clientId of the chart.')
output clientId string = user.properties.clientId

@description('For azurekeyvault.tenantId of the chart.')
output tenantId string = user.properties.tenantId

@description('For azurekeyvault.vaultURI of the chart.')
output vaultURI string = read.outputs.vaultURI

@description('For oras.authProviders.azureContainerRegistryEndpoints of the chart.')
output registryHost string = pull.outputs.registryHost
