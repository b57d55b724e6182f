"""What single values do, and which are refused."""

import base64
import json
import re
import subprocess

import pytest
import yaml
from conftest import CA, CHART, KEY, NAMESPACE, ROOT, Release, namespace, parse_set
from walkthroughs import CLIENT, KEY_VAULT, NEWER_SPELLING, OLDER_SPELLING, QUICK_START_FILES, RATIFY_1_1_FIRST, RATIFY_1_1_LIST, REPOSITORY, SETS, SUBJECT, TENANT, TRUSTED_SIGNING, commands_of_quick_start


def spec(release, kind, name):
    return release.one(kind, name)["spec"]


# ---- the walkthroughs


def test_quick_start(helm, server):
    """docs/quick-start.md: the image that was loaded, the certificate that was made, a plain registry, and nothing that NOTES warn of."""
    gatekeeper = parse_set(*commands_of_quick_start("helm install gatekeeper gatekeeper/gatekeeper")[0])
    for kind, name, seconds in [("Validating", "validation", gatekeeper["validatingWebhookTimeoutSeconds"]), ("Mutating", "mutation", gatekeeper["mutatingWebhookTimeoutSeconds"])]:
        policy = gatekeeper["validatingWebhookFailurePolicy"] if kind == "Validating" else "Ignore"
        server.put({"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"{kind}WebhookConfiguration", "metadata": {"name": f"gatekeeper-{kind.lower()}-webhook-configuration"}, "webhooks": [{"name": f"{name}.gatekeeper.sh", "timeoutSeconds": seconds, "failurePolicy": policy}]})
    assert QUICK_START_FILES == ["notationCerts[0]"]
    release = Release(server, helm, helm.install(SETS["quick start"]))
    assert "WARNING" not in release.notes
    assert release.container["image"] == "countersign:dev" and release.container["imagePullPolicy"] == "IfNotPresent"
    assert release.one("Store")["spec"]["parameters"]["useHttp"] is True
    assert release.one("KeyManagementProvider")["spec"]["parameters"]["value"].strip() == CA.strip()


def test_key_vault_walkthrough(install):
    release = install(KEY_VAULT)
    assert spec(release, "KeyManagementProvider", "kmprovider-akv") == {
        "type": "azurekeyvault",
        "parameters": {"vaultURI": "https://example.vault.azure.net", "tenantID": TENANT, "clientID": CLIENT, "certificates": [{"name": "wabbit"}]},
    }
    assert spec(release, "Verifier", "verifier-notation") == {
        "name": "notation",
        "version": "1.0.0",
        "artifactTypes": "application/vnd.cncf.notary.signature",
        "parameters": {
            "verificationCertStores": {"ca": {"cert-0": ["kmprovider-akv"]}},
            "trustPolicyDoc": {
                "version": "1.0",
                "trustPolicies": [
                    {"name": "trustPolicy-0", "registryScopes": [REPOSITORY], "signatureVerification": {"level": "strict"}, "trustStores": ["ca:cert-0"], "trustedIdentities": [SUBJECT]}
                ],
            },
        },
    }
    assert spec(release, "Store", "store-oras")["parameters"]["authProvider"] == {"name": "azureWorkloadIdentity", "clientID": CLIENT}
    account = release.one("ServiceAccount", "ratify-admin")
    assert account["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert account["metadata"]["annotations"]["azure.workload.identity/client-id"] == CLIENT
    assert release.pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert release.environment["RATIFY_CERT_ROTATION"] == "true"
    assert not release.find("Assign")


def test_trusted_signing_walkthrough(install):
    release = install(TRUSTED_SIGNING)
    parameters = spec(release, "Verifier", "verifier-notation")["parameters"]
    assert parameters["verificationCertStores"] == {"ca": {"cert-0": ["ratify-notation-inline-cert-0"]}, "tsa": {"cert-1": ["ratify-notation-inline-cert-1"]}}
    assert parameters["trustPolicyDoc"]["trustPolicies"][0]["trustStores"] == ["ca:cert-0", "tsa:cert-1"]
    assert spec(release, "KeyManagementProvider", "ratify-notation-inline-cert-1") == {"type": "inline", "parameters": {"contentType": "certificate", "value": CA}}


def test_what_must_be_signed_is_in_the_policy(install):
    assert "signedBy" not in spec(install({}), "Policy", "ratify-policy")["parameters"]
    for selection in ["manifest", "index", "either"]:
        parameters = spec(install({"policy": {"signedBy": selection}}, release=selection), "Policy", "ratify-policy")["parameters"]
        assert parameters == {"artifactVerificationPolicies": {"default": "all"}, "signedBy": selection}


def test_both_spellings_of_the_key_vault_mean_the_same(install):
    older = install(OLDER_SPELLING).objects
    newer = install(NEWER_SPELLING, release="other").objects
    own = lambda objects: {o["metadata"]["name"]: o["spec"] for o in objects if o["apiVersion"].startswith("config.ratify")}
    assert own(older) == own(newer)


@pytest.mark.parametrize("assignments", [RATIFY_1_1_LIST, RATIFY_1_1_FIRST], ids=["certificates[0].certificateName", "cert1Name"])
def test_the_walkthroughs_of_ratifys_documentation_1_1(helm, server, assignments):
    values = {**parse_set(*assignments), "upgradeCRDs": {"enabled": True}}
    release = Release(server, helm, helm.install(values, rollback_on_failure=True))
    assert spec(release, "KeyManagementProvider", "kmprovider-akv") == {
        "type": "azurekeyvault",
        "parameters": {"vaultURI": "https://example.vault.azure.net", "tenantID": TENANT, "clientID": CLIENT, "certificates": [{"name": "wabbit"}]},
    }
    assert spec(release, "Verifier", "verifier-notation")["parameters"]["verificationCertStores"] == {"ca": {"certs": ["kmprovider-akv"]}}
    assert spec(release, "Store", "store-oras")["parameters"]["authProvider"] == {"name": "azureWorkloadIdentity", "clientID": CLIENT}
    assert release.environment["RATIFY_CERT_ROTATION"] == "true"
    assert bool(release.find("Assign")) == (assignments is RATIFY_1_1_LIST)
    for name in ["ratify-provider"] + ["ratify-mutation-provider"] * (assignments is RATIFY_1_1_LIST):
        assert server.one("Provider", name)


@pytest.mark.parametrize("value", ["akvCertConfig", "azurekeyvault"])
def test_both_spellings_of_a_certificate(install, value):
    values = {**NEWER_SPELLING, "azurekeyvault": {}, value: {**NEWER_SPELLING["azurekeyvault"], "certificates": [{"certificateName": "wabbit", "certificateVersion": "a1"}, {"name": "second", "certificateName": "second", "versionHistoryLimit": 2}, {"certificateName": 12345678}]}}
    assert spec(install(values), "KeyManagementProvider", "kmprovider-akv")["parameters"]["certificates"] == [{"name": "wabbit", "version": "a1"}, {"name": "second", "versionHistoryLimit": 2}, {"name": "12345678"}]


def test_all_certificates_of_the_older_spelling(install):
    values = {**OLDER_SPELLING, "akvCertConfig": {**OLDER_SPELLING["akvCertConfig"], "cert1Version": "a1", "cert2Name": "second", "certificates": [{"name": "third", "version": "c3"}]}}
    assert spec(install(values), "KeyManagementProvider", "kmprovider-akv")["parameters"]["certificates"] == [{"name": "wabbit", "version": "a1"}, {"name": "second"}, {"name": "third", "version": "c3"}]


def test_without_trust_stores_everything_there_is_counts(install):
    release = install({**NEWER_SPELLING, "notationCerts": [CA]})
    parameters = spec(release, "Verifier", "verifier-notation")["parameters"]
    assert parameters["verificationCertStores"] == {"ca": {"certs": ["kmprovider-akv", "ratify-notation-inline-cert-0"]}}
    assert parameters["trustPolicyDoc"]["trustPolicies"][0]["trustStores"] == ["ca:certs"]


def test_the_older_single_certificate(install):
    release = install({"notationCert": CA})
    assert spec(release, "Verifier", "verifier-notation")["parameters"]["verificationCertStores"] == {"ca": {"certs": ["ratify-notation-inline-cert"]}}
    release.one("KeyManagementProvider", "ratify-notation-inline-cert")


# ---- other values


def test_timeouts_for_gatekeepers_own_defaults(install):
    release = install("provider.timeout.validationTimeoutSeconds=3", "provider.timeout.mutationTimeoutSeconds=1")
    assert spec(release, "Provider", "ratify-provider")["timeout"] == 1
    assert spec(release, "Provider", "ratify-mutation-provider")["timeout"] == 1
    executor = json.loads(release.one("ConfigMap", "ratify-configuration")["data"]["config.json"])["executor"]
    assert executor == {"verificationRequestTimeout": 900, "mutationRequestTimeout": 950}


@pytest.mark.parametrize("webhook, provider, deadline", [(2, 1, 400), (3, 1, 900), (4, 1, 900), (5, 2, 1900), (10, 4, 3900), (30, 14, 13900)])
def test_two_kinds_of_constraints_and_the_policy_fit_into_the_webhooks_time(install, webhook, provider, deadline):
    release = install(f"provider.timeout.validationTimeoutSeconds={webhook}")
    assert spec(release, "Provider", "ratify-provider")["timeout"] == provider
    executor = json.loads(release.one("ConfigMap", "ratify-configuration")["data"]["config.json"])["executor"]
    assert executor["verificationRequestTimeout"] == deadline < provider * 1000
    assert 2 * deadline + 1000 <= webhook * 1000


def test_limits_and_outages(install):
    release = install("provider.executor.maximumConcurrent=64", "provider.cache.staleIfError=10m")
    configuration = json.loads(release.one("ConfigMap", "ratify-configuration")["data"]["config.json"])
    assert configuration["executor"]["maximumConcurrent"] == 64
    assert configuration["cache"] == {"staleIfError": "10m"}
    assert "cache" not in json.loads(install({}).one("ConfigMap", "ratify-configuration")["data"]["config.json"])


def test_images_that_run_are_verified_ahead_only_when_asked(install):
    def pods(release):
        return [rule for rule in release.one("ClusterRole", "ratify-manager-cluster-role")["rules"] if "pods" in rule["resources"]]

    assert pods(install({})) == []
    release = install({"provider": {"cache": {"prewarm": {"enabled": True, "ratePerMinute": 30, "excludeNamespaces": ["build"]}}}})
    assert pods(release) == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    prewarm = json.loads(release.one("ConfigMap", "ratify-configuration")["data"]["config.json"])["cache"]["prewarm"]
    assert prewarm["enabled"] is True and prewarm["ratePerMinute"] == 30 and prewarm["byNamespace"] is False
    assert {"kube-system", "build"} <= set(prewarm["excludeNamespaces"])


def test_old_gatekeeper(install):
    release = install({"gatekeeper": {"version": "3.10.0"}})
    assert release.one("Provider", "ratify-provider")["apiVersion"] == "externaldata.gatekeeper.sh/v1alpha1"
    assert release.one("Assign", "mutate-pod-image")["apiVersion"] == "mutations.gatekeeper.sh/v1beta1"


def test_gatekeeper_elsewhere(install, server):
    namespace(server, "opa")
    release = install({"gatekeeper": {"namespace": "opa"}})
    assert release.flags["--ca-cert-secret"] == "opa/gatekeeper-webhook-server-cert"
    role = release.one("Role", "ratify-client-authority")
    assert role["metadata"]["namespace"] == "opa"
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["gatekeeper-webhook-server-cert"], "verbs": ["get", "list", "watch"]}]
    assert "opa" in spec(release, "Assign", "mutate-pod-image")["match"]["excludedNamespaces"]


def test_another_namespace_is_not_mutated_either(install, server):
    namespace(server, "signatures")
    release = install({"provider": {"mutationExcludedNamespaces": ["storage"]}}, into="signatures")
    assert {"signatures", "storage", NAMESPACE} <= set(spec(release, "Assign", "mutate-pod-image")["match"]["excludedNamespaces"])
    assert spec(release, "Provider", "ratify-provider")["url"].startswith("https://ratify.signatures:6001/")


def test_certificates_of_ones_own(install):
    tls = {"crt": CA, "key": KEY, "caCert": CA + CA}
    release = install({"provider": {"tls": tls}})
    secret = release.one("Secret", "ratify-tls")
    assert {k: base64.b64decode(v).decode() for k, v in secret["data"].items()} == {"tls.crt": CA, "tls.key": KEY, "ca.crt": CA + CA}
    assert base64.b64decode(spec(release, "Provider", "ratify-provider")["caBundle"]).decode() == CA + CA
    assert release.environment["RATIFY_CERT_ROTATION"] == "false"


def test_certificates_made_by_helm(install, tmp_path):
    release = install("featureFlags.RATIFY_CERT_ROTATION=false")
    secret = release.one("Secret", "ratify-tls")
    for name in ["tls.crt", "ca.crt"]:
        (tmp_path / name).write_bytes(base64.b64decode(secret["data"][name]))
    assert base64.b64decode(spec(release, "Provider", "ratify-provider")["caBundle"]) == (tmp_path / "ca.crt").read_bytes()
    subprocess.run(["openssl", "verify", "-CAfile", "ca.crt", "-purpose", "sslserver", "-verify_hostname", f"ratify.{NAMESPACE}", "tls.crt"], cwd=tmp_path, check=True, capture_output=True)
    assert "ca.key" not in secret["data"], "nobody needs it any more"


def test_a_secret_made_by_somebody_else(install, server):
    """By cert-manager, for instance: it is used, and not touched."""
    server.put({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "ratify-tls", "namespace": NAMESPACE}, "data": {"tls.crt": "Y3J0", "tls.key": "a2V5", "ca.crt": "Y2E="}})
    release = install({})
    assert release.environment["RATIFY_CERT_ROTATION"] == "false"
    assert not [s for s in release.find("Secret") if s["metadata"]["name"] == "ratify-tls"]
    assert spec(release, "Provider", "ratify-provider")["caBundle"] == "Y2E="


def test_redis(install):
    release = install("provider.cache.type=redis", "provider.cache.redis.endpoint=redis.cache:6379", "provider.cache.redis.passwordSecret.name=redis")
    flags = release.flags
    assert (flags["--cache-type"], flags["--cache-redis"], flags["--cache-redis-tls"]) == ("redis", "redis.cache:6379", True)
    assert release.environment["COUNTERSIGN_REDIS_PASSWORD"] == {"secretKeyRef": {"name": "redis", "key": "password"}}
    key = release.one("Secret", "ratify-cache-key")["data"]["key"]
    assert len(base64.b64decode(key)) >= 32
    release.helm.upgrade({**release.helm.stored()["config"], "replicaCount": 3})
    assert release.server.one("Secret", "ratify-cache-key")["data"]["key"] == key
    given = install({"provider": {"cache": {"type": "redis", "redis": {"endpoint": "r:1", "tls": False, "keySecret": {"name": "mine", "key": "k"}}}}})
    assert "--cache-redis-tls" not in given.flags
    assert not [s for s in given.find("Secret") if "cache-key" in s["metadata"]["name"]]
    (volume,) = [v for v in given.pod["spec"]["volumes"] if v["name"] == "cache-key"]
    assert volume["secret"]["items"] == [{"key": "k", "path": "key"}]


def test_kyverno(install):
    release = install("kyverno.enabled=true")
    assert release.flags["--kyverno"] == ":6002"
    assert "system:serviceaccount:kyverno:kyverno-admission-controller" in release.flags["--kyverno-users"].split(",")
    assert {"name": "kyverno", "port": 6002, "targetPort": "kyverno"} in spec(release, "Service", "ratify")["ports"]
    assert {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]} in release.one("ClusterRole")["rules"]
    # The program's own audience unless others are named.
    assert "--kyverno-audiences" not in release.flags
    release = install({"kyverno": {"enabled": True, "audiences": ["countersign", "api-server"]}})
    assert release.flags["--kyverno-audiences"] == "countersign,api-server"


def test_token_realms(install):
    assert "tokenRealms" not in spec(install({}), "Store", "store-oras")["parameters"]
    release = install({"oras": {"tokenRealms": {"registry.example.com": ["gitlab.example.com"]}}})
    assert spec(release, "Store", "store-oras")["parameters"]["tokenRealms"] == {"registry.example.com": ["gitlab.example.com"]}


def test_registry_credentials(install):
    release = install({"registryCredsSecret": "pull"})
    (volume,) = [v for v in release.pod["spec"]["volumes"] if v["name"] == "dockerconfig"]
    assert volume["secret"]["secretName"] == "pull"
    assert release.environment["DOCKER_CONFIG"] == "/usr/local/docker"
    release = install({"dockerConfig": '{"auths":{}}'})
    assert base64.b64decode(release.one("Secret", "ratify-dockerconfig")["data"][".dockerconfigjson"]) == b'{"auths":{}}'


def test_managed_identity(install):
    release = install("oras.authProviders.azureManagedIdentityEnabled=true", f"azureManagedIdentity.clientId={CLIENT}", f"azureManagedIdentity.tenantId={TENANT}", "oras.authProviders.azureContainerRegistryEndpoints[0]=*.azurecr.cn")
    assert spec(release, "Store", "store-oras")["parameters"]["authProvider"] == {"name": "azureManagedIdentity", "clientID": CLIENT, "endpoints": ["*.azurecr.cn"]}
    assert release.environment["AZURE_TENANT_ID"] == TENANT


def test_affinity_of_ones_own_keeps_replicas_apart(install):
    release = install({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}})
    assert release.pod["spec"]["affinity"].keys() == {"nodeAffinity", "podAntiAffinity"}
    release = install({"affinity": {"podAntiAffinity": {}}})
    assert release.pod["spec"]["affinity"] == {"podAntiAffinity": {}}


def test_autoscaling_takes_the_replicas(install):
    release = install("autoscaling.enabled=true")
    assert "replicas" not in spec(release, "Deployment", "ratify")
    assert spec(release, "HorizontalPodAutoscaler", "ratify")["scaleTargetRef"]["name"] == "ratify"


def test_changed_log_level_or_formatter_rolls_out(install):
    first, second = install({}).pod, install("logger.formatter=json").pod
    assert first["metadata"]["annotations"]["checksum/config"] != second["metadata"]["annotations"]["checksum/config"]


# ---- who may connect


def deployment(server, into, name, host_network=False):
    labels = {"app": name}
    server.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": into}, "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [], **({"hostNetwork": True} if host_network else {})}}}})


def labelled(server, name):
    server.objects.pop(("", "namespaces", None, name), None)
    server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})


def policies(helm, server, *assignments):
    values = {**parse_set(*assignments), "notationCerts": [CA]}
    (helm.upgrade if "ratify" in {d["metadata"]["name"] for d in server.find("Deployment")} else helm.install)(values)
    return [p["spec"] for p in server.find("NetworkPolicy")]


def test_only_gatekeepers_namespace_gets_in_where_that_can_be_seen(helm, server):
    labelled(server, NAMESPACE)
    deployment(server, NAMESPACE, "gatekeeper-controller-manager")
    deployment(server, NAMESPACE, "gatekeeper-audit")
    (policy,) = policies(helm, server)
    selector = server.one("Deployment", "ratify")["spec"]["selector"]
    gatekeeper = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}]
    assert policy == {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": [{"from": gatekeeper, "ports": [{"port": "https"}]}, {"ports": [{"port": "health"}]}, {"ports": [{"port": "metrics"}]}]}
    assert "NetworkPolicy" not in helm.notes()
    assert policies(helm, server, "networkPolicy.enabled=false") == []
    assert "NetworkPolicy" not in helm.notes(), "it was asked for"


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"ratify-something": False},
        {"gatekeeper-controller-manager": True, "gatekeeper-audit": False},
        {"gatekeeper-controller-manager": False, "gatekeeper-audit": True},
    ],
    ids=["no Gatekeeper", "others", "host network", "audit on the host network"],
)
def test_nobody_is_kept_out_who_must_get_in(helm, server, found):
    labelled(server, NAMESPACE)
    for name, host_network in found.items():
        deployment(server, NAMESPACE, name, host_network)
    assert policies(helm, server) == []
    assert "There is no NetworkPolicy" in helm.notes()
    assert len(policies(helm, server, "networkPolicy.enabled=true")) == 1


def test_a_namespace_without_its_label_is_not_selected_by_it(helm, server):
    deployment(server, NAMESPACE, "gatekeeper-controller-manager")
    assert policies(helm, server) == []


@pytest.mark.parametrize("host_network", [None, False, True], ids=["no Kyverno", "Kyverno", "host network"])
def test_kyverno_gets_in_too(helm, server, host_network):
    for name in [NAMESPACE, "kyverno"]:
        labelled(server, name)
    deployment(server, NAMESPACE, "gatekeeper-controller-manager")
    if host_network is not None:
        deployment(server, "kyverno", "kyverno-admission-controller", host_network)
    found = policies(helm, server, "kyverno.enabled=true")
    assert len(found) == (1 if host_network is False else 0)
    if found:
        assert {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kyverno"}}}], "ports": [{"port": "kyverno"}]} in found[0]["ingress"]


def test_outgoing_connections_are_limited_only_when_asked(install):
    assert "egress" not in spec(install("networkPolicy.enabled=true"), "NetworkPolicy", "ratify")
    limited = spec(install("networkPolicy.enabled=true", "networkPolicy.egress=true"), "NetworkPolicy", "ratify")
    assert limited["policyTypes"] == ["Ingress", "Egress"]
    assert {"ports": [{"port": 443}, {"port": 6443}, {"port": 80}]} in limited["egress"]


def test_names_of_clients(install):
    name = "gatekeeper-webhook-service.gatekeeper-system.svc"
    release = install({"provider": {"clientAuth": {"names": [name, "kyverno.example"]}}})
    assert [a for a in release.container["args"] if a.startswith("--client-name")] == [f"--client-name={name}", "--client-name=kyverno.example"]
    assert "--client-name" not in install({}).flags


# ---- notes


def test_notes_warn_when_nobody_is_trusted(install):
    assert "nobody is trusted" in install({}).notes
    assert "WARNING" not in install({"notationCerts": [CA]}).notes


def test_notes_name_values_without_effect(install):
    values = {"notationCerts": [CA], "cosign": {"scopes": ["reg.example/app"]}, "policy": {"useRego": True}, "provider": {"cache": {"type": "dapr", "name": "redis"}}, "featureFlags": {"RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY": True}, "alibabacloudAcrConfig": {"defaultInstanceId": "cri-1"}}
    release = install(values)
    for name in ["cosign.scopes", "policy.useRego", "provider.cache.type=dapr", "featureFlags.RATIFY_EXPERIMENTAL_HIGH_AVAILABILITY", "alibabacloudAcrConfig"]:
        assert name in release.notes
    assert release.flags["--cache-type"] == "ristretto"


def gatekeeper(server, kind, seconds, policy="Ignore"):
    name = {"Validating": "validation", "Mutating": "mutation"}[kind]
    server.put({"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"{kind}WebhookConfiguration", "metadata": {"name": f"gatekeeper-{kind.lower()}-webhook-configuration"}, "webhooks": [{"name": f"{name}.gatekeeper.sh", "timeoutSeconds": seconds, "failurePolicy": policy}]})


def test_notes_warn_of_a_webhook_that_gives_up_first(helm, server):
    gatekeeper(server, "Validating", 3)
    helm.install({"notationCerts": [CA]})
    assert "provider.timeout.validationTimeoutSeconds=3" in helm.notes()
    assert "admits images unverified" in helm.notes()
    helm.upgrade({"notationCerts": [CA], **parse_set("provider.timeout.validationTimeoutSeconds=3")})
    assert "WARNING: webhook" not in helm.notes(), "it goes on when the value is set"


@pytest.mark.parametrize("name", ["gatekeeper-validating-webhook-configuration", "azure-policy-validating-webhook-configuration"])
@pytest.mark.parametrize("policy, warns", [("Ignore", True), (None, True), ("Fail", False)])
def test_notes_say_when_what_is_not_answered_is_admitted(helm, server, name, policy, warns):
    webhooks = [{"name": "check-ignore-label.gatekeeper.sh", "timeoutSeconds": 5, "failurePolicy": "Fail"}, {"name": "validation.gatekeeper.sh", "timeoutSeconds": 5, "failurePolicy": policy}]
    if policy is None:
        del webhooks[1]["failurePolicy"]
    server.put({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name}, "webhooks": webhooks})
    helm.install({"notationCerts": [CA]})
    notes = " ".join(helm.notes().split())
    assert (f"WARNING: failurePolicy of validation.gatekeeper.sh in {name} is {policy or 'not said'}: " in notes) == warns
    assert ("is admitted unverified" in notes) == warns
    assert ("--set validatingWebhookFailurePolicy=Fail" in notes) == warns
    assert (f"kubectl patch validatingwebhookconfiguration {name} --type=json -p '[{{\"op\":\"add\",\"path\":\"/webhooks/1/failurePolicy\"" in notes) == warns


def test_a_mutation_that_is_too_late_does_not_skip_verification(helm, server):
    gatekeeper(server, "Mutating", 2)
    late = {"notationCerts": [CA], **parse_set("provider.timeout.mutationTimeoutSeconds=4")}
    helm.install(late)
    notes = " ".join(helm.notes().split())
    assert "provider.timeout.mutationTimeoutSeconds=2" in notes
    assert "leaves a tag in place of its digest: the image is verified all the same" in notes
    assert "unverified" not in notes
    helm.upgrade({"notationCerts": [CA], **parse_set("provider.timeout.mutationTimeoutSeconds=2")})
    assert "WARNING: webhook" not in helm.notes()


@pytest.mark.parametrize("seconds", [1, 2])
def test_notes_do_not_warn_of_what_no_value_changes(helm, server, seconds):
    """Gatekeeper's mutating webhook waits 1 s by default, and a Provider's timeout has whole seconds."""
    gatekeeper(server, "Mutating", 1)
    helm.install({"notationCerts": [CA], **parse_set(f"provider.timeout.mutationTimeoutSeconds={seconds}")})
    assert "WARNING: webhook" not in helm.notes()
    executor = json.loads(server.one("ConfigMap", "ratify-configuration")["data"]["config.json"])["executor"]
    assert executor["mutationRequestTimeout"] < 1000


# ---- what is refused


@pytest.mark.parametrize(
    "values, message",
    [
        ({"replicaCnt": 3}, "replicaCnt"),
        ({"replicaCount": "three"}, "replicaCount"),
        ({"provider": {"enableMutation": "yes"}}, "enableMutation"),
        ({"provider": {"tls": {"cert": "x"}}}, "cert"),
        ({"provider": {"cache": {"ttl": "soon"}}}, "ttl"),
        ({"provider": {"cache": {"type": "memcached"}}}, "type"),
        ({"notationCerts": CA}, "notationCerts"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"], "level": "lenient"}]}}, "level"),
        ({"healthPort": 99999}, "healthPort"),
        ({"featureFlags": {"rotation": True}}, "rotation"),
        ({"policy": {"artifactVerificationPolicies": {"default": "most"}}}, "default"),
        ({"policy": {"signedBy": "manifests"}}, "signedBy"),
        ({"logger": {"level": "loud"}}, "level"),
        ({"adoption": "maybe"}, "adoption"),
        # Combinations, by the templates.
        ({"provider": {"tls": {"crt": "x"}}}, "crt and key belong together"),
        ({"provider": {"tls": {"crt": "x", "key": "y"}}}, "which CA Gatekeeper trusts"),
        ({"provider": {"tls": {"crt": CA, "key": KEY, "caCert": CA}}, "featureFlags": {"RATIFY_CERT_ROTATION": True}}, "to rotate a certificate of yours"),
        ({"notationCert": CA, "notationCerts": [CA]}, "older form"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"], "trustStores": ["ca:notationCerts[1]"]}]}, "notationCerts": [CA]}, r"notationCerts\[1\], but there are 1"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"], "trustStores": ["ca:azurekeyvault"]}]}}, "azurekeyvault.enabled is false"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"], "trustStores": ["root:notationCerts[0]"]}]}, "notationCerts": [CA]}, "expected the type ca, signingAuthority or tsa"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"], "trustStores": ["ca:certs"]}]}}, "expected TYPE:notationCerts"),
        ({"azurekeyvault": {"enabled": True}, "azureWorkloadIdentity": {"clientId": "x"}}, "azurekeyvault.vaultURI is needed"),
        ({"azurekeyvault": {"enabled": True, "vaultURI": "https://x", "tenantId": "t"}}, "azureWorkloadIdentity.clientId"),
        ({"azurekeyvault": {"enabled": True, "vaultURI": "https://x"}, "azureWorkloadIdentity": {"clientId": "x"}}, "azurekeyvault.tenantId is needed"),
        ({"oras": {"authProviders": {"azureWorkloadIdentityEnabled": True, "k8secretsEnabled": True}}}, "only one can be enabled"),
        ({"oras": {"authProviders": {"awsEcrBasicEnabled": True}}}, "awsEcrBasicEnabled is not supported"),
        ({"sbom": {"enabled": True}}, "sbom.enabled"),
        ({"vulnerabilityreport": {"enabled": True}}, "images that it refused would be admitted"),
        ({"instrumentation": {"metricsType": "statsd"}}, "only prometheus"),
        ({"provider": {"cache": {"type": "redis"}}}, "provider.cache.redis.endpoint"),
        ({"provider": {"cache": {"type": "redis", "redis": {"endpoint": "r:1", "user": "u"}}}}, "user needs provider.cache.redis.passwordSecret"),
        ({"gatekeeper": {"clientAuthoritySecret": ""}}, "whose client certificates are good"),
        ({"provider": {"clientAuth": {"names": ["a"], "anonymous": True}}, "gatekeeper": {"clientAuthoritySecret": ""}}, "nobody vouches for the names"),
        ({"provider": {"clientAuth": {"names": ["a,b"]}}}, "names"),
        ({"provider": {"clientAuth": {"names": [""]}}}, "names"),
        ({"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "not both"),
    ],
)
def test_refused(install, server, values, message):
    refused(install, server, values, message)


def refused(install, server, values, message):
    server.log.clear()
    with pytest.raises(Exception, match=message):
        install(values)
    assert server.log == [], "nothing is changed"


def statement(**members):
    return {"notationCerts": [CA], "notation": {"trustPolicies": [{"registryScopes": ["*"], **members}]}}


def vault(**members):
    return {"azureWorkloadIdentity": {"clientId": CLIENT}, "azurekeyvault": {"enabled": True, "vaultURI": "https://example.vault.azure.net", "tenantId": TENANT, "certificates": [{"name": "wabbit"}], **members}}


LINE = CA.replace("\n", "")
BODY = "".join(CA.splitlines()[1:-1])


@pytest.mark.parametrize(
    "values, message",
    [
        # Registry scopes.
        *[(statement(registryScopes=[scope]), r"notation.trustPolicies\[0\].registryScopes\[0\] is .*expected registry/repository") for scope in ["reg.example/app:v1", "reg.example/app/", "reg.example/app@sha256:" + "a" * 64, "https://reg.example/app", "reg.example", "app", "*.example/app", "reg.example/team/*", "reg.example/App", "reg.example//app", " reg.example/app", "reg.example/a b", "reg_1.example/app", "/app", "reg.example:/app", "reg.example/a..b"]],
        (statement(registryScopes=["*", "reg.example/app"]), "stands alone"),
        (statement(registryScopes=[]), "registryScopes is empty"),
        (statement(registryScopes=["reg.example/app", "reg.example/app"]), "twice"),
        ({"notation": {"trustPolicies": [{"registryScopes": ["*"]}, {"registryScopes": ["*"]}]}}, "twice"),
        (statement(registryScopes=["reg.example/app", "REG.example:443/app"]), "same repository in another spelling"),
        (statement(registryScopes=["docker.io/a/b", "index.docker.io/a/b"]), "same repository in another spelling"),
        (statement(registryScopes=["reg.example:65536/app"]), "not from 1 to 65535"),
        (statement(registryScopes=["reg.example:0/app"]), "not from 1 to 65535"),
        ({"notation": {"trustPolicies": [{"name": "a", "registryScopes": ["*"]}, {"name": "a", "registryScopes": ["reg.example/app"]}]}}, "another statement has that name"),
        # Identities.
        (statement(trustedIdentities=["x509.subject: C=US, O=Example"]), r"trustedIdentities\[0\] is .*it has no ST"),
        (statement(trustedIdentities=["x509.subject: C=US, ST=WA"]), "it has no O"),
        (statement(trustedIdentities=["x509.subject: CN=a, O=Example, ST=WA"]), "it has no C;"),
        (statement(trustedIdentities=[r"x509.subject: C=US, O=Example\, ST=WA"]), "it has no ST"),
        (statement(trustedIdentities=["x509.subject: C=US, ST=, O=Example"]), "ST is empty"),
        (statement(trustedIdentities=["x509.subject: C=US, ST=WA, O=Example, S=OR"]), "ST more than once"),
        (statement(trustedIdentities=["x509.subject: C=US, ST=WA, O=Example, Inc."]), "not TYPE=value"),
        (statement(trustedIdentities=["x509.subject: C=US+CN=a, ST=WA, O=Example"]), "joins attributes"),
        (statement(trustedIdentities=["x509.subject:"]), "not TYPE=value"),
        (statement(trustedIdentities=["x509.subject: 2.5.4.6=US, ST=WA, O=a"]), "it has no C;"),
        (statement(trustedIdentities=["x509.subject: C=US, ST=WA, O=#0c0161"]), "form .*=#"),
        (statement(trustedIdentities=["C=US, ST=WA, O=Example"]), "expected .x509.subject"),
        (statement(trustedIdentities=["spiffe: C=US, ST=WA, O=Example"]), "nobody would be trusted"),
        (statement(trustedIdentities=["*", SUBJECT]), "stands alone"),
        # Levels.
        (statement(override={"authentic": "log"}), "override has .authentic"),
        (statement(override={"integrity": "log"}), "override has .integrity"),
        (statement(override={"expiry": "skip"}), "only revocation can be skipped"),
        (statement(level="skip", override={"revocation": "skip"}), "no meaning with the level"),
        # Certificates and keys.
        ({"notationCerts": ["ca.pem"]}, r"notationCerts\[0\] is not PEM.*--set-file"),
        ({"notationCerts": [CA, ""]}, r"notationCerts\[1\] is not PEM"),
        ({"notationCerts": [BODY]}, "is not PEM"),
        ({"notationCerts": [LINE]}, "its line breaks were lost"),
        ({"notationCerts": [CA[:-30]]}, "no line -----END CERTIFICATE"),
        ({"notationCerts": [CA.replace(BODY[64:128], "?" * 64)]}, "not a certificate in base64"),
        ({"notationCerts": [CA.replace(BODY[:64], BODY[:63])]}, "not a certificate in base64"),
        ({"notationCerts": [CA + KEY]}, "another block than CERTIFICATE, block 2"),
        ({"notationCert": "ca.pem"}, "notationCert is not PEM"),
        ({"provider": {"tls": {"crt": KEY, "key": CA, "caCert": CA}}}, "provider.tls.crt has another block"),
        ({"provider": {"tls": {"crt": CA, "key": "key.pem", "caCert": CA}}}, "provider.tls.key is not PEM"),
        ({"provider": {"tls": {"crt": CA, "key": KEY.replace("\n", ""), "caCert": CA}}}, "provider.tls.key is not PEM"),
        ({"provider": {"tls": {"crt": CA, "key": KEY, "caCert": "ca.pem"}}}, "provider.tls.caCert is not PEM"),
        ({"provider": {"tls": {"crt": CA, "key": KEY, "caCert": CA, "caKey": CA}}}, "provider.tls.caKey is not PEM"),
        ({"provider": {"tls": {"crt": CA, "key": KEY, "cabundle": CA}}}, "provider.tls.cabundle is not base64"),
        ({"provider": {"tls": {"crt": CA, "key": KEY, "cabundle": "bm90IFBFTSEh"}}}, "provider.tls.cabundle, decoded, is not PEM"),
        # Key vaults.
        *[(vault(vaultURI=uri), "azurekeyvault.vaultURI is .*the vault's address alone") for uri in ["https://example.vault.azure.net/certificates/wabbit", "https://example.vault.azure.net?a=b", "http://example.vault.azure.net", "example.vault.azure.net", "https://a@example.vault.azure.net", "https://a b", "https://", "https://example.vault.azure.net//"]],
        (vault(certificates=[]), "azurekeyvault.certificates is empty"),
        (vault(certificates=[{"version": "a1"}]), r"azurekeyvault.certificates\[0\] has no name"),
        (vault(certificates=[{"name": "a", "certificateName": "b"}]), "name and certificateName mean the same"),
        (vault(certificates=[{"name": "a", "version": "1", "certificateVersion": "2"}]), "version and certificateVersion mean the same"),
        (vault(certificates=[{"name": "https://example.vault.azure.net/certificates/a"}]), "not one of a key vault"),
        (vault(certificates=[{"name": "a", "version": "a/b"}]), "letters and digits"),
        (vault(keys=[{"name": "a_b"}]), r"azurekeyvault.keys\[0\] has the name"),
        (vault(refreshInterval="500ms"), "at least 1s"),
        # Others that the program would refuse at its start, or in a status.
        ({"dockerConfig": "{"}, "dockerConfig is not a JSON object"),
        ({"dockerConfig": "config.json"}, "dockerConfig is not a JSON object"),
        ({"oras": {"authProviders": {"azureContainerRegistryEndpoints": ["a.azurecr.*"]}}}, r"Endpoints\[0\] is"),
        ({"oras": {"authProviders": {"azureContainerRegistryEndpoints": ["a.azurecr.io", ""]}}}, r"Endpoints\[1\] is"),
        ({"healthPort": 8888}, "instrumentation.metricsPort is 8888, which is the port of healthPort"),
        ({"healthPort": 6001}, "the port of the provider itself"),
        ({"kyverno": {"enabled": True, "port": 9099}}, "the port of healthPort"),
    ],
)
def test_content_that_is_useless_later_is_refused_before_anything_is_changed(install, server, values, message):
    refused(install, server, values, message)


@pytest.mark.parametrize("values", [{"notationCerts": [KEY]}, {"notationCerts": [KEY.replace("\n", "")]}, {"notationCert": KEY}, {"provider": {"tls": {"crt": CA, "key": KEY.replace("\n", ""), "caCert": CA}}}, {"provider": {"tls": {"crt": KEY, "key": KEY, "caCert": CA}}}])
def test_a_refusal_does_not_show_a_private_key(install, values):
    with pytest.raises(Exception) as refusal:
        install(values)
    assert KEY.splitlines()[1][:12] not in str(refusal.value)


@pytest.mark.parametrize(
    "values",
    [
        statement(registryScopes=["reg.example:5000/team/app", "reg.example:5001/team/app", "localhost:5000/a", "reg.example/a__b/c-d.e---f", "REG.example/a", "127.0.0.1:5000/a", "a/b"]),
        statement(trustedIdentities=[r"x509.subject: C=US, ST=WA, O=Example\, Inc., CN=a\+b", "x509.subject:C=DE;S=BY;O=a=b", "spiffe:x"]),
        statement(override={"revocation": "skip", "expiry": "log", "authenticTimestamp": "log", "authenticity": "enforce"}),
        {"notationCerts": ["Bag Attributes\n" + CA.replace("\n", "\r\n") + "\n# and\n" + CA + CA, CA.strip(), "\n".join(" " + line for line in CA.splitlines())]},
        vault(vaultURI=" https://example.vault.azure.net/ ", refreshInterval="1m30s"),
        vault(vaultURI="https://example.vault.azure.cn:443"),
        {"oras": {"authProviders": {"azureContainerRegistryEndpoints": ["*.azurecr.cn", "reg.example:5000"]}}},
        {"dockerConfig": '{"auths": {"reg.example": {"auth": "dTpw"}}}'},
        {"provider": {"tls": {"crt": CA + CA, "key": "Key:\n" + KEY, "caCert": CA, "caKey": KEY, "cabundle": base64.encodebytes(CA.encode()).decode()}}},
    ],
)
def test_content_that_the_program_reads_is_accepted(install, values):
    install(values)


# ---- the chart and the rest of the project


def test_lint(helm):
    result = helm.lint()
    assert result["TotalChartsLinted"] == 1
    # 1 is information: there is no icon.
    assert all(m["Severity"] <= 1 for m in result["Messages"] or []) and not result["Errors"]


def test_version_is_the_programs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "Sources/CountersignService/Release.swift").read_text()


def paths(node, path=()):
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from paths(value, (*path, key))
        yield (*path, key)


def test_every_value_is_documented_and_in_the_schema():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    table = (ROOT / "docs/helm.md").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    everything = list(paths(values))
    documented = [p for p in everything if f"| `{'.'.join(p)}` |" in table]
    for path in everything:
        is_described = any(path[: len(d)] == d or d[: len(path)] == path for d in documented)
        assert is_described, f"{'.'.join(path)} has no description"
        node = schema
        for step in path:
            node = node.get("properties", {}).get(step, node.get("additionalProperties"))
            assert node, f"{'.'.join(path)} is not in the schema"
            if node is True:
                break


def flags_of_serve():
    """Names of the options and flags in the program's sources."""
    names = set()
    for file in (ROOT / "Sources/countersign").rglob("Serve*.swift"):
        text = file.read_text()
        names |= set(re.findall(r'customLong\("([a-z-]+)"\)', text))
        for name in re.findall(r"@(?:Option|Flag|OptionGroup)\b.*?\bvar (\w+)", text, flags=re.S):
            words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name)
            names.add(words.lower())
    return names


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_the_program_has_the_flags_that_the_chart_passes(install, server, values):
    namespace(server, "team-a")
    passed = {name.removeprefix("--") for name in install(values).flags}
    assert passed <= flags_of_serve()


def test_copies_are_current():
    subprocess.run(["python3", ROOT / "manifests/charts/generate.py", "--check"], check=True, capture_output=True)


def test_the_parser_of_set_lines():
    assert parse_set("a.b[1].c=x", "a.b[0].c=2", "d=true") == {"a": {"b": [{"c": 2}, {"c": "x"}]}, "d": True}
