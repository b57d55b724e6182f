"""The values of the installations that the quick start and the walkthroughs for AKS show, and other sets that the tests render."""

import re

from conftest import CA, PUBLIC_KEY, ROOT, parse_set


def commands_of_quick_start(beginning):
    """The options of the command in docs/quick-start.md that begins so: its `--set` assignments, and the names of its `--set-file`."""
    page = (ROOT / "docs" / "quick-start.md").read_text()
    (command,) = re.findall(rf"^{re.escape(beginning)}(?:.*\\\n)*.*$", page, re.MULTILINE)
    return re.findall(r"--set (\S+)", command), re.findall(r"--set-file '?([^=]+)=", command)


QUICK_START, QUICK_START_FILES = commands_of_quick_start("helm install ratify manifests/charts/countersign")

SUBJECT = "x509.subject: CN=release,O=Example,ST=WA,C=US"
CLIENT = "11111111-2222-3333-4444-555555555555"
TENANT = "66666666-7777-8888-9999-000000000000"
REPOSITORY = "example.azurecr.io/team/app"

# "Key Vault" branch of the walkthrough for AKS with the Azure Policy add-on.
KEY_VAULT = parse_set(
    "provider.enableMutation=false",
    "featureFlags.RATIFY_CERT_ROTATION=true",
    f"azureWorkloadIdentity.clientId={CLIENT}",
    "oras.authProviders.azureWorkloadIdentityEnabled=true",
    "azurekeyvault.enabled=true",
    "azurekeyvault.vaultURI=https://example.vault.azure.net",
    "azurekeyvault.certificates[0].name=wabbit",
    f"azurekeyvault.tenantId={TENANT}",
    f"notation.trustPolicies[0].registryScopes[0]={REPOSITORY}",
    "notation.trustPolicies[0].trustStores[0]=ca:azurekeyvault",
    f"notation.trustPolicies[0].trustedIdentities[0]={SUBJECT}",
)

# Its "Trusted Signing" branch: --set-file gives the certificates of the signer and of the timestamp authority.
TRUSTED_SIGNING = {
    **parse_set(
        "provider.enableMutation=false",
        "featureFlags.RATIFY_CERT_ROTATION=true",
        f"azureWorkloadIdentity.clientId={CLIENT}",
        "oras.authProviders.azureWorkloadIdentityEnabled=true",
        f"notation.trustPolicies[0].registryScopes[0]={REPOSITORY}",
        "notation.trustPolicies[0].trustStores[0]=ca:notationCerts[0]",
        "notation.trustPolicies[0].trustStores[1]=tsa:notationCerts[1]",
        f"notation.trustPolicies[0].trustedIdentities[0]={SUBJECT}",
    ),
    "notationCerts": [CA, CA],
}

# Gatekeeper installed by oneself, with mutation; the older spelling of the Key Vault's values, as the first quick starts have it.
OLDER_SPELLING = parse_set(
    "akvCertConfig.enabled=true",
    "akvCertConfig.vaultURI=https://example.vault.azure.net",
    "akvCertConfig.cert1Name=wabbit",
    f"akvCertConfig.tenantId={TENANT}",
    "oras.authProviders.azureWorkloadIdentityEnabled=true",
    f"azureWorkloadIdentity.clientId={CLIENT}",
    "featureFlags.RATIFY_CERT_ROTATION=true",
)
NEWER_SPELLING = parse_set(
    "azurekeyvault.enabled=true",
    "azurekeyvault.vaultURI=https://example.vault.azure.net",
    "azurekeyvault.certificates[0].name=wabbit",
    f"azurekeyvault.tenantId={TENANT}",
    "oras.authProviders.azureWorkloadIdentityEnabled=true",
    f"azureWorkloadIdentity.clientId={CLIENT}",
    "featureFlags.RATIFY_CERT_ROTATION=true",
)

# "Ratify on Azure" of Ratify's documentation 1.1, with its values as they stand there: first the list of certificates, then, without
# mutation, the one certificate.
RATIFY_1_1_LIST = (
    "featureFlags.RATIFY_CERT_ROTATION=true",
    "akvCertConfig.enabled=true",
    "akvCertConfig.vaultURI=https://example.vault.azure.net",
    "akvCertConfig.certificates[0].certificateName=wabbit",
    f"akvCertConfig.tenantId={TENANT}",
    "oras.authProviders.azureWorkloadIdentityEnabled=true",
    f"azureWorkloadIdentity.clientId={CLIENT}",
)
RATIFY_1_1_FIRST = (
    "provider.enableMutation=false",
    "featureFlags.RATIFY_CERT_ROTATION=true",
    "akvCertConfig.enabled=true",
    "akvCertConfig.vaultURI=https://example.vault.azure.net",
    "akvCertConfig.cert1Name=wabbit",
    f"akvCertConfig.tenantId={TENANT}",
    "oras.authProviders.azureWorkloadIdentityEnabled=true",
    f"azureWorkloadIdentity.clientId={CLIENT}",
)

COSIGN_KEYS = {"notation": {"enabled": False}, "cosignKeys": [PUBLIC_KEY], "cosign": {"tLogVerify": False}}
COSIGN_KEYLESS = parse_set(
    "notation.enabled=false",
    "cosign.keyless.certificateIdentity=https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main",
    "cosign.keyless.certificateOIDCIssuer=https://token.actions.githubusercontent.com",
)

MAXIMAL = {
    "image": {"repository": "registry.example.com/countersign", "digest": "sha256:" + "a" * 64},
    "imagePullSecrets": [{"name": "pull"}],
    "autoscaling": {"enabled": True, "maxReplicas": 10},
    "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
    "podAnnotations": {"example.com/team": "platform"},
    "podLabels": {"team": "platform"},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "rbac": {"secretNamespaces": ["team-a", "gatekeeper-system"], "secretsOfAllNamespaces": True},
    "provider": {
        "clientAuth": {"caCerts": [{"secretName": "kyverno-ca", "secretKey": "tls.crt"}, {"secretName": "more"}]},
        "timeout": {"validationTimeoutSeconds": 3, "mutationTimeoutSeconds": 1},
        "cache": {"type": "redis", "ttl": "1m", "redis": {"endpoint": "redis.cache:6380", "user": "countersign", "caSecret": {"name": "redis-ca"}, "passwordSecret": {"name": "redis", "key": "pass"}}},
        "mutationExcludedNamespaces": ["storage"],
    },
    "notationCerts": [CA, CA],
    "notation": {
        "trustPolicies": [
            {"name": "release", "level": "permissive", "override": {"revocation": "enforce"}, "verifyTimestamp": "always", "registryScopes": ["a.example/x", "b.example/y"], "trustStores": ["ca:notationCerts[1]", "signingAuthority:AzureKeyVault", "tsa:notationCerts[0]"], "trustedIdentities": [SUBJECT]},
            {"registryScopes": ["c.example/z"], "level": "skip"},
            {"registryScopes": ["*"]},
        ]
    },
    "crl": {"cache": {"enabled": False}},
    "policy": {"artifactVerificationPolicies": {"application/vnd.cncf.notary.signature": "any"}},
    "azureWorkloadIdentity": {"clientId": CLIENT},
    "azurekeyvault": {"enabled": True, "vaultURI": "https://example.vault.azure.net", "tenantId": TENANT, "refreshInterval": "12h", "certificates": [{"name": "a", "version": "0" * 32, "versionHistoryLimit": 2}, {"name": "b"}], "keys": [{"name": "k"}]},
    "oras": {"authProviders": {"k8secretsEnabled": True}},
    "dockerConfig": '{"auths":{}}',
    "logger": {"formatter": "json", "level": "debug", "requestHeaders": {"traceIDHeaderName": ["x-request-id"]}},
    "monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
    "kyverno": {"enabled": True},
    "upgradeCRDs": {"enabled": True},
    "networkPolicy": {"enabled": True, "egress": True, "metricsFrom": ["monitoring"]},
}

MINIMAL = {
    "replicaCount": 1,
    "podDisruptionBudget": {"enabled": False},
    "priorityClassName": "",
    "nodeSelector": None,
    "notation": {"enabled": False},
    "crl": {"cache": {"enabled": True}},
    "instrumentation": {"metricsEnabled": False},
    "provider": {"enableMutation": False, "cache": {"enabled": False}},
    "rbac": {"create": False},
    "serviceAccount": {"create": False, "name": "ready-made"},
    "featureFlags": {"RATIFY_CERT_ROTATION": False},
}

# Every key of Ratify's values.yaml (chart 1.15.0), with values of a user who has set what he could.
RATIFYS = {
    "image": {"repository": "ghcr.io/ratify-project/ratify", "crdRepository": "ghcr.io/ratify-project/ratify-crds", "tag": "v1.4.0", "pullPolicy": "IfNotPresent"},
    "nameOverride": "",
    "fullnameOverride": "",
    "replicaCount": 1,
    "affinity": {},
    "tolerations": [],
    "notationCerts": [CA],
    "cosignKeys": [],
    "notation": {"enabled": True, "trustPolicies": [{"name": "default", "verificatonLevel": "strict", "registryScopes": ["*"], "trustedIdentities": ["*"], "trustStores": []}]},
    "cosign": {"enabled": True, "scopes": ["*"], "key": "", "rekorURL": "", "tLogVerify": True, "keyless": {"ctLogVerify": True, "certificateIdentity": ""}},
    "vulnerabilityreport": {"enabled": False, "passthrough": False, "disallowedSeverities": []},
    "sbom": {"enabled": False, "disallowedLicenses": [], "disallowedPackages": []},
    "resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}, "requests": {"cpu": "600m", "memory": "512Mi"}},
    "serviceAccount": {"create": True, "name": "ratify-admin", "annotations": {}},
    "gatekeeper": {"version": "3.18.0", "namespace": None},
    "instrumentation": {"metricsEnabled": True, "metricsType": "prometheus", "metricsPort": 8888},
    "azureWorkloadIdentity": {"clientId": None},
    "azureManagedIdentity": {"clientId": None, "tenantId": None},
    "azurekeyvault": {"enabled": False, "vaultURI": None, "tenantId": None, "certificates": [], "keys": [], "refreshInterval": None},
    "alibabacloudAcrConfig": {"defaultInstanceId": None, "acrInstancesConfig": []},
    "oras": {
        "useHttp": False,
        "authProviders": {"azureWorkloadIdentityEnabled": False, "azureManagedIdentityEnabled": False, "azureContainerRegistryEndpoints": [], "k8secretsEnabled": False, "k8secretsSecretTimeout": 43200, "awsEcrBasicEnabled": False, "awsApiOverride": {"enabled": False, "endpoint": "", "partition": "", "region": ""}, "alibabacloudAcrBasicEnabled": False},
        "cache": {"enabled": True, "ttl": 10},
    },
    "provider": {
        "tls": {"crt": "", "key": "", "caCert": "", "caKey": "", "cabundle": ""},
        "clientAuth": {"caCerts": None},
        "timeout": {"validationTimeoutSeconds": 5, "mutationTimeoutSeconds": 2},
        "cache": {"enabled": True, "type": "dapr", "cacheSizeMb": 256, "ttl": "10s", "name": "dapr-redis"},
        "enableMutation": True,
        "mutationExcludedNamespaces": [],
    },
    "podAnnotations": {},
    "podLabels": {},
    "enableRuntimeDefaultSeccompProfile": True,
    "healthPort": 9099,
    "rbac": {"create": True},
    "upgradeCRDs": {"enabled": True, "extraRules": []},
    "crds": {"affinity": {}, "tolerations": [], "nodeSelector": {"kubernetes.io/os": "linux"}, "resources": {}, "securityContext": {"runAsNonRoot": True}},
    "policy": {"useRego": True},
    "logger": {"formatter": "text", "level": "info", "requestHeaders": {"traceIDHeaderName": [""]}},
    "crl": {"cache": {"enabled": True}},
    "featureFlags": {"RATIFY_CERT_ROTATION": True, "RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY": True},
    "notationCert": "",
    "akvCertConfig": {"enabled": False, "vaultURI": None, "cert1Name": None, "cert1Version": None, "cert2Name": None, "cert2Version": None, "certificates": None, "tenantId": None},
    "env": [],
}

SETS = {
    "defaults": {},
    "minimal": MINIMAL,
    "maximal": MAXIMAL,
    "quick start": {**parse_set(*QUICK_START), "notationCerts": [CA]},
    "key vault": KEY_VAULT,
    "trusted signing": TRUSTED_SIGNING,
    "older spelling": OLDER_SPELLING,
    "cosign with keys": COSIGN_KEYS,
    "cosign keyless": COSIGN_KEYLESS,
    "ratify 1.1": parse_set(*RATIFY_1_1_LIST),
    "ratify's": RATIFYS,
}
