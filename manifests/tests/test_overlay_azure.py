"""The overlay for AKS: custom resources, rotation, workload identity."""

import json
from pathlib import Path

import pytest
import yaml
from test_rendered import NAMESPACE, container, flags, one, pod

OWN = "config.ratify.deislabs.io/v1beta1"
MANIFESTS = Path(__file__).resolve().parents[1]
SETTINGS = dict(
    line.split("=", 1) for line in (MANIFESTS / "overlays/azure/settings.env").read_text().splitlines() if line and not line.startswith("#")
)


@pytest.fixture(scope="module")
def azure(rendered):
    return rendered["azure"]


def test_configuration_is_custom_resources(azure):
    assert "--enable-crd-manager" in container(azure)["args"]
    there = {o["metadata"]["name"] for o in azure if o["kind"] == "CustomResourceDefinition"}
    definitions = [yaml.safe_load(f.read_text()) for f in (MANIFESTS / "crds").glob("*.yaml")]
    assert there == {d["metadata"]["name"] for d in definitions}
    assert {o["kind"] for o in azure if o["apiVersion"] == OWN} == {"Store", "Verifier", "Policy", "KeyManagementProvider"}
    assert json.loads(one(azure, "ConfigMap")["data"]["config.json"]).keys() == {"executor", "logger"}


def test_settings_are_everywhere(azure):
    vault = one(azure, "KeyManagementProvider")["spec"]["parameters"]
    assert vault == {"vaultURI": SETTINGS["vaultURI"], "tenantID": SETTINGS["tenantID"], "clientID": SETTINGS["clientID"], "certificates": [{"name": SETTINGS["certificate"]}]}
    assert one(azure, "Store")["spec"]["parameters"]["authProvider"] == {"name": "azureWorkloadIdentity", "clientID": SETTINGS["clientID"]}
    assert one(azure, "ServiceAccount")["metadata"]["annotations"]["azure.workload.identity/client-id"] == SETTINGS["clientID"]
    (statement,) = one(azure, "Verifier")["spec"]["parameters"]["trustPolicyDoc"]["trustPolicies"]
    assert (statement["registryScopes"], statement["trustedIdentities"]) == ([SETTINGS["repository"]], [SETTINGS["trustedIdentity"]])
    text = yaml.safe_dump_all(azure)
    assert not any(word in text for word in ["CLIENT", "TENANT", "REPOSITORY", "IDENTITY"])


def test_identity(azure):
    assert one(azure, "ServiceAccount")["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod(azure)["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert (one(azure, "ServiceAccount")["metadata"]["namespace"], one(azure, "ServiceAccount")["metadata"]["name"]) == (NAMESPACE, "ratify-admin")


def test_rotation(azure):
    environment = {e["name"]: e.get("value") for e in container(azure)["env"]}
    assert (environment["RATIFY_CERT_ROTATION"], environment["RATIFY_NAME"]) == ("true", "ratify")
    assert "data" not in one(azure, "Secret", "ratify-tls")
    volumes = {v["name"]: v for v in pod(azure)["spec"]["volumes"]}
    assert volumes["tls"]["secret"]["optional"] is True
    assert "items" not in volumes["tls"]["secret"]
    assert volumes["trusted-certificates"]["configMap"]["optional"] is True
    assert len({o["spec"]["caBundle"] for o in azure if o["kind"] == "Provider"}) == 1


def test_rights(azure):
    rules = one(azure, "ClusterRole")["rules"]
    assert [(r["apiGroups"], r["verbs"]) for r in rules] == [
        (["config.ratify.deislabs.io"], ["get", "list", "watch"]),
        (["config.ratify.deislabs.io"], ["patch"]),
        (["externaldata.gatekeeper.sh"], ["get", "list", "watch", "patch"]),
    ]
    assert all(r.endswith("/status") for r in rules[1]["resources"])
    assert rules[2]["resourceNames"] == ["ratify-provider", "ratify-mutation-provider"]
    (rule,) = one(azure, "Role")["rules"]
    assert (rule["resources"], rule["resourceNames"]) == (["secrets"], ["ratify-tls"])
    assert pod(azure)["spec"]["automountServiceAccountToken"] is True


def test_names_are_the_charts(azure):
    """Whoever goes from kustomize to Helm, or from Ratify's Deployment to kustomize, keeps the selector."""
    assert one(azure, "Deployment")["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "ratify", "app.kubernetes.io/instance": "ratify"}
    assert {o["metadata"]["name"] for o in azure if o["apiVersion"] == OWN} == {"store-oras", "verifier-notation", "ratify-policy", "kmprovider-akv"}


def test_flags_are_in_pairs_still(azure):
    args = container(azure)["args"]
    assert args[-1] == "--enable-crd-manager"
    assert flags([*azure])["--cert-dir"] == "/usr/local/tls"
