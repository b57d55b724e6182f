"""What runs around an installation: the Job that brings definitions up to date, `helm test`, and packaging."""

import asyncio
import tarfile

import helm_sdkpy
import yaml
from apiserver import ApiServer
from conftest import CHART, NAMESPACE, Helm, definitions, namespace

ENABLED = {"upgradeCRDs": {"enabled": True}}


def test_definitions_come_first_and_their_account_is_gone_afterwards(helm, server):
    server.log.clear()
    helm.install(ENABLED)
    made = [entry for entry in server.log if entry[3] == "ratify-crds"]
    assert [entry[:2] for entry in made if entry[0] == "create"] == [("create", kind) for kind in ["ServiceAccount", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Job"]]
    job = server.log.index(("create", "Job", NAMESPACE, "ratify-crds"))
    assert job < server.log.index(("create", "Store", None, "store-oras"))
    assert not [o for o in server.all() if o["metadata"]["name"] == "ratify-crds"]
    server.log.clear()
    helm.upgrade(ENABLED)
    assert ("create", "Job", NAMESPACE, "ratify-crds") in server.log


def test_the_job_has_every_definition(helm, server):
    hooks = {yaml.safe_load(h["manifest"])["kind"]: yaml.safe_load(h["manifest"]) for h in helm.install(ENABLED)["hooks"] if h["name"] == "ratify-crds"}
    data = hooks["ConfigMap"]["data"]
    assert [yaml.safe_load(data[name]) for name in sorted(data)] == definitions()
    assert sorted(hooks["ClusterRole"]["rules"][0]["resourceNames"]) == sorted(d["metadata"]["name"] for d in definitions())
    spec = hooks["Job"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"] == ["crds", "apply", "/crds"]
    assert spec["serviceAccountName"] == "ratify-crds"


def test_a_first_installation_brings_the_definitions_itself():
    with ApiServer() as server:
        namespace(server, NAMESPACE)
        Helm(server).install()
        assert {d["metadata"]["name"] for d in server.find("CustomResourceDefinition")} == {d["metadata"]["name"] for d in definitions()}
        assert server.one("Verifier", "verifier-notation")


def test_helm_test_asks_the_service(install, server):
    release = install("healthPort=9100")
    release.helm.test()
    assert ("create", "Pod", NAMESPACE, "ratify-test") in server.log
    (pod,) = release.find("Pod")
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["probe", f"http://ratify.{NAMESPACE}:9100/readyz", "--attempts", "30"]
    assert 9100 in [p["port"] for p in release.one("Service", "ratify")["spec"]["ports"]]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_files_that_nobody_uses_are_not_shipped():
    assert {f.name for f in (CHART / "files").iterdir()} == {"alerts.yaml", "dashboard.json", "defaults.yaml", "placeholder-ca.crt"}


def test_package(helm, tmp_path):
    archive = asyncio.run(helm_sdkpy.Package(helm.configuration).run(str(CHART), str(tmp_path)))
    with tarfile.open(archive) as package:
        names = {m.name.removeprefix("countersign/") for m in package.getmembers()}
        assert sum(m.size for m in package.getmembers()) < 500_000, "Helm keeps the chart in a Secret, which may have a megabyte"
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt", "crds/store.yaml", "files/placeholder-ca.crt"} <= names
