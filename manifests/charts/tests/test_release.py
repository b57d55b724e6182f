"""What an installation consists of, for every set of values in walkthroughs.py."""

import base64
import json
import subprocess
from functools import cache

import jsonschema
import kubernetes_validate
import pytest
from apiserver import GATEKEEPER, PROMETHEUS_OPERATOR, ApiServer
from conftest import NAMESPACE, Helm, Release, definitions, namespace, prepare
from walkthroughs import SETS

# The oldest Kubernetes that the chart says it runs on has no schema in the package any more.
VERSIONS = ["1.31", kubernetes_validate.latest_version()]
OWN = "config.ratify.deislabs.io/v1beta1"
SYSTEM = {"kube-system", "kube-public", "kube-node-lease", NAMESPACE}


@pytest.fixture(scope="module", params=SETS.values(), ids=SETS)
def release(request):
    with ApiServer(PROMETHEUS_OPERATOR) as server:
        prepare(server)
        namespace(server, "team-a")
        helm = Helm(server)
        yield Release(server, helm, helm.install(request.param))


@cache
def schemas():
    """kind → schema, of our CustomResourceDefinitions."""
    found = {}
    for definition in definitions():
        spec = definition["spec"]
        for version in spec["versions"]:
            if version["name"] == "v1beta1":
                found[spec["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


def test_kubernetes_takes_every_object(release):
    others = {**GATEKEEPER, **PROMETHEUS_OPERATOR, OWN: {}}
    for item in release.objects:
        if item["apiVersion"] not in others:
            for version in VERSIONS:
                kubernetes_validate.validate(item, version, strict=True)


def test_custom_resources_fit_their_definitions(release):
    known = schemas()
    own = [o for o in release.objects if o["apiVersion"] == OWN]
    assert own
    for item in own:
        jsonschema.validate({k: v for k, v in item.items() if k != "metadata"}, known[item["kind"]])


def test_everything_has_its_place_and_labels(release):
    for item in release.objects:
        (namespaced,) = [n for kinds in release.server.kinds.values() for k, (_, n) in kinds.items() if k == item["kind"]][:1]
        assert ("namespace" in item["metadata"]) == namespaced, item["metadata"]["name"]
        assert item["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_nothing_is_there_twice(release):
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in release.objects]
    assert len(set(names)) == len(names)


def test_pods_are_restricted(release):
    pods = [release.pod["spec"]] + [j["spec"]["template"]["spec"] for j in release.find("Job")] + [p["spec"] for p in release.find("Pod")]
    for spec in pods:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] >= 10000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(field) for field in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"])
        (container,) = spec["containers"]
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not context["privileged"]
        assert container["command"] == ["/countersign"]
        assert all(set(v) <= {"name", "configMap", "secret"} for v in spec.get("volumes", []))
        assert all(m["readOnly"] for m in container.get("volumeMounts", []))
    selector = release.one("Deployment")["spec"]["selector"]["matchLabels"].items()
    for item in release.find("Pod") + [j["spec"]["template"] for j in release.find("Job")]:
        assert not selector <= item["metadata"]["labels"].items(), "the Service would send requests to it"


def test_what_is_mounted_is_there(release):
    spec = release.pod["spec"]
    assert {m["name"] for m in release.container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    mounts = {m["mountPath"] for m in release.container["volumeMounts"]}
    for flag in ["--config", "--ca-cert-file", "--cache-key-file", "--cache-redis-ca"]:
        if flag in release.flags:
            assert release.flags[flag].rpartition("/")[0] in mounts
    assert release.flags["--cert-dir"] in mounts
    for volume in spec["volumes"]:
        if "configMap" in volume:
            release.one("ConfigMap", volume["configMap"]["name"])


def test_ports_agree(release):
    ports = {p["name"]: p["containerPort"] for p in release.container["ports"]}
    assert release.flags["--http"] == f":{ports['https']}"
    assert release.flags["--health-port"] == f":{ports['health']}"
    if "metrics" in ports:
        assert release.flags["--metrics-port"] == str(ports["metrics"]) == release.pod["metadata"]["annotations"]["prometheus.io/port"]
    else:
        assert release.flags["--metrics-enabled"] == "false"
        assert "prometheus.io/scrape" not in release.pod["metadata"]["annotations"]
    for service in release.find("Service"):
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= ports.keys()
    assert ("kyverno" in ports) == ("--kyverno" in release.flags)


def test_probes(release):
    for probe, path in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]:
        assert release.container[probe]["httpGet"] == {"path": path, "port": "health"}


def test_selectors_agree(release):
    labels = release.pod["metadata"]["labels"].items()
    selector = {"app.kubernetes.io/name": "ratify", "app.kubernetes.io/instance": "ratify"}
    assert release.one("Deployment")["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= labels
    for kind, path in [("Service", ["selector"]), ("PodDisruptionBudget", ["selector", "matchLabels"]), ("NetworkPolicy", ["podSelector", "matchLabels"])]:
        for item in release.find(kind):
            found = item["spec"]
            for step in path:
                found = found[step]
            assert found == selector
    for constraint in release.pod["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == selector


def test_providers(release):
    bundles = set()
    for provider in release.find("Provider"):
        assert provider["apiVersion"] == "externaldata.gatekeeper.sh/v1beta1"
        assert provider["spec"]["url"].startswith(f"https://ratify.{NAMESPACE}:6001/ratify/gatekeeper/v1/")
        pem = base64.b64decode(provider["spec"]["caBundle"], validate=True)
        subprocess.run(["openssl", "x509", "-noout"], input=pem, check=True)
        bundles.add(provider["spec"]["caBundle"])
    assert len(bundles) == 1
    assert any(p["metadata"]["name"] == "ratify-provider" for p in release.find("Provider"))
    assert bool(release.find("Assign")) == any(p["metadata"]["name"] == "ratify-mutation-provider" for p in release.find("Provider"))


def test_deadlines_nest(release):
    """Two kinds of constraints ask one after the other, and the policy takes its time: what does not fit into the webhook's
    timeout is admitted where failurePolicy is Ignore."""
    given = {**{"validationTimeoutSeconds": 5, "mutationTimeoutSeconds": 2}, **release.helm.stored().get("config", {}).get("provider", {}).get("timeout", {})}
    executor = json.loads(release.one("ConfigMap", "ratify-configuration")["data"]["config.json"])["executor"]
    verify = release.one("Provider", "ratify-provider")["spec"]["timeout"]
    assert executor["verificationRequestTimeout"] < verify * 1000
    assert 2 * verify + 1 <= given["validationTimeoutSeconds"]
    for mutation in [p for p in release.find("Provider") if p["metadata"]["name"] == "ratify-mutation-provider"]:
        assert executor["mutationRequestTimeout"] < mutation["spec"]["timeout"] * 1000 <= given["mutationTimeoutSeconds"] * 1000


def test_a_cluster_can_start_from_nothing(release):
    for item in release.find("Assign"):
        assert SYSTEM <= set(item["spec"]["match"]["excludedNamespaces"])


def test_rights_are_those_that_are_needed(release):
    """No write but to the own Secret, status, and the two Providers; no Secret by list; nothing with a star."""
    for role in release.find("ClusterRole") + release.find("Role"):
        for rule in role["rules"]:
            resources, verbs = set(rule["resources"]), set(rule["verbs"])
            assert "*" not in resources | verbs | set(rule["apiGroups"])
            assert verbs.isdisjoint({"delete", "deletecollection", "escalate", "impersonate", "bind"})
            if "secrets" in resources:
                assert verbs == {"get"} or rule.get("resourceNames"), role["metadata"]["name"]
            if role["metadata"]["name"] == "ratify-crds":
                # Of the Job before an upgrade; it is gone when the upgrade begins.
                assert resources == {"customresourcedefinitions"} and (verbs == {"create"} or rule["resourceNames"])
            elif verbs & {"patch", "update", "create"}:
                assert all(r.endswith("/status") for r in resources) or resources == {"tokenreviews"} or rule["resourceNames"]
    for binding in release.find("ClusterRoleBinding") + release.find("RoleBinding"):
        account = "ratify-crds" if binding["roleRef"]["name"] == "ratify-crds" else release.pod["spec"]["serviceAccountName"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        release.one(binding["roleRef"]["kind"], binding["roleRef"]["name"])


def test_trust_stores_that_policies_name_are_there(release):
    for verifier in release.find("Verifier"):
        parameters = verifier["spec"]["parameters"]
        if verifier["spec"]["name"] == "cosign":
            there = {o["metadata"]["name"]: o["spec"] for o in release.find("KeyManagementProvider")}
            for policy in parameters["trustPolicies"]:
                for key in policy.get("keys", []):
                    assert there[key["provider"]]["type"] == "azurekeyvault" or there[key["provider"]]["parameters"]["contentType"] == "key"
                assert "trustedRoot" not in policy or there[policy["trustedRoot"]]["type"] == "sigstore"
            continue
        stores = {f"{kind}:{name}": providers for kind, named in parameters["verificationCertStores"].items() for name, providers in named.items()}
        there = {o["metadata"]["name"] for o in release.find("KeyManagementProvider")}
        for statement in parameters["trustPolicyDoc"]["trustPolicies"]:
            assert statement["name"] and statement["registryScopes"]
            if statement["signatureVerification"]["level"] == "skip":
                assert "trustStores" not in statement and "trustedIdentities" not in statement
                continue
            for store in statement["trustStores"]:
                assert stores[store]
                assert set(stores[store]) <= there or not there, "without any, the name that the first one would have"


def test_upgrading_with_the_same_values_changes_nothing(release):
    release.server.log.clear()
    release.helm.upgrade(release.helm.stored().get("config", {}))
    changed = [entry for entry in release.server.log if not entry[3].startswith("sh.helm.") and entry[3] != "ratify-crds"]
    assert changed == [], "certificates, keys or checksums are made anew by each upgrade"


def test_notes(release):
    assert "ratify-provider" in release.notes
    assert "{{" not in release.notes and "<no value>" not in release.notes
