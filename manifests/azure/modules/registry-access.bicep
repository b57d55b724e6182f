// Lets a principal pull from a registry: images, and the signatures beside them.

@description('Container registry, in the resource group of this module.')
param registry string

@description('Object id of who pulls.')
param principalId string

@allowed(['AcrPull', 'Container Registry Repository Reader'])
param role string

var roles = {
  AcrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
  'Container Registry Repository Reader': 'b93aa761-3e63-49ed-ac28-beffa264f7ac'
}

resource acr 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registry
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  // The same name each time: a second deployment changes nothing.
  name: guid(acr.id, principalId, roles[role])
  scope: acr
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
  }
}

output registryHost string = acr.properties.loginServer
