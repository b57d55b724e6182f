using 'main.bicep'

param cluster = 'my-aks'
param registry = 'myregistry'
param vault = 'my-vault'
param vaultAccess = 'roles'
param namespace = 'gatekeeper-system'
param serviceAccount = 'ratify-admin'
