"""Every value of Ratify's charts since 1.0 (charts 1.11 to 1.15; in 1.12 to 1.15.5 they are the same but for a few), and what becomes
of it here. Only the names are Ratify's.

TAKEN: value → what somebody might set, in addition to what it needs; the objects of the release then differ.
NAMED: accepted without effect, and NOTES name it.
ALIKE: accepted, and means what is the case anyway.
REFUSED: value → what is set, and what the refusal says.
"""

import base64

from conftest import CA, KEY, PUBLIC_KEY

VAULT = {
    "azureWorkloadIdentity.clientId": "client",
    "azurekeyvault.enabled": True,
    "azurekeyvault.vaultURI": "https://example.vault.azure.net",
    "azurekeyvault.tenantId": "tenant",
    "azurekeyvault.certificates": [{"name": "first"}],
}
OLD_VAULT = {
    "azureWorkloadIdentity.clientId": "client",
    "akvCertConfig.enabled": True,
    "akvCertConfig.vaultURI": "https://example.vault.azure.net",
    "akvCertConfig.tenantId": "tenant",
    "akvCertConfig.cert1Name": "first",
}
TLS = {"provider.tls.crt": CA, "provider.tls.key": KEY, "provider.tls.caCert": CA}
WORKLOAD = {"azureWorkloadIdentity.clientId": "client", "oras.authProviders.azureWorkloadIdentityEnabled": True}
MANAGED = {"oras.authProviders.azureManagedIdentityEnabled": True}

# An image needs a good signature of each kind that is verified.
COSIGN = {"notation.enabled": False}
KEYS = {**COSIGN, "cosignKeys": [PUBLIC_KEY]}
KEYLESS = {**COSIGN, "cosign.keyless.certificateIdentity": "a@example.com", "cosign.keyless.certificateOIDCIssuer": "https://issuer.example"}


def without(values, *names):
    return {name: value for name, value in values.items() if name not in names}


# value → (what it is set to, what it needs)
TAKEN = {
    "affinity": ({"nodeAffinity": {}}, {}),
    "akvCertConfig.cert1Name": ("other", OLD_VAULT),
    "akvCertConfig.cert1Version": ("a1", OLD_VAULT),
    "akvCertConfig.cert2Name": ("second", OLD_VAULT),
    "akvCertConfig.cert2Version": ("a2", {**OLD_VAULT, "akvCertConfig.cert2Name": "second"}),
    "akvCertConfig.certificates": ([{"certificateName": "third", "certificateVersion": "a3"}], OLD_VAULT),
    "akvCertConfig.enabled": (True, {n: v for n, v in OLD_VAULT.items() if n != "akvCertConfig.enabled"}),
    "akvCertConfig.tenantId": ("other", OLD_VAULT),
    "akvCertConfig.vaultURI": ("https://other.vault.azure.net", OLD_VAULT),
    "azureManagedIdentity.clientId": ("client", MANAGED),
    "azureManagedIdentity.tenantId": ("tenant", MANAGED),
    "azureWorkloadIdentity.clientId": ("other", WORKLOAD),
    "azurekeyvault.certificates": ([{"name": "first"}, {"name": "second", "version": "a2"}], VAULT),
    "azurekeyvault.enabled": (True, {n: v for n, v in VAULT.items() if n != "azurekeyvault.enabled"}),
    "azurekeyvault.keys": ([{"name": "key", "version": "a3"}], VAULT),
    "azurekeyvault.refreshInterval": ("1h", VAULT),
    "azurekeyvault.tenantID": ("other", {n: v for n, v in VAULT.items() if n != "azurekeyvault.tenantId"} | {"akvCertConfig.tenantId": "tenant"}),
    "azurekeyvault.tenantId": ("other", VAULT),
    "azurekeyvault.vaultURI": ("https://other.vault.azure.net", VAULT),
    "cosign.enabled": (False, {**KEYS, "notation.enabled": True, "notationCerts": [CA]}),
    "cosign.key": (PUBLIC_KEY, COSIGN),
    "cosign.keyless.certificateIdentity": ("b@example.com", KEYLESS),
    "cosign.keyless.certificateIdentityRegExp": (".*@example[.]com", without(KEYLESS, "cosign.keyless.certificateIdentity") | {"cosign.keyless.certificateIdentityRegExp": "[ab]@example[.]com"}),
    "cosign.keyless.certificateOIDCIssuer": ("https://other.example", KEYLESS),
    "cosign.keyless.certificateOIDCIssuerRegExp": ("https://[a-z]+[.]example", without(KEYLESS, "cosign.keyless.certificateOIDCIssuer") | {"cosign.keyless.certificateOIDCIssuerRegExp": "https://(a|b)[.]example"}),
    "cosign.keyless.ctLogVerify": (False, KEYLESS),
    "cosign.rekorURL": ("https://rekor.sigstore.dev", KEYS),
    "cosign.scopes": (["reg.example/app"], KEYS),
    "cosign.tLogVerify": (False, KEYS),
    "cosignKeys": ([PUBLIC_KEY], COSIGN),
    "crds.affinity": ({"nodeAffinity": {}}, {}),
    "crds.nodeSelector": ({"pool": "system"}, {}),
    "crds.resources": ({"limits": {"memory": "64Mi"}}, {}),
    "crds.tolerations": ([{"operator": "Exists"}], {}),
    "crl.cache.enabled": (False, {}),
    "dockerConfig": ('{"auths":{}}', {}),
    "enableRuntimeDefaultSeccompProfile": (False, {}),
    "env": ([{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], {}),
    "featureFlags.RATIFY_CERT_ROTATION": (False, {}),
    "fullnameOverride": ("other", {}),
    "gatekeeper.namespace": ("kube-public", {}),
    "gatekeeper.version": ("3.10.0", {}),
    "healthPort": (9100, {}),
    "image.pullPolicy": ("Always", {}),
    "image.repository": ("registry.example/countersign", {}),
    "image.tag": ("v9", {"image.repository": "registry.example/countersign"}),
    "instrumentation.metricsEnabled": (False, {}),
    "instrumentation.metricsPort": (8889, {}),
    "logger.formatter": ("json", {}),
    "logger.level": ("debug", {}),
    "logger.requestHeaders.traceIDHeaderName": (["x-request-id"], {}),
    "nameOverride": ("signatures", {}),
    "notation.enabled": (False, {}),
    "notation.trustPolicies[].name": ([{"name": "other", "registryScopes": ["*"]}], {}),
    "notation.trustPolicies[].registryScopes": ([{"name": "default", "registryScopes": ["reg.example/app"]}], {}),
    "notation.trustPolicies[].trustStores": ([{"name": "default", "registryScopes": ["*"], "trustStores": ["ca:notationCerts[0]"]}], {"notationCerts": [CA]}),
    "notation.trustPolicies[].trustedIdentities": ([{"name": "default", "registryScopes": ["*"], "trustedIdentities": ["x509.subject: C=US, ST=WA, O=a"]}], {}),
    "notationCert": (CA, {}),
    "notationCerts": ([CA], {}),
    "oras.authProviders.azureContainerRegistryEndpoints": (["*.azurecr.cn"], WORKLOAD),
    "oras.authProviders.azureManagedIdentityEnabled": (True, {}),
    "oras.authProviders.azureWorkloadIdentityEnabled": (True, {"azureWorkloadIdentity.clientId": "client"}),
    "oras.authProviders.k8secretsEnabled": (True, {}),
    "oras.authProviders.k8secretsSecretTimeout": (60, {"oras.authProviders.k8secretsEnabled": True}),
    "oras.cache.enabled": (False, {}),
    "oras.cache.ttl": (20, {}),
    "oras.useHttp": (True, {}),
    "podAnnotations": ({"a": "b"}, {}),
    "podLabels": ({"a": "b"}, {}),
    "provider.cache.cacheSizeMb": (256, {}),
    "provider.cache.enabled": (False, {}),
    "provider.cache.ttl": ("20s", {}),
    "provider.clientAuth.caCerts": ([{"secretName": "more"}], {}),
    "provider.enableMutation": (False, {}),
    "provider.mutationExcludedNamespaces": (["storage"], {}),
    "provider.timeout.mutationTimeoutSeconds": (3, {}),
    "provider.timeout.validationTimeoutSeconds": (3, {}),
    "provider.tls.caCert": (CA + CA, TLS),
    "provider.tls.caKey": (KEY, TLS),
    "provider.tls.cabundle": (base64.b64encode((CA + CA).encode()).decode(), TLS),
    "provider.tls.crt": (CA + CA, TLS),
    "provider.tls.key": ("# \n" + KEY, TLS),
    "rbac.create": (False, {}),
    "registryCredsSecret": ("pull", {}),
    "replicaCount": (3, {}),
    "resources": ({"limits": {"cpu": "1000m", "memory": "512Mi"}, "requests": {"cpu": "600m", "memory": "512Mi"}}, {}),
    "serviceAccount.annotations": ({"a": "b"}, {}),
    "serviceAccount.create": (False, {}),
    "serviceAccount.name": ("other", {}),
    "tolerations": ([{"operator": "Exists"}], {}),
    "upgradeCRDs.enabled": (False, {}),
    "upgradeCRDs.extraRules": ([{"apiGroups": ["a"], "resources": ["b"], "verbs": ["get"]}], {}),
}

# value → (what it is set to, the words of NOTES)
NAMED = {
    "alibabacloudAcrConfig.acrInstancesConfig": ([{"instanceName": "a", "instanceId": "cri-1"}], "alibabacloudAcrConfig"),
    "alibabacloudAcrConfig.defaultInstanceId": ("cri-1", "alibabacloudAcrConfig"),
    "crds.securityContext": ({"runAsNonRoot": True}, "crds.securityContext"),
    "featureFlags.RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY": (True, "featureFlags.RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY"),
    "image.crdRepository": ("registry.example/crds", "image.crdRepository"),
    "notation.trustPolicies[].verificatonLevel": ([{"registryScopes": ["*"], "verificatonLevel": "audit"}], "verificatonLevel: in Ratify's chart neither; the level is strict"),
    "oras.authProviders.awsApiOverride.enabled": (True, "oras.authProviders.awsApiOverride"),
    "oras.authProviders.awsApiOverride.endpoint": ("https://ecr.example", "oras.authProviders.awsApiOverride"),
    "oras.authProviders.awsApiOverride.partition": ("aws-cn", "oras.authProviders.awsApiOverride"),
    "oras.authProviders.awsApiOverride.region": ("cn-north-1", "oras.authProviders.awsApiOverride"),
    "policy.useRego": (True, "policy.useRego"),
    "provider.cache.name": ("dapr-redis", "provider.cache.name"),
    "provider.cache.type": ("dapr", "provider.cache.type=dapr"),
    "sbom.disallowedLicenses": (["MPL"], "sbom.disallowedLicenses"),
    "sbom.disallowedPackages": ([{"name": "busybox", "version": "1"}], "sbom.disallowedPackages"),
    "sbom.notaryProjectSignatureRequired": (True, "sbom.notaryProjectSignatureRequired"),
    **{f"vulnerabilityreport.{name}": (value, f"vulnerabilityreport.{name}") for name, value in {"createdAnnotationName": "a", "denylistCVEs": ["CVE-1"], "disallowedSeverities": ["high"], "maximumAge": "24h", "notaryProjectSignatureRequired": True, "passthrough": True, "schemaURL": "https://example.com"}.items()},
}

ALIKE = {
    "cosign.enabled": True,
    "instrumentation.metricsType": "prometheus",
}

REFUSED = {
    "cosign.keyless.certificateOIDCIssuerExp": (".*", r"write cosign\.keyless\.certificateOIDCIssuerRegExp"),
    "image.crdrepository": ("registry.example/crds", r"write image\.crdRepository"),
    "instrumentation.metricsType": ("statsd", "only prometheus is supported"),
    "oras.authProviders.alibabacloudAcrBasicEnabled": (True, "Give credentials with dockerConfig, registryCredsSecret or k8secretsEnabled"),
    "oras.authProviders.awsEcrBasicEnabled": (True, "Give credentials with dockerConfig, registryCredsSecret or k8secretsEnabled"),
    "provider.cacheSizeMb": (256, r"write provider\.cache\.cacheSizeMb"),
    "provider.name": ("dapr-redis", r"write provider\.cache\.name"),
    "provider.ttl": ("10s", r"write provider\.cache\.ttl"),
    "sbom.enabled": (True, "Set it to false to go without that check"),
    "vulnerabilityreport.enabled": (True, "Set it to false to go without that check"),
}

# The values of the charts, as the releases 1.0.0 to 1.4.4 and the documentation of their values have them.
ALL = """
affinity akvCertConfig.cert1Name akvCertConfig.cert1Version akvCertConfig.cert2Name akvCertConfig.cert2Version akvCertConfig.certificates
akvCertConfig.enabled akvCertConfig.tenantId akvCertConfig.vaultURI alibabacloudAcrConfig.acrInstancesConfig
alibabacloudAcrConfig.defaultInstanceId azureManagedIdentity.clientId azureManagedIdentity.tenantId azureWorkloadIdentity.clientId
azurekeyvault.certificates azurekeyvault.enabled azurekeyvault.keys azurekeyvault.refreshInterval azurekeyvault.tenantID
azurekeyvault.tenantId azurekeyvault.vaultURI cosign.enabled cosign.key cosign.keyless.certificateIdentity
cosign.keyless.certificateIdentityRegExp cosign.keyless.certificateOIDCIssuer cosign.keyless.certificateOIDCIssuerExp
cosign.keyless.certificateOIDCIssuerRegExp cosign.keyless.ctLogVerify cosign.rekorURL cosign.scopes cosign.tLogVerify cosignKeys
crds.affinity crds.nodeSelector crds.resources crds.securityContext crds.tolerations crl.cache.enabled dockerConfig
enableRuntimeDefaultSeccompProfile env featureFlags.RATIFY_CERT_ROTATION featureFlags.RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY
fullnameOverride gatekeeper.namespace gatekeeper.version healthPort image.crdRepository image.crdrepository image.pullPolicy
image.repository image.tag instrumentation.metricsEnabled instrumentation.metricsPort instrumentation.metricsType logger.formatter
logger.level logger.requestHeaders.traceIDHeaderName nameOverride notation.enabled notation.trustPolicies[].name
notation.trustPolicies[].registryScopes notation.trustPolicies[].trustStores notation.trustPolicies[].trustedIdentities
notation.trustPolicies[].verificatonLevel notationCert notationCerts oras.authProviders.alibabacloudAcrBasicEnabled
oras.authProviders.awsApiOverride.enabled oras.authProviders.awsApiOverride.endpoint oras.authProviders.awsApiOverride.partition
oras.authProviders.awsApiOverride.region oras.authProviders.awsEcrBasicEnabled oras.authProviders.azureContainerRegistryEndpoints
oras.authProviders.azureManagedIdentityEnabled oras.authProviders.azureWorkloadIdentityEnabled oras.authProviders.k8secretsEnabled
oras.authProviders.k8secretsSecretTimeout oras.cache.enabled oras.cache.ttl oras.useHttp podAnnotations podLabels policy.useRego
provider.cache.cacheSizeMb provider.cache.enabled provider.cache.name provider.cache.ttl provider.cache.type provider.cacheSizeMb
provider.clientAuth.caCerts provider.enableMutation provider.mutationExcludedNamespaces provider.name
provider.timeout.mutationTimeoutSeconds provider.timeout.validationTimeoutSeconds provider.tls.caCert provider.tls.caKey
provider.tls.cabundle provider.tls.crt provider.tls.key provider.ttl rbac.create registryCredsSecret replicaCount resources
sbom.disallowedLicenses sbom.disallowedPackages sbom.enabled sbom.notaryProjectSignatureRequired serviceAccount.annotations
serviceAccount.create serviceAccount.name tolerations upgradeCRDs.enabled upgradeCRDs.extraRules
vulnerabilityreport.createdAnnotationName vulnerabilityreport.denylistCVEs vulnerabilityreport.disallowedSeverities
vulnerabilityreport.enabled vulnerabilityreport.maximumAge vulnerabilityreport.notaryProjectSignatureRequired
vulnerabilityreport.passthrough vulnerabilityreport.schemaURL
""".split()


def nested(values):
    """A tree of values from dotted names; `[]` stands for the list as a whole."""
    tree = {}
    for name, value in values.items():
        *steps, last = name.partition("[]")[0].split(".")
        here = tree
        for step in steps:
            here = here.setdefault(step, {})
        here[last] = value
    return tree
