// Lets the provider read certificates, public keys and chains from a vault; and people or pipelines sign or create
// certificates, where they are named. By roles, or by the vault's access policies.

@description('Key vault, in the resource group of this module.')
param vault string

@allowed(['roles', 'policy'])
param access string

@description('Object id of the provider\'s identity.')
param principalId string

@allowed(['Key Vault Certificate User', 'Key Vault Secrets User'])
param role string

@description('Object id of who signs; may be empty.')
param signer string

@description('Object id of who creates certificates; may be empty.')
param officer string

param principalType string

var roles = {
  'Key Vault Certificate User': 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
  'Key Vault Crypto User': '12338af0-0e69-4776-bea7-57ae8d297424'
  'Key Vault Certificates Officer': 'a4417e6f-fecd-4de8-b567-7b0420556985'
}

var readerRoles = [{ id: principalId, type: 'ServicePrincipal', role: role }]
var signerRoles = empty(signer) ? [] : [
  { id: signer, type: principalType, role: 'Key Vault Crypto User' }
  { id: signer, type: principalType, role: 'Key Vault Certificate User' }
]
var officerRoles = empty(officer) ? [] : [{ id: officer, type: principalType, role: 'Key Vault Certificates Officer' }]
var assignments = concat(readerRoles, signerRoles, officerRoles)

var readerPolicy = [
  {
    objectId: principalId
    tenantId: subscription().tenantId
    permissions: { certificates: ['get', 'list'], keys: ['get', 'list'], secrets: ['get', 'list'] }
  }
]
var signerPolicy = empty(signer) ? [] : [
  {
    objectId: signer
    tenantId: subscription().tenantId
    permissions: { certificates: ['get', 'list'], keys: ['get', 'sign'], secrets: ['get'] }
  }
]
var officerPolicy = empty(officer) ? [] : [
  {
    objectId: officer
    tenantId: subscription().tenantId
    permissions: { certificates: ['get', 'list', 'create', 'update'] }
  }
]

resource keyVault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vault
}

resource byRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in (access == 'roles' ? assignments : []): {
    // The same name each time: a second deployment changes nothing.
    name: guid(keyVault.id, item.id, roles[item.role])
    scope: keyVault
    properties: {
      principalId: item.id
      principalType: item.type
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
    }
  }
]

// "add" leaves the policies of everybody else as they are.
resource byPolicy 'Microsoft.KeyVault/vaults/accessPolicies@2023-07-01' = if (access == 'policy') {
  parent: keyVault
  name: 'add'
  properties: {
    accessPolicies: concat(readerPolicy, signerPolicy, officerPolicy)
  }
}

output vaultURI string = keyVault.properties.vaultUri
